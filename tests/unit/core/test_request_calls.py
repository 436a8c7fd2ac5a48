from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from deputize.core.model import AccessRequest, Action, Binding, Call, Protocol, Resource
from deputize.core.reasons import Reason
from deputize.core.request import read_action
from deputize.core.request_calls import find_resource, read_calls
from tests.harness.expect import refused
from tests.harness.world import HOST, make_policies, make_request

MCP = Resource(Protocol.MCP, Binding.BODY, 0, "")
MCP_HEADERS = Resource(Protocol.MCP, Binding.HEADERS, 0, "")
A2A = Resource(Protocol.A2A, Binding.JSON_RPC, 0, "")
A2A_REST = Resource(Protocol.A2A, Binding.REST, 1, "")
A2A_GRPC = Resource(Protocol.A2A, Binding.GRPC, 0, "")
GRPC = Resource(Protocol.GRPC, None, 0, "")
PLAIN = Resource(None, None, 0, "https://orders.example/metadata")

MODERN = {
    "mcp-protocol-version": "2026-07-28",
    "mcp-method": "tools/call",
    "mcp-name": "get_order",
}
UTF_7 = {"content-type": "application/json; charset=utf-7"}
CUT = -1
A2A_METHOD = "/lf.a2a.v1.A2AService/GetTask"


def message(method: str, **params: object) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()


TOOL = message("tools/call", name="get_order", arguments={"id": 7})
TASK = message("GetTask", id="t-1")


def asked(
    body: bytes = b"",
    *,
    method: str = "POST",
    path: str = "/mcp",
    headers: Mapping[str, str] = {},
    size: int | None = None,
) -> AccessRequest:
    request = make_request(method=method, path=path, headers=headers)
    return request._replace(body=body, body_size=len(body) if size is None else size)


def calls(request: AccessRequest, resource: Resource | None) -> tuple[Call, ...]:
    action = read_action(request)
    after = read_calls(action, request, resource)
    assert after._replace(calls=()) == action
    return after.calls


@pytest.mark.parametrize(
    ("request_", "resource", "expected"),
    [
        (asked(TOOL), MCP, Call(Protocol.MCP, "tools/call", "get_order", {"id": 7}, 1)),
        (asked(TOOL), MCP_HEADERS, Call(Protocol.MCP, "tools/call", "get_order", {"id": 7}, 1)),
        (
            asked(TOOL, headers=MODERN),
            MCP,
            Call(Protocol.MCP, "tools/call", "get_order", {"id": 7}, 1),
        ),
        (
            asked(TOOL[:9], size=CUT, headers=MODERN),
            MCP_HEADERS,
            Call(Protocol.MCP, "tools/call", "get_order", None, None),
        ),
        (
            asked(headers=MODERN),
            MCP_HEADERS,
            Call(Protocol.MCP, "tools/call", "get_order", None, None),
        ),
        (asked(TASK), A2A, Call(Protocol.A2A, "GetTask", "t-1", {"id": "t-1"}, 1)),
        (
            asked(method="GET", path="/a2a/tasks/t-1"),
            A2A_REST,
            Call(Protocol.A2A, "GetTask", "t-1", None, None),
        ),
        (
            asked(path=A2A_METHOD, headers={"content-type": "application/grpc+proto"}),
            A2A_GRPC,
            Call(Protocol.A2A, "GetTask", "", None, None),
        ),
        (
            asked(path="/shop.Orders/Get", headers={"content-type": "application/grpc"}),
            GRPC,
            Call(Protocol.GRPC, "shop.Orders/Get", "", None, None),
        ),
    ],
)
def test_a_call_is_read_where_the_resource_says(
    request_: AccessRequest, resource: Resource, expected: Call
) -> None:
    assert calls(request_, resource) == (expected,)


def test_several_calls_are_read_in_their_order() -> None:
    body = json.dumps(
        [
            {"jsonrpc": "2.0", "id": number, "method": method}
            for number, method in enumerate(["tools/list", "ping"])
        ]
    ).encode()
    assert [call.method for call in calls(asked(body), MCP)] == ["tools/list", "ping"]


