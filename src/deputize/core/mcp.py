"""The calls of the Model Context Protocol in an HTTP request, from its body or its headers.

Rules of this file:
- What names the tool, prompt or resource has one reading, or the request is refused.
- Headers alone are believed only where the protocol version binds the server to refuse headers
  that differ from the body; beside a body they must agree with it.
- Envoy joins repeated headers with a comma, so a comma means two, and shows an octet that is no
  UTF-8 as `!`. A name with one of them in it is sent in base64.
- Where headers alone are read, none may stand beside them that CGI and its heirs take for one.

Sources: MCP 2025-03-26 and 2025-11-25 `basic` (batches); MCP 2026-07-28 `schema` and
`basic/transports/streamable-http` (request metadata, value encoding, server validation).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from datetime import date

from deputize.core.json_rpc import CallError, Message, check_members, read_messages
from deputize.core.model import Call, Json, Protocol
from deputize.core.resource_uri import (
    ResourceUriError,
    check_resource_template,
    check_resource_uri,
)

VERSION_HEADER = "mcp-protocol-version"
METHOD_HEADER = "mcp-method"
NAME_HEADER = "mcp-name"
RESPONSE = "response"
"""The method of a client's reply to a request of the server; no request may have that one."""
MAX_NAME = 1024

_FIRST_WITHOUT_BATCHES = date(2025, 6, 18)
_FIRST_WITH_BOUND_HEADERS = date(2026, 7, 28)
_HEADER_NAMED = frozenset({"tools/call", "prompts/get", "resources/read"})
_BODY_NAMED = frozenset({"completion/complete", "resources/subscribe", "resources/unsubscribe"})
NAMED_METHODS = _HEADER_NAMED | _BODY_NAMED
"""Methods whose calls have a name; the name of all others is empty."""
NAMES_OF_SERVER = frozenset({"tools/call", "prompts/get"})
"""Those whose name is one of a few that the server gave."""
URI_METHODS = frozenset({"resources/read", "resources/subscribe", "resources/unsubscribe"})
"""Those whose name is the URI of a resource: there are as many as a caller can think of."""

_PARAMS = frozenset({"name", "uri", "arguments", "ref", "_meta"})
_BOUND = frozenset({"name", "arguments", "_meta"})
_REF = frozenset({"type", "name", "uri"})
_REF_MEMBERS = {"ref/prompt": "name", "ref/resource": "uri"}

_HEADERS = frozenset({VERSION_HEADER, METHOD_HEADER, NAME_HEADER})
_NAME_FILLER = re.compile(r"[^a-z0-9]")
_VERSION = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_METHOD = re.compile(r"[!-+\--~]{1,256}")
_PLAIN_VALUE = re.compile(r"[\"-+\--~](?:[ \"-+\--~]*[\"-+\--~])?")
_ENCODED = re.compile(r"=\?base64\?([A-Za-z0-9+/]+={0,2})\?=")


def may_be_batch(headers: Mapping[str, str]) -> bool:
    """True where the protocol version, if the request names one, still has batches.

    Raises:
        CallError: a protocol version that is not one date.
    """
    version = _read_version(headers)
    return version is None or version < _FIRST_WITHOUT_BATCHES


def read_mcp_calls(body: bytes, *, allow_batch: bool = True) -> tuple[Call, ...]:
    """Reads all calls of a body, in their order.

    Raises:
        CallError: not JSON-RPC with one reading, a batch where none may be, or a call without
            the name its method must have.
    """
    return tuple(map(_read_call, read_messages(body, allow_batch=allow_batch)))


def read_mcp_headers(headers: Mapping[str, str]) -> Call:
    """Reads the call from headers alone; its arguments are not known.

    Raises:
        CallError: a protocol version that does not bind the headers, a header that is missing,
            repeated or malformed, or a method whose name no header has.
    """
    version = _read_version(headers)
    others = [name for name in headers if name not in _HEADERS]
    if not _HEADERS.isdisjoint(_NAME_FILLER.sub("-", name) for name in others):
        raise CallError("a header that is read like one of MCP", is_mismatch=True)
    if version is None or version < _FIRST_WITH_BOUND_HEADERS:
        raise CallError("a protocol version that does not bind the headers to the body")
    method = _read_method_header(headers)
    if method is None:
        raise CallError("no Mcp-Method header", is_mismatch=True)
    if method in _BODY_NAMED or method == RESPONSE:
        raise CallError("a method whose name is only in the body")
    name = _read_name_header(headers)
    if (name is not None) != (method in _HEADER_NAMED):
        raise CallError("no Mcp-Name header, or one the method has not", is_mismatch=True)
    if name is not None:
        _check_name(name, is_uri=method in URI_METHODS)
    return Call(Protocol.MCP, method, name or "", None, None)


