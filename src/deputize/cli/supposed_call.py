"""A call that nobody made, and the check message a proxy would send for it.

Rules of this file:
- Nothing is repaired: what a proxy would pass on is passed on, and refused by the decision.
- A call of an agent protocol is written the way its resource reads it.

Sources: A2A 1.0 sections 9 to 11 and `a2a.proto` (HTTP annotations); gRPC
`doc/PROTOCOL-HTTP2.md`; for MCP `mcp_message.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from deputize._proto.envoy.service.auth.v3.external_auth_pb2 import CheckRequest
from deputize.adapters.envoy_request import read_check
from deputize.cli.mcp_message import write_json_rpc, write_mcp
from deputize.core.a2a import GRPC_SERVICE
from deputize.core.model import (
    AccessRequest,
    Binding,
    DelegationStyle,
    Json,
    Kind,
    Protocol,
    Resource,
)
from deputize.core.request_body import BODILESS_METHODS

DEFAULT_AT = 1767614400.0
"""Noon of Monday, 5 January 2026 in UTC: the same answer whenever it is asked."""

_GRPC_HEADERS = {"content-type": "application/grpc", "te": "trailers"}
# By operation: HTTP method and what follows the base path; {} is the task, the last * a config.
_A2A_PATHS: Mapping[str, tuple[str, str]] = {
    "SendMessage": ("POST", "/message:send"),
    "SendStreamingMessage": ("POST", "/message:stream"),
    "GetTask": ("GET", "/tasks/{}"),
    "ListTasks": ("GET", "/tasks"),
    "CancelTask": ("POST", "/tasks/{}:cancel"),
    "SubscribeToTask": ("POST", "/tasks/{}:subscribe"),
    "CreateTaskPushNotificationConfig": ("POST", "/tasks/{}/pushNotificationConfigs"),
    "ListTaskPushNotificationConfigs": ("GET", "/tasks/{}/pushNotificationConfigs"),
    "GetTaskPushNotificationConfig": ("GET", "/tasks/{}/pushNotificationConfigs/config"),
    "DeleteTaskPushNotificationConfig": ("DELETE", "/tasks/{}/pushNotificationConfigs/config"),
    "GetExtendedAgentCard": ("GET", "/extendedAgentCard"),
}
_CONFIG_OPERATION = "PushNotificationConfig"


class SupposedCallError(ValueError):
    """Nobody could make this call: it cannot be written down as a token and a request."""


@dataclass(frozen=True, slots=True)
class AgentCall:
    """A call of an agent protocol: `method` and `name` as `core.model.Call` has them."""

    protocol: Protocol
    method: str
    name: str = ""
    arguments: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SupposedCall:
    """Who calls, for whom, and what.

    `chain` are earlier actors after the agent, nearest first. `method` may be left empty: POST for
    a call of an agent protocol, GET otherwise. `path` is undecoded, with query. `headers` have
    lower-case names. `approved` is true, or the name of the one who approved. `at` is in seconds
    since the epoch. `claims` are those of the token beside who and what it says of agent,
    principal and scopes. `used` is how often each budget was used before.
    """

    agent: str
    issuer: str
    subject: str
    claims: Mapping[str, Json] = field(default_factory=dict)
    scopes: frozenset[str] = frozenset()
    chain: tuple[str, ...] = ()
    style: DelegationStyle = DelegationStyle.DELEGATED
    kind: Kind = Kind.UNKNOWN
    method: str = ""
    host: str
    path: str = "/"
    headers: Mapping[str, str] = field(default_factory=dict)
    call: AgentCall | None = None
    body: bytes = b""
    approved: bool | str = False
    at: float = DEFAULT_AT
    upgrade: str = ""
    used: int = 0


@dataclass(slots=True)
class _Http:
    """A request in the making."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    shows_body: bool = True


FindResource = Callable[[AccessRequest], Resource | None]


