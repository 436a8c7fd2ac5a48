"""A check message from the flags that describe a request, as a proxy would send it.

Rules of this file:
- What makes no request ends the command with code 2, and says which flag it was.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

import orjson
from google.protobuf import json_format

from deputize._proto.envoy.service.auth.v3.external_auth_pb2 import CheckRequest
from deputize.cli.inputs import read_text, refuse_input
from deputize.cli.mcp_message import write_mcp
from deputize.core.model import Json

TOOL_CALL = "tools/call"


def read_request(file: Path) -> CheckRequest:
    """The message in a file, as JSON."""
    try:
        return json_format.Parse(read_text(file), CheckRequest(), ignore_unknown_fields=True)
    except json_format.ParseError as error:
        refuse_input(f"{file}: {error}")


def build_request(peer: str, method: str, url: str, headers: Iterable[str]) -> CheckRequest:
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
    for text in headers:
        name, colon, value = text.partition(":")
        if not colon:
            refuse_input(f"`{text}` is not `name: value`")
        add_header(check, name.strip().lower(), value.strip())
    return check


def add_header(check: CheckRequest, name: str, value: str) -> None:
    """Adds a header; a second one of the same name is joined to the first, as Envoy does it."""
    headers = check.attributes.request.http.headers
    headers[name] = f"{headers[name]},{value}" if name in headers else value


def add_body(check: CheckRequest, octets: bytes) -> None:
    """Adds the body as a proxy sends it that is told to send all of it."""
    http = check.attributes.request.http
    http.raw_body, http.size = octets, len(octets)
    if "content-length" not in http.headers:
        http.headers["content-length"] = str(len(octets))


def add_mcp_call(check: CheckRequest, method: str, tool: str, arguments: Iterable[str]) -> None:
    """Adds a call of MCP as an agent would write it; headers that were given stay."""
    try:
        headers, body = write_mcp(method or TOOL_CALL, tool, read_pairs("--argument", arguments))
    except (ValueError, TypeError, RecursionError) as error:
        refuse_input(f"the call cannot be written as JSON: {error}")
    for name, value in headers.items():
        if name not in check.attributes.request.http.headers:
            add_header(check, name, value)
    add_body(check, body)


def read_pairs(flag: str, texts: Iterable[str]) -> dict[str, Json]:
    """What was given as `name=value`: a JSON value where it is one, else the text itself."""
    pairs: dict[str, Json] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not name or not equals:
            refuse_input(f"`{flag} {text}` is not `name=value`")
        if name in pairs:
            refuse_input(f"`{flag} {name}` is given twice")
        pairs[name] = _read_value(value)
    return pairs


def _read_value(text: str) -> Json:
    try:
        value: Json = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    return value