def check_mcp_headers(headers: Mapping[str, str], calls: tuple[Call, ...]) -> None:
    """Refuses headers that do not agree with the calls of the body.

    Raises:
        CallError: a protocol version that is not one date, a batch where it has none, headers
            that differ from the body, or that are missing where the version needs them.
    """
    version = _read_version(headers)
    method, name = _read_method_header(headers), _read_name_header(headers)
    if version is not None and version >= _FIRST_WITHOUT_BATCHES and len(calls) != 1:
        raise CallError("a batch")
    if version is not None and version >= _FIRST_WITH_BOUND_HEADERS:
        _check_presence(method, name, calls[0])
    if method is None and name is None:
        return
    if len(calls) != 1:
        raise CallError("headers of one call for a batch", is_mismatch=True)
    call = calls[0]
    if method is not None and (method != call.method or method == RESPONSE):
        raise CallError("Mcp-Method differs from the body", is_mismatch=True)
    if name is not None and name != call.name:
        raise CallError("Mcp-Name differs from the body", is_mismatch=True)


def _check_presence(method: str | None, name: str | None, call: Call) -> None:
    if call.method == RESPONSE:
        raise CallError("a reply, which this protocol version has not")
    # The specification leaves open which headers a notification has.
    if method is None and call.id is not None:
        raise CallError("no Mcp-Method header", is_mismatch=True)
    if name is None and call.method in _HEADER_NAMED:
        raise CallError("no Mcp-Name header", is_mismatch=True)


def _read_call(message: Message) -> Call:
    method = message.method
    if not method:
        return Call(Protocol.MCP, RESPONSE, "", None, message.id)
    if method == RESPONSE:
        raise CallError("a method that stands for replies")
    params = message.params or {}
    check_members(params, _PARAMS, "params")
    name = _read_name(method, params)
    has_more = False
    if method in NAMES_OF_SERVER:
        has_more = not params.keys() <= _BOUND
        arguments = params.get("arguments", {})
        if not isinstance(arguments, dict):
            raise CallError("arguments that are not an object")
    else:
        arguments = {member: value for member, value in params.items() if member != "_meta"}
    return Call(Protocol.MCP, method, name, arguments, message.id, has_more)


def _read_name(method: str, params: dict[str, Json]) -> str:
    if method in NAMES_OF_SERVER:
        return _check_name(params.get("name"), is_uri=False)
    if method in URI_METHODS:
        return _check_name(params.get("uri"), is_uri=True)
    if method != "completion/complete":
        return ""
    ref = params.get("ref")
    if not isinstance(ref, dict):
        raise CallError("no ref")
    check_members(ref, _REF, "ref")
    kind = ref.get("type")
    member = _REF_MEMBERS.get(kind) if isinstance(kind, str) else None
    if member is None or ("name" in ref) == ("uri" in ref):
        raise CallError("a ref to neither a prompt nor a resource, or to both")
    return _check_name(ref.get(member), is_uri=member == "uri", is_template=True)


def _check_name(name: Json, *, is_uri: bool, is_template: bool = False) -> str:
    if not isinstance(name, str) or not 1 <= len(name) <= MAX_NAME:
        raise CallError("a name that is no text, empty or too long")
    if not name.isprintable() or name != name.strip():
        raise CallError("a name that is not printable")
    if is_uri:
        try:
            (check_resource_template if is_template else check_resource_uri)(name)
        except ResourceUriError as error:
            raise CallError(f"a resource URI with more than one reading: {error}") from None
    return name


def _read_version(headers: Mapping[str, str]) -> date | None:
    text = headers.get(VERSION_HEADER)
    if text is None:
        return None
    try:
        if _VERSION.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise CallError("a protocol version that is not one date")


def _read_method_header(headers: Mapping[str, str]) -> str | None:
    text = headers.get(METHOD_HEADER)
    if text is not None and not _METHOD.fullmatch(text):
        raise CallError("an Mcp-Method that is repeated or not plain", is_mismatch=True)
    return text


def _read_name_header(headers: Mapping[str, str]) -> str | None:
    text = headers.get(NAME_HEADER)
    if text is None:
        return None
    if not text.lower().startswith("=?base64?"):
        if not _PLAIN_VALUE.fullmatch(text):
            raise CallError("an Mcp-Name that is repeated or not plain", is_mismatch=True)
        return text
    match = _ENCODED.fullmatch(text)
    if match is not None:
        try:
            octets = base64.b64decode(match[1], validate=True)
            # One spelling: the unused bits of the last character are zero.
            if base64.b64encode(octets) == match[1].encode("ascii"):
                return octets.decode("utf-8", "strict")
        except ValueError:
            pass
    raise CallError("an Mcp-Name in base64 that cannot be read", is_mismatch=True)
