"""Calls of MCP through a real Envoy: which bodies pass, and what callers are told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from deputize.core.reasons import Reason
from tests.harness.agent_clients import send_late
from tests.harness.agent_proxy import BodyOptions
from tests.harness.agent_stage import AgentStage, allow, reason_of, set_agent_stage, tool, tool_call
from tests.harness.agent_upstream import SERVED
from tests.harness.calls import Answer, Call
from tests.harness.curl import VERSIONS, Version
from tests.harness.grpc_serving import TRANSPORTS

MEGABYTE = 1024 * 1024
CUT_BYTES = 200
METADATA_URL = "https://tools.example/.well-known/oauth-protected-resource/mcp"
WEATHER = tool_call("get_weather", {"city": "Zürich"})
SECRET = tool_call("read_secrets", number="abc-7")
READ: dict[str, Any] = {"scopes": ["tools:read"]}
RULES = (
    tool("get_weather", **READ),
    tool("admin", scopes=["admin"]),
    allow("session", "tools.example", mcp={"methods": ["initialize", "notifications/*"]}),
    allow("stream", "tools.example", method="GET"),
    allow("light", "light.example", mcp={"methods": ["tools/call"], "names": ["get_weather"]}),
)
RESOURCES = [
    {"hosts": ["tools.example"], "paths": ["/mcp"], "protocol": "mcp", "metadataUrl": METADATA_URL},
    {"hosts": ["light.example"], "paths": ["/mcp"], "protocol": "mcp", "read": "headers"},
]
NEW = ("mcp-protocol-version", "2026-07-28")
METHOD, NAME = ("mcp-method", "tools/call"), ("mcp-name", "get_weather")


@pytest.fixture(scope="module", params=TRANSPORTS)
def stage(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AgentStage]:
    folder = tmp_path_factory.mktemp("stage")
    with set_agent_stage(folder, RULES, transport=request.param, resources=RESOURCES) as running:
        yield running


@pytest.fixture(scope="module")
def cutting(stage: AgentStage) -> AgentStage:
    """Behind a proxy that sends only the first bytes of a body."""
    return stage.with_proxy("cutting", BodyOptions(max_bytes=CUT_BYTES, is_partial=True))


@pytest.fixture(scope="module")
def texts(stage: AgentStage) -> AgentStage:
    """Behind a proxy that sends bodies as text."""
    return stage.with_proxy("texts", BodyOptions(max_bytes=MEGABYTE, as_bytes=False))


@pytest.fixture(scope="module")
def blind(stage: AgentStage) -> AgentStage:
    """Behind a proxy that sends no bodies."""
    return stage.with_proxy("blind", None)


def error_of(answer: Answer) -> dict[str, Any]:
    """The JSON-RPC error, with the id of the message that it is in."""
    assert answer.headers.get_content_type() == "application/json"
    message = json.loads(answer.body)
    assert message["jsonrpc"] == "2.0"
    return {"id": message["id"], **message["error"]}


def assert_served(stage: AgentStage, answer: Answer, body: bytes) -> None:
    """The upstream got exactly this body."""
    assert (answer.status, answer.body) == (200, SERVED)
    assert stage.upstream.served[-1].body == body


@pytest.mark.parametrize("version", VERSIONS)
def test_an_allowed_tool_gets_the_body_as_it_was_sent(stage: AgentStage, version: Version) -> None:
    assert_served(stage, stage.call_tool(WEATHER, version=version), WEATHER)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_body_of_unknown_length_may_be_a_part(stage: AgentStage, version: Version) -> None:
    answer = stage.call_tool(WEATHER, version=version, chunked=True)
    assert (answer.status, reason_of(answer)) == (413, Reason.REQUEST_BODY_TRUNCATED)


def test_what_follows_the_limit_of_the_proxy_is_not_let_in(cutting: AgentStage) -> None:
    # Envoy asks as soon as it has as much as it may send, and says that this is not a part.
    before = len(cutting.upstream.served)
    answer = send_late(cutting, WEATHER.ljust(CUT_BYTES), SECRET)
    assert reason_of(answer) == Reason.REQUEST_BODY_TRUNCATED
    assert len(cutting.upstream.served) == before


@pytest.mark.parametrize("version", VERSIONS)
def test_another_tool_is_refused_in_json_rpc(stage: AgentStage, version: Version) -> None:
    before = len(stage.upstream.served)
    answer = stage.call_tool(SECRET, version=version)
    error = error_of(answer)
    assert (answer.status, error["id"], error["code"]) == (403, "abc-7", -32003)
    assert error["data"] == {
        "reason": Reason.POLICY_NO_MATCH,
        "decision_id": answer.header("x-deputize-decision-id"),
    }
    assert len(stage.upstream.served) == before


def test_the_access_log_and_the_event_name_the_tool(stage: AgentStage) -> None:
    decision_id = stage.call_tool(SECRET).header("x-deputize-decision-id")
    logged = stage.proxy.logged(decision_id)["ext_authz"]
    assert (logged["call"], logged["call_name"]) == ("tools/call", "read_secrets")
    event = stage.deputize.audit_event(decision_id)
    assert "read_secrets" in json.dumps(event)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "body",
    [
        WEATHER.replace(b'"name": ', b'"name": "read_secrets", "name": '),
        WEATHER.replace(b'"id": 1', b'"id": 1, "Method": "tools/list"'),
        b"\xef\xbb\xbf" + WEATHER,
        WEATHER + WEATHER,
        WEATHER.replace(b"Z\\u00fcrich", b"Z\xfcrich"),
    ],
    ids=["duplicate", "case", "mark", "two", "not-utf8"],
)
def test_a_body_with_more_than_one_reading_is_refused(
    stage: AgentStage, version: Version, body: bytes
) -> None:
    before = len(stage.upstream.served)
    answer = stage.call_tool(body, version=version)
    assert (answer.status, error_of(answer)["code"]) == (400, -32600)
    assert reason_of(answer) == Reason.REQUEST_BODY_UNREADABLE
    assert len(stage.upstream.served) == before


def test_in_a_batch_each_call_must_be_allowed(stage: AgentStage) -> None:
    other = tool_call("get_weather", number=2)
    good, bad = (b"[" + WEATHER + b", " + second + b"]" for second in (other, SECRET))
    assert_served(stage, stage.call_tool(good), good)
    assert reason_of(stage.call_tool(bad)) == Reason.POLICY_NO_MATCH
    answer = stage.call_tool(good, ("mcp-protocol-version", "2025-11-25"))
    assert reason_of(answer) == Reason.REQUEST_BODY_UNREADABLE


@pytest.mark.parametrize("version", VERSIONS)
def test_headers_agree_with_the_body(stage: AgentStage, version: Version) -> None:
    answer = stage.call_tool(WEATHER, NEW, METHOD, NAME, version=version)
    assert_served(stage, answer, WEATHER)
    for headers in (
        (NEW, METHOD, ("mcp-name", "read_secrets")),
        (NEW, METHOD),
        (("mcp-method", "tools/list"),),
    ):
        answer = stage.call_tool(WEATHER, *headers, version=version)
        error = error_of(answer)
        assert (answer.status, error["code"], error["id"]) == (400, -32020, None)
        assert error["data"]["reason"] == Reason.REQUEST_CALL_MISMATCH


def test_a_stream_is_opened_and_no_call_goes_with_it(stage: AgentStage) -> None:
    assert stage.send(Call("GET", "/mcp")).status == 200
    answer = stage.send(Call("GET", "/mcp", body=SECRET))
    assert reason_of(answer) == Reason.REQUEST_BODY_UNREADABLE
    assert reason_of(stage.send(Call("DELETE", "/mcp"))) == Reason.POLICY_NO_MATCH


@pytest.mark.parametrize("version", VERSIONS)
def test_a_body_that_was_cut_is_refused(cutting: AgentStage, version: Version) -> None:
    assert_served(cutting, cutting.call_tool(WEATHER, version=version), WEATHER)
    # Its first bytes are a call that is allowed, and white space may follow.
    padded = WEATHER + b" " * 300
    before = len(cutting.upstream.served)
    answer = cutting.call_tool(padded, version=version)
    assert (answer.status, reason_of(answer)) == (413, Reason.REQUEST_BODY_TRUNCATED)
    assert len(cutting.upstream.served) == before


@pytest.mark.parametrize("value", ["false", "true", "false,false"])
def test_what_a_client_says_of_cut_bodies_lets_nothing_in(cutting: AgentStage, value: str) -> None:
    partial = ("x-envoy-auth-partial-body", value)
    answer = cutting.call_tool(WEATHER + b" " * 300, partial)
    assert reason_of(answer) == Reason.REQUEST_BODY_TRUNCATED


def test_a_body_above_the_proxys_limit_is_not_asked_about(stage: AgentStage) -> None:
    small = stage.with_proxy("small", BodyOptions(max_bytes=200))
    before = len(stage.upstream.served), stage.deputize.decisions
    assert small.call_tool(WEATHER + b" " * 300).status == 413
    assert (len(stage.upstream.served), stage.deputize.decisions) == before


@pytest.mark.parametrize("version", VERSIONS)
def test_a_large_body_arrives_whole(stage: AgentStage, version: Version) -> None:
    body = tool_call("get_weather", {"city": "x" * MEGABYTE})
    assert_served(stage, stage.call_tool(body, version=version), body)
    body = tool_call("read_secrets", {"city": "x" * MEGABYTE})
    assert reason_of(stage.call_tool(body, version=version)) == Reason.POLICY_NO_MATCH


def test_bodies_as_text_are_read_where_nothing_may_have_changed(texts: AgentStage) -> None:
    assert_served(texts, texts.call_tool(WEATHER), WEATHER)
    for city in (b"Z\xc3\xbcrich!", b"Z\xfcrich"):
        answer = texts.call_tool(WEATHER.replace(b"Z\\u00fcrich", city))
        assert reason_of(answer) == Reason.REQUEST_BODY_UNREADABLE


def test_without_bodies_only_headers_can_say_what_is_called(blind: AgentStage) -> None:
    assert reason_of(blind.call_tool(WEATHER, NEW, METHOD, NAME)) == Reason.REQUEST_BODY_TRUNCATED
    answer = blind.call_tool(WEATHER, NEW, METHOD, NAME, host="light.example")
    assert_served(blind, answer, WEATHER)


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ((NEW, METHOD, ("mcp-name", "read_secrets")), Reason.POLICY_NO_MATCH),
        ((NEW, METHOD), Reason.REQUEST_CALL_MISMATCH),
        ((NEW,), Reason.REQUEST_CALL_MISMATCH),
        ((NEW, METHOD, NAME, NAME), Reason.REQUEST_CALL_MISMATCH),
        ((NEW, METHOD, NAME, ("mcp_name", "read_secrets")), Reason.REQUEST_CALL_MISMATCH),
        ((("mcp-protocol-version", "2025-11-25"), METHOD, NAME), Reason.REQUEST_BODY_UNREADABLE),
        ((METHOD, NAME), Reason.REQUEST_BODY_UNREADABLE),
    ],
)
def test_headers_alone_are_read_strictly(
    blind: AgentStage, headers: tuple[tuple[str, str], ...], reason: Reason
) -> None:
    answer = blind.call_tool(WEATHER, *headers, host="light.example")
    assert reason_of(answer) == reason


def test_the_challenge_says_where_to_get_what(stage: AgentStage) -> None:
    answer = stage.curl().send(Call("POST", "/mcp", body=WEATHER))
    assert (answer.status, reason_of(answer)) == (401, Reason.TOKEN_MISSING)
    assert f'resource_metadata="{METADATA_URL}"' in answer.header("www-authenticate")

    answer = stage.call_tool(tool_call("admin"))
    assert (answer.status, error_of(answer)["id"]) == (403, 1)
    challenge = answer.header("www-authenticate")
    assert 'error="insufficient_scope"' in challenge
    assert 'scope="admin"' in challenge
    assert f'resource_metadata="{METADATA_URL}"' in challenge
