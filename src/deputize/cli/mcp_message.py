"""A call of MCP written down: the body an agent would send, and the headers that go with it.

Rules of this file:
- The newest version is spoken, but where a client replies: that version has no replies.

Sources: MCP 2026-07-28, Streamable HTTP (request metadata, value encoding); JSON-RPC 2.0.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping

from deputize.core.mcp import METHOD_HEADER, NAME_HEADER, RESPONSE, VERSION_HEADER
from deputize.core.model import Json

_VERSION = "2026-07-28"
_VERSION_WITH_REPLIES = "2025-11-25"
_NAMED_BY = {"tools/call": "name", "prompts/get": "name"}
_HAS_NAME_HEADER = frozenset({"tools/call", "prompts/get", "resources/read"})
_PLAIN_HEADER = re.compile(r"[!-+\--~](?:[ -+\--~]*[!-+\--~])?")


def write_mcp(method: str, name: str, given: Mapping[str, Json]) -> tuple[dict[str, str], bytes]:
    """Headers and body of a call; `name` is the tool, prompt or URI, `given` its arguments.

    Raises:
        ValueError, TypeError, RecursionError: the arguments are not JSON.
    """
    arguments = dict(given)
    named_by = _NAMED_BY.get(method)
    if named_by is not None:
        params: dict[str, Json] = {"name": name, "arguments": arguments}
    elif method == "completion/complete":
        kind, member = ("resource", "uri") if "://" in name else ("prompt", "name")
        params = {"ref": {"type": f"ref/{kind}", member: name}, **arguments}
    else:
        params = {**({"uri": name} if name else {}), **arguments}
    is_reply = method == RESPONSE
    headers = {
        "accept": "application/json, text/event-stream",
        "content-type": "application/json",
        VERSION_HEADER: _VERSION_WITH_REPLIES if is_reply else _VERSION,
    }
    if is_reply:
        return headers, _encode({"jsonrpc": "2.0", "id": 1, "result": params})
    headers[METHOD_HEADER] = method
    if method in _HAS_NAME_HEADER:
        headers[NAME_HEADER] = _header_value(name)
    return headers, write_json_rpc(method, params)


def write_json_rpc(method: str, params: Mapping[str, Json]) -> bytes:
    """A request of JSON-RPC, or a notification where the method says that it is one.

    Raises:
        ValueError, TypeError, RecursionError: the params are not JSON.
    """
    message: dict[str, Json] = {"jsonrpc": "2.0", "method": method, "params": dict(params)}
    if not method.startswith("notifications/"):
        message["id"] = 1
    return _encode(message)


def _encode(message: dict[str, Json]) -> bytes:
    return json.dumps(message, allow_nan=False, ensure_ascii=False).encode("utf-8")


def _header_value(name: str) -> str:
    if _PLAIN_HEADER.fullmatch(name) and not name.lower().startswith("=?base64?"):
        return name
    return f"=?base64?{base64.b64encode(name.encode('utf-8')).decode()}?="
