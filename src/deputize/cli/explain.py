"""`deputize explain`: one request through the very decision the service makes, offline."""

from __future__ import annotations

import math
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import orjson
import typer

from deputize._proto.envoy.service.auth.v3.external_auth_pb2 import CheckRequest
from deputize.adapters.envoy_request import read_check
from deputize.cli.explanation import print_explanation, to_json
from deputize.cli.inputs import load_config, read_octets, read_text, refuse_input
from deputize.cli.offline import read_sources
from deputize.cli.request_flags import (
    add_body,
    add_header,
    add_mcp_call,
    build_request,
    read_request,
)
from deputize.cli.supposed_token import SupposedToken, judge
from deputize.config.problems import visible_text
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
            "instead of the flags that describe a request.",
            allow_dash=True,
        ),
    ] = None,
    peer: Annotated[str, typer.Option(help="The peer's SPIFFE ID.")] = "",
    certificate: Annotated[
        Path | None, typer.Option(help="The peer's certificate, a PEM file.", allow_dash=True)
    ] = None,
    method: Annotated[
        str, typer.Option(help="The HTTP method; POST where a body or a call is given, else GET.")
    ] = "",
    url: Annotated[str, typer.Option(help="The URL; its scheme matters for DPoP only.")] = "",
    header: Annotated[
        list[str] | None, typer.Option(help="A header `name: value`; may be repeated.")
    ] = None,
    body: Annotated[
        Path | None,
        typer.Option(help="A file with the body, `-` for stdin; sets `content-length`."),
    ] = None,
    tool: Annotated[
        str, typer.Option(help="Call this tool of MCP, or what `--call` says of it.")
    ] = "",
    argument: Annotated[
        list[str] | None,
        typer.Option(help="An argument `name=value` of the call, JSON or text; may be repeated."),
    ] = None,
    call: Annotated[
        str, typer.Option(help="The method of MCP that is called; `tools/call` for `--tool`.")
    ] = "",
    token: Annotated[
        Path | None,
        typer.Option(
            help="A file with the delegation token, `-` for stdin; sent by the scheme `DPoP` where "
            "`--header` gives a proof.",
            allow_dash=True,
        ),
    ] = None,
    on_behalf_of: Annotated[
        str,
        typer.Option(
            help="`ISSUER SUBJECT`: suppose a token of this issuer for this principal, instead of "
            "`--token`; it is made for this decision and is nowhere else any good."
        ),
    ] = "",
    scope: Annotated[
        list[str] | None, typer.Option(help="A scope of the supposed token; may be repeated.")
    ] = None,
    claim: Annotated[
        list[str] | None,
        typer.Option(help="A claim `name=value` of it, JSON or text; may be repeated."),
    ] = None,
    chain: Annotated[
        list[str] | None,
        typer.Option(help="An earlier actor in it, the nearest first; may be repeated."),
    ] = None,
    approved_by: Annotated[
        str, typer.Option(help="Suppose that this person approved this very call.")
    ] = "",
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
    supposed = SupposedToken(on_behalf_of, scope or (), claim or (), chain or (), approved_by)
    has_call = bool(tool or argument or call)
    described = (peer, url, header, body, certificate, method, has_call, supposed.is_given)
    _refuse_any(
        (request and any(described), "`--request`, or the flags that describe a request"),
        (has_call and body, "`--body`, or `--tool`, `--call` and `--argument`"),
        (supposed.is_given and (token or certificate or jwks),
         "a supposed token, or `--token`, `--certificate` and `--jwks`"),
    )  # fmt: skip
    _need_all(
        (argument, tool or call, "`--argument` goes with `--tool` or `--call`"),
        (supposed.is_given, on_behalf_of,
         "`--scope`, `--claim`, `--chain` and `--approved-by` go with `--on-behalf-of`"),
    )  # fmt: skip
    loaded, now = load_config(config), _parse_time(at)
    method = method or ("POST" if body or has_call else "")
    if request is None:
        check = build_request(peer, method or "GET", url, header or ())
    else:
        check = read_request(request)
    if body is not None:
        add_body(check, read_octets(body))
    if has_call:
        add_mcp_call(check, call, tool, argument or ())
    if certificate is not None:
        check.attributes.source.certificate = quote(read_text(certificate))
    if token is not None:
        _add_token(check, loaded.service.token.header, read_text(token).strip())
    if on_behalf_of:
        (asked, decision), snapshot, told = judge(loaded, check, supposed, method, now)
    else:
        fetched, told = read_sources(loaded, jwks or [], now), ""
        asked = read_check(check.SerializeToString(), OFFLINE_ID, None)
        snapshot = build_snapshot(loaded.compiled, loaded.digest, fetched, None)
        decision = decide(asked, snapshot, now, lambda _compact: None)
    if has_call and decision.proven.action is not None and decision.proven.resource is None:
        typer.echo("no `resources` entry covers this URL: the call was not read", err=True)
    if as_json:
        answer = {**to_json(asked, decision, snapshot), "supposed": bool(told)}
        typer.echo(orjson.dumps(answer, option=orjson.OPT_INDENT_2).decode())
    else:
        if told:
            typer.echo(visible_text(f"supposed: {told}"))
        print_explanation(asked, decision, snapshot)
    raise typer.Exit(0 if isinstance(decision.verdict, Permit) else 1)


def _refuse_any(*both: tuple[object, str]) -> None:
    for are_given, what in both:
        if are_given:
            refuse_input(f"give {what}, not both")


def _need_all(*pairs: tuple[object, object, str]) -> None:
    for is_given, is_needed, what in pairs:
        if is_given and not is_needed:
            refuse_input(what)


def _add_token(check: CheckRequest, name: str, compact: str) -> None:
    scheme = "DPoP" if PROOF in check.attributes.request.http.headers else "Bearer"
    add_header(check, name, f"{scheme} {compact}" if name == AUTHORIZATION else compact)


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