@pytest.mark.parametrize("resource", [None, PLAIN])
def test_where_no_protocol_is_spoken_nothing_is_read(resource: Resource | None) -> None:
    assert calls(asked(b"{", size=CUT), resource) == ()


@pytest.mark.parametrize("resource", [MCP, MCP_HEADERS, A2A])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_other_methods_of_json_rpc_hold_no_call(resource: Resource, method: str) -> None:
    assert calls(asked(method=method), resource) == ()
    assert calls(asked(method=method, headers={"content-length": "0"}), resource) == ()
    with refused(Reason.REQUEST_BODY_UNREADABLE):
        calls(asked(TOOL, method=method), resource)
    with refused(Reason.REQUEST_BODY_TRUNCATED):
        calls(asked(method=method, headers={"content-length": "99"}), resource)


@pytest.mark.parametrize(
    ("request_", "resource", "reason"),
    [
        (asked(TOOL, size=CUT), MCP, Reason.REQUEST_BODY_TRUNCATED),
        (asked(TOOL, size=CUT, headers=MODERN), MCP, Reason.REQUEST_BODY_TRUNCATED),
        (asked(), MCP, Reason.REQUEST_BODY_TRUNCATED),
        (asked(TASK, size=CUT), A2A, Reason.REQUEST_BODY_TRUNCATED),
        (asked(TOOL)._replace(body_defect="x"), MCP, Reason.REQUEST_BODY_UNREADABLE),
        (asked(TOOL)._replace(body_defect="x"), MCP_HEADERS, Reason.REQUEST_BODY_UNREADABLE),
        (asked(TOOL, headers=UTF_7), MCP, Reason.REQUEST_BODY_UNREADABLE),
        (asked(TOOL, headers=UTF_7), MCP_HEADERS, Reason.REQUEST_BODY_UNREADABLE),
        (asked(TASK, headers=UTF_7), A2A, Reason.REQUEST_BODY_UNREADABLE),
        (asked(b"{}"), MCP, Reason.REQUEST_BODY_UNREADABLE),
        (asked(b"[]"), MCP, Reason.REQUEST_BODY_UNREADABLE),
        (asked(TOOL), A2A, Reason.REQUEST_BODY_UNREADABLE),
        (asked(size=CUT), MCP_HEADERS, Reason.REQUEST_BODY_UNREADABLE),
        (
            asked(TOOL, headers={**MODERN, "mcp-name": "other"}),
            MCP,
            Reason.REQUEST_CALL_MISMATCH,
        ),
        (
            asked(TOOL, headers={**MODERN, "mcp-name": "other"}),
            MCP_HEADERS,
            Reason.REQUEST_CALL_MISMATCH,
        ),
        (asked(path="/a2a/other"), A2A_REST, Reason.REQUEST_BODY_UNREADABLE),
        (asked(path=A2A_METHOD), A2A_GRPC, Reason.REQUEST_BODY_UNREADABLE),
        (
            asked(path="/other/GetTask", headers={"content-type": "application/grpc"}),
            A2A_GRPC,
            Reason.REQUEST_BODY_UNREADABLE,
        ),
        (asked(path="/shop.Orders/Get"), GRPC, Reason.REQUEST_BODY_UNREADABLE),
    ],
)
def test_what_is_no_call_of_its_protocol_is_refused(
    request_: AccessRequest, resource: Resource, reason: Reason
) -> None:
    with refused(reason):
        calls(request_, resource)


def test_a_resource_is_found_by_its_route() -> None:
    resources = make_policies(
        [], resources=[(HOST, "/mcp", MCP), ("*", "/mcp", MCP), ("*", "/a2a/**", A2A_REST)]
    ).resources
    assert find_resource(Action("POST", HOST, ("mcp",)), resources) is MCP
    assert find_resource(Action("POST", "other", ("a2a", "tasks")), resources) is A2A_REST
    assert find_resource(Action("POST", HOST, ("v1",)), resources) is None