def ask(
    call: SupposedCall, headers: Mapping[str, str], find_resource: FindResource, decision_id: str
) -> AccessRequest:
    """The request as a proxy would send it.

    `headers` are there beside those of the call. `find_resource` tells what stands behind the
    route of a request.

    Raises:
        SupposedCallError: it cannot be written down.
    """
    http = _Http(call.method or "GET", call.path, {**headers, **call.headers}, call.body)
    if call.upgrade:
        http.headers |= {"connection": "upgrade", "upgrade": call.upgrade}
    if call.call is None:
        return _ask_plain(call, http, find_resource, decision_id)
    http.method = call.method or "POST"
    resource = find_resource(_send(call, http, decision_id))
    if resource is None and call.call.protocol is not Protocol.MCP:
        # These may have a path of their own.
        elsewhere = _Http(http.method, _grpc_path(call.call), dict(http.headers), b"")
        resource = find_resource(_send(call, elsewhere, decision_id))
    try:
        _write(call.call, resource, http)
    except (ValueError, TypeError, RecursionError) as error:
        raise SupposedCallError(f"the call cannot be written as JSON: {error}") from None
    return _send(call, http, decision_id)


def _ask_plain(
    call: SupposedCall, http: _Http, find_resource: FindResource, decision_id: str
) -> AccessRequest:
    """A request without a call; what gRPC reads from path and headers alone is sent as gRPC."""
    asked = _send(call, http, decision_id)
    resource = find_resource(asked)
    if resource is None or "grpc" not in (resource.protocol, resource.binding):
        return asked
    http.method = call.method or "POST"
    http.headers = _GRPC_HEADERS | http.headers
    return _send(call, http, decision_id)


def _send(call: SupposedCall, http: _Http, decision_id: str) -> AccessRequest:
    try:
        check = CheckRequest()
        check.attributes.source.principal = call.agent
        sent = check.attributes.request.http
        sent.method, sent.scheme, sent.host, sent.path = http.method, "https", call.host, http.path
        headers = dict(http.headers)
        if http.body or http.method not in BODILESS_METHODS:
            headers.setdefault("content-length", str(len(http.body)))
        if http.shows_body:
            sent.raw_body, sent.size = http.body, len(http.body)
        names = {":method": http.method, ":authority": call.host, ":path": http.path}
        sent.headers.update({**headers, **names})
        return read_check(check.SerializeToString(), decision_id, None)
    except (ValueError, TypeError) as error:
        raise SupposedCallError(f"the request cannot be written down: {error}") from None


def _write(call: AgentCall, resource: Resource | None, http: _Http) -> None:
    """Writes the call into the request."""
    binding = None if resource is None else resource.binding
    if call.protocol is Protocol.MCP:
        headers, http.body = write_mcp(call.method, call.name, call.arguments)
        http.headers = {**headers, **http.headers}
        http.shows_body = binding is not Binding.HEADERS
    elif call.protocol is Protocol.GRPC or binding is Binding.GRPC:
        http.headers = _GRPC_HEADERS | http.headers
        http.path = _grpc_path(call)
    elif binding is Binding.REST and resource is not None:
        base = http.path.partition("?")[0].rstrip("/")
        method, suffix = _A2A_PATHS.get(call.method, (http.method, f"/{call.method}"))
        # Who gives the whole path means it.
        if base.count("/") == resource.base:
            http.method, http.path = method, base + suffix.replace("{}", call.name)
    else:
        _write_a2a(call, http)


def _write_a2a(call: AgentCall, http: _Http) -> None:
    params = dict(call.arguments)
    if call.name:
        params["taskId" if _CONFIG_OPERATION in call.method else "id"] = call.name
    http.body = write_json_rpc(call.method, params)
    http.headers = {"content-type": "application/json", **http.headers}


def _grpc_path(call: AgentCall) -> str:
    service = "" if call.protocol is Protocol.GRPC else f"{GRPC_SERVICE}/"
    return f"/{service}{call.method}"
