"""Stage 0, second part: which calls of an agent protocol a request holds.

Read only where a resource is said to speak the protocol, and only once the mandate is shown: no
stranger gets his body parsed.

Rules of this file:
- On such a resource a request is a call of its protocol or refused. Methods that the protocol has
  no call for (a GET that opens a stream of MCP) hold none; only a rule without calls covers them.
  They have no body either: a server might read a call from it.
- A body counts only whole.

Sources: MCP 2026-07-28, Streamable HTTP (`Mcp-Method`, `Mcp-Name`); A2A 1.0 sections 9 to 11;
gRPC over HTTP/2 (`PROTOCOL-HTTP2.md`, Requests).
"""

from __future__ import annotations

from deputize.core.a2a import read_a2a_grpc, read_a2a_json_rpc, read_a2a_rest
from deputize.core.grpc_call import read_grpc_call
from deputize.core.json_rpc import CallError
from deputize.core.mcp import (
    check_mcp_headers,
    may_be_batch,
    read_mcp_calls,
    read_mcp_headers,
)
from deputize.core.model import AccessRequest, Action, Binding, Call, Protocol, Resource
from deputize.core.pattern_trees import RouteTree
from deputize.core.reasons import Reason
from deputize.core.request_body import (
    BodyError,
    BodyTruncatedError,
    read_body,
    read_json_body,
)
from deputize.core.verdict import Denied

_POST = "POST"


def find_resource(action: Action, resources: RouteTree[list[Resource]]) -> Resource | None:
    """What stands behind the route; None where nothing is said of it."""
    for leaf in resources.find(action.host, action.segments):
        # Where several cover a route they say the same: the configuration is checked for it.
        return leaf[0]
    return None


def read_calls(action: Action, request: AccessRequest, resource: Resource | None) -> Action:
    """The action with its calls.

    Raises:
        Denied: request.body_truncated, request.body_unreadable, request.call_mismatch.
    """
    if resource is None or resource.protocol is None:
        return action
    try:
        calls = _read(action, request, resource)
    except BodyTruncatedError as error:
        raise Denied(Reason.REQUEST_BODY_TRUNCATED, str(error)) from None
    except BodyError as error:
        raise Denied(Reason.REQUEST_BODY_UNREADABLE, str(error)) from None
    except CallError as error:
        reason = (
            Reason.REQUEST_CALL_MISMATCH if error.is_mismatch else Reason.REQUEST_BODY_UNREADABLE
        )
        raise Denied(reason, str(error)) from None
    return Action(action.method, action.host, action.segments, action.upgrade, calls)


def _read(action: Action, request: AccessRequest, resource: Resource) -> tuple[Call, ...]:
    match resource.protocol:
        case Protocol.MCP:
            return _read_mcp(action, request, resource)
        case Protocol.GRPC:
            return (_read_grpc(action, request),)
        case _:
            return _read_a2a(action, request, resource)


def _read_mcp(action: Action, request: AccessRequest, resource: Resource) -> tuple[Call, ...]:
    if action.method != _POST:
        return _read_none(request)
    try:
        body = read_json_body(request)
    except BodyTruncatedError:
        if resource.binding is Binding.HEADERS:
            return (read_mcp_headers(request.headers),)
        raise
    calls = read_mcp_calls(body, allow_batch=may_be_batch(request.headers))
    check_mcp_headers(request.headers, calls)
    return calls


def _read_a2a(action: Action, request: AccessRequest, resource: Resource) -> tuple[Call, ...]:
    match resource.binding:
        case Binding.REST:
            return (read_a2a_rest(action.method, action.segments[resource.base :]),)
        case Binding.GRPC:
            _read_grpc(action, request)
            return (read_a2a_grpc(action.segments),)
        case _:
            if action.method != _POST:
                return _read_none(request)
            return read_a2a_json_rpc(read_json_body(request))


def _read_none(request: AccessRequest) -> tuple[Call, ...]:
    if read_body(request):
        raise CallError("a body, where the method has no call")
    return ()


def _read_grpc(action: Action, request: AccessRequest) -> Call:
    content_type = request.headers.get("content-type", "")
    return read_grpc_call(action.method, action.segments, content_type)
