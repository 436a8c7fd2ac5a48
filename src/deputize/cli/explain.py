"""`deputize explain`: one request through the very decision the service makes, offline."""

from __future__ import annotations

import math
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Annotated
from urllib.parse import quote, urlsplit

import orjson
import typer
from google.protobuf import json_format

from deputize._proto.envoy.service.auth.v3.external_auth_pb2 import CheckRequest
from deputize.adapters.envoy_request import read_check
from deputize.cli.explanation import print_explanation, to_json
from deputize.cli.inputs import load_config, read_octets, read_text, refuse_input
from deputize.cli.offline import read_sources
from deputize.core.decide import decide
from deputize.core.request import AUTHORIZATION, PROOF
from deputize.core.verdict import Permit
from deputize.server.state import build_snapshot

OFFLINE_ID = "offline"


def explain(
    config: Annotated[
        Path,
        typer.Option("--config", "-c", help="The configuration.", envvar="DEPUTIZE_CONFIG"),
    ],
    request: Annotated[
        Path | None,
        typer.Option(
            help="A check request as JSON (`envoy.service.auth.v3.CheckRequest`), `-` for stdin; "
            "instead of `--peer`, `--certificate`, `--method`, `--url`, `--header` and `--body`.",
            allow_dash=True,
        ),
    ] = None,
    peer: Annotated[str, typer.Option(help="The peer's SPIFFE ID.")] = "",
    certificate: Annotated[
        Path | None, typer.Option(help="The peer's certificate, a PEM file.", allow_dash=True)
    ] = None,
    method: Annotated[str, typer.Option(help="The HTTP method.")] = "GET",
    url: Annotated[str, typer.Option(help="The URL; its scheme matters for DPoP only.")] = "",
    header: Annotated[
        list[str] | None, typer.Option(help="A header `name: value`; may be repeated.")
    ] = None,
    body: Annotated[
        Path | None,
        typer.Option(help="A file with the body, `-` for stdin; sets `content-length`."),
    ] = None,
    token: Annotated[
        Path | None,
        typer.Option(
            help="A file with the delegation token, `-` for stdin; sent by the scheme `DPoP` where "
            "`--header` gives a proof.",
            allow_dash=True,
        ),
    ] = None,
    jwks: Annotated[
        list[str] | None,
        typer.Option(help="`ISSUER=FILE`: keys of an issuer whose own source is not a file."),
    ] = None,
    at: Annotated[
        str, typer.Option(help="Decide as of this time: RFC 3339, or seconds since 1970.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show each question, its answer and the decision. Exits 0 on allow, 1 on deny.

    Example: `deputize explain -c config.yaml --peer spiffe://prod.example.org/ns/agents/sa/research
    --url https://orders.example/v1/orders/7 --token token.txt`
    """
    loaded = load_config(config)
    if request is None:
        check = _build_request(peer, method, url, header)
        if body is not None:
            _add_body(check, read_octets(body))
    elif peer or url or header or body or certificate or method != "GET":
        refuse_input("give `--request`, or the flags that describe a request, not both")
    else:
        check = _read_request(request)
    if certificate is not None:
        check.attributes.source.certificate = quote(read_text(certificate))
    if token is not None:
        name = loaded.service.token.header
        scheme = "DPoP" if PROOF in check.attributes.request.http.headers else "Bearer"
        prefix = f"{scheme} " if name == AUTHORIZATION else ""
        _add_header(check, name, prefix + read_text(token).strip())
    now = _parse_time(at)
    fetched = read_sources(loaded, jwks or [], now)
    asked = read_check(check.SerializeToString(), OFFLINE_ID, None)
    snapshot = build_snapshot(loaded.compiled, loaded.digest, fetched, None)
    decision = decide(asked, snapshot, now, lambda _compact: None)
    if as_json:
        typer.echo(
            orjson.dumps(to_json(asked, decision, snapshot), option=orjson.OPT_INDENT_2).decode()
        )
    else:
        print_explanation(asked, decision, snapshot)
    raise typer.Exit(0 if isinstance(decision.verdict, Permit) else 1)


def _read_request(file: Path) -> CheckRequest:
    try:
        return json_format.Parse(read_text(file), CheckRequest(), ignore_unknown_fields=True)
    except json_format.ParseError as error:
        refuse_input(f"{file}: {error}")


def _build_request(peer: str, method: str, url: str, headers: list[str] | None) -> CheckRequest:
    """The request a proxy would send for these flags."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        refuse_input(f"`{url}`: {error}")
    host, (_, colon, rest) = parts.netloc, url.partition("://")
    if not host or not colon:
        refuse_input("give `--request`, or `--url` as `https://host/path`")
    path = rest.removeprefix(host) or "/"
    check = CheckRequest()
    check.attributes.source.principal = peer
    http = check.attributes.request.http
    http.method, http.scheme, http.host, http.path = method, parts.scheme, host, path
    http.headers.update({":method": method, ":authority": host, ":path": path})
    for text in headers or []:
        name, colon, value = text.partition(":")
        if not colon:
            refuse_input(f"`{text}` is not `name: value`")
        _add_header(check, name.strip().lower(), value.strip())
    return check


def _add_header(check: CheckRequest, name: str, value: str) -> None:
    """Adds a header; a second one of the same name is joined to the first, as Envoy does it."""
    headers = check.attributes.request.http.headers
    headers[name] = f"{headers[name]},{value}" if name in headers else value


def _add_body(check: CheckRequest, octets: bytes) -> None:
    """Adds the body as a proxy sends it that is told to send all of it."""
    http = check.attributes.request.http
    http.raw_body, http.size = octets, len(octets)
    if "content-length" not in http.headers:
        http.headers["content-length"] = str(len(octets))


def _parse_time(text: str) -> float:
    if not text:
        return time.time()
    with suppress(ValueError):
        seconds = float(text)
        if math.isfinite(seconds):
            return seconds
    try:
        moment: datetime | None = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        refuse_input(f"`{text}` is not RFC 3339 with a zone, nor seconds since 1970")
    return moment.timestamp()
