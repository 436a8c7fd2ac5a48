"""A2A, gRPC and WebSockets through a real Envoy: what passes, and what callers are told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from deputize.core.reasons import Reason
from tests.harness.agent_clients import call_rpc, connect_websocket, open_websocket
from tests.harness.agent_stage import AgentStage, allow, rpc, set_agent_stage
from tests.harness.calls import Call
from tests.harness.curl import VERSIONS, Version
from tests.harness.grpc_serving import TRANSPORTS

A2A: dict[str, Any] = {"a2a": {"operations": ["SendMessage", "GetTask"]}, "scopes": ["tasks"]}
A2A_SERVICE = "lf.a2a.v1.A2AService"
ORDERS, STOCK = "orders.v1.Orders", "orders.v1.Stock"
YEAR_SECONDS = 31536000
RULES = (
    allow("json-rpc", "agents.example", path="/a2a", **A2A),
    allow("rest", "agents.example", path="/rest/**", methods=["POST", "GET"], **A2A),
    allow("rpc", "agents.example", path=f"/{A2A_SERVICE}/**", **A2A),
    allow("orders", "grpc.example", path="/**", grpc={"methods": [f"{ORDERS}/Get"]}),
    allow(
        "stock",
        "grpc.example",
        path="/**",
        grpc={"methods": [f"{STOCK}/*"]},
        budget={"limit": 1, "windowSeconds": YEAR_SECONDS},
    ),
    allow("chat", "chat.example", path="/ws", method="GET", upgrades=["websocket"]),
    allow("page", "chat.example", path="/page", method="GET"),
)
RESOURCES = [
    {"hosts": [host], "paths": [path], "protocol": protocol} | read
    for host, path, protocol, read in (
        ("agents.example", "/a2a", "a2a", {}),
        ("agents.example", "/rest/**", "a2a", {"read": "rest"}),
        ("agents.example", f"/{A2A_SERVICE}/**", "a2a", {"read": "grpc"}),
        ("grpc.example", "/**", "grpc", {}),
    )
]


@pytest.fixture(scope="module", params=TRANSPORTS)
def stage(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AgentStage]:
    folder = tmp_path_factory.mktemp("stage")
    with set_agent_stage(folder, RULES, transport=request.param, resources=RESOURCES) as running:
        yield running


@pytest.mark.parametrize("method", ["SendMessage", "message/send"])
def test_a2a_in_json_rpc(stage: AgentStage, method: str) -> None:
    params = {"message": {"role": "ROLE_USER", "parts": [{"text": "hello"}]}}
    body = rpc(method, params)
    answer = stage.send(Call("POST", "/a2a", body=body), "agents.example")
    assert (answer.status, stage.upstream.served[-1].body) == (200, body)
    cancel = rpc("CancelTask", {"id": "task-1"}, number=9)
    answer = stage.send(Call("POST", "/a2a", body=cancel), "agents.example")
    message = json.loads(answer.body)
    assert (answer.status, message["id"]) == (403, 9)
    assert message["error"]["data"]["reason"] == Reason.POLICY_NO_MATCH


@pytest.mark.parametrize("version", VERSIONS)
def test_a2a_in_rest(stage: AgentStage, version: Version) -> None:
    def status(method: str, path: str) -> tuple[int, object]:
        body = b"{}" if method == "POST" else b""
        answer = stage.send(Call(method, path, body=body), "agents.example", version)
        return answer.status, answer.problem.get("reason")

    assert status("POST", "/rest/message:send") == (200, None)
    assert status("GET", "/rest/tasks/task-1") == (200, None)
    assert status("POST", "/rest/tasks/task-1:cancel") == (403, Reason.POLICY_NO_MATCH)
    assert status("POST", "/rest/tasks/task-1:delete") == (400, Reason.REQUEST_BODY_UNREADABLE)


@pytest.mark.parametrize(
    ("host", "method", "scope", "told"),
    [
        ("grpc.example", f"/{ORDERS}/Get", "orders", ("OK", None)),
        ("grpc.example", f"/{ORDERS}/Delete", "orders", ("PERMISSION_DENIED", 403)),
        ("grpc.example", f"/{ORDERS}/Get", None, ("UNAUTHENTICATED", 401)),
        ("agents.example", f"/{A2A_SERVICE}/SendMessage", "tasks", ("OK", None)),
        ("agents.example", f"/{A2A_SERVICE}/CancelTask", "tasks", ("PERMISSION_DENIED", 403)),
        ("agents.example", f"/{A2A_SERVICE}/Explode", "tasks", ("PERMISSION_DENIED", 400)),
    ],
)
def test_grpc(
    stage: AgentStage, host: str, method: str, scope: str | None, told: tuple[str, int | None]
) -> None:
    before = len(stage.upstream.rpcs)
    token = None if scope is None else stage.token(scope)
    reply = call_rpc(stage, host, method, b"\x00\xff!", token=token)
    assert reply.code.name == told[0]
    if told[1] is None:
        assert reply.octets == b"\x00\xff!"
        assert stage.upstream.rpcs[before:] == [method]
    else:
        # Words for people, and no document that a gRPC client would not read.
        assert reply.details
        assert "{" not in reply.details
        assert stage.upstream.rpcs[before:] == []


def test_a_budget_of_grpc_calls(stage: AgentStage) -> None:
    codes = [
        call_rpc(stage, "grpc.example", f"/{STOCK}/Get", b"", token=stage.token()).code.name
        for _ in range(2)
    ]
    # What Envoy makes of 429 (gRPC `http-grpc-status-mapping.md`).
    assert codes == ["OK", "UNAVAILABLE"]


def test_an_upgrade_needs_a_rule_that_lists_it(stage: AgentStage) -> None:
    with open_websocket(stage, "/ws", stage.token()) as opened:
        assert opened.status == 101
        assert opened.echo(b"\x81\x82\x00\x00\x00\x00hi") == b"\x81\x82\x00\x00\x00\x00hi"
    assert stage.upstream.served[-1].headers["x-deputize-principal"] == "alice"
    before = len(stage.upstream.served)
    with open_websocket(stage, "/page", stage.token()) as refused:
        assert refused.status == 403
    with open_websocket(stage, "/ws", None) as refused:
        assert refused.status == 401
    with open_websocket(stage, "/ws", stage.token(), protocol="other/1") as refused:
        assert refused.status == 403
    assert len(stage.upstream.served) == before
    assert stage.send(Call("GET", "/page"), "chat.example").status == 200


def test_an_upgrade_over_http2_needs_it_too(stage: AgentStage) -> None:
    assert connect_websocket(stage, "/ws", stage.token()) == b""
    assert stage.upstream.served[-1].headers["upgrade"] == "websocket"
    for path, token, reason in (
        ("/page", stage.token(), Reason.POLICY_NO_MATCH),
        ("/ws", None, Reason.TOKEN_MISSING),
    ):
        assert json.loads(connect_websocket(stage, path, token))["reason"] == reason


def test_nothing_went_wrong_inside(stage: AgentStage) -> None:
    assert "Traceback" not in stage.deputize.log_file.read_text()
