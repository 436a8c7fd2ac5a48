"""The Python SDK of MCP, as agent and as server, with Envoy and deputize between the two."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest
from mcp import MCPError

from deputize.core.reasons import Reason
from tests.harness.agent_stage import WHOLE_BODIES, AgentStage, allow, set_agent_stage, tool
from tests.harness.approvals import APPROVALS_URL
from tests.harness.mcp_client import McpSession, open_mcp, running_mcp_server

NEWEST = "2026-07-28"
VERSIONS = {"auto": NEWEST, "legacy": "2025-11-25"}
SESSION = {"methods": ["initialize", "server/discover", "notifications/*", "tools/list"]}
WEATHER = {"methods": ["tools/call"], "names": ["get_weather"]}
RULES = (
    allow("session", "tools.example", mcp=SESSION),
    allow("stream", "tools.example", methods=["GET", "DELETE"]),
    tool("get_weather"),
    tool("send_mail", approval={"services": [APPROVALS_URL]}),
    allow("light-session", "light.example", mcp=SESSION),
    allow("light-weather", "light.example", mcp=WEATHER),
)
RESOURCES = [
    {"hosts": ["tools.example"], "paths": ["/mcp"], "protocol": "mcp"},
    {"hosts": ["light.example"], "paths": ["/mcp"], "protocol": "mcp", "read": "headers"},
]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AgentStage]:
    folder = tmp_path_factory.mktemp("stage")
    with (
        running_mcp_server(folder) as port,
        set_agent_stage(folder, RULES, resources=RESOURCES) as running,
    ):
        yield running.with_proxy("mcp", WHOLE_BODIES, upstream_port=port)


async def assert_allowed_and_refused(session: McpSession) -> None:
    assert await session.tools() == ["get_weather", "send_mail", "read_secrets"]
    assert await session.call("get_weather", {"city": "Zürich"}) == "sunny in Zürich"
    with pytest.raises(MCPError) as refused:
        await session.call("read_secrets")
    assert refused.value.error.code == -32003
    assert refused.value.error.data["reason"] == Reason.POLICY_NO_MATCH


@pytest.mark.parametrize("mode", VERSIONS)
def test_one_tool_is_called_and_another_refused(stage: AgentStage, mode: str) -> None:
    async def converse() -> None:
        async with open_mcp(stage, mode) as session:
            assert session.client.protocol_version == VERSIONS[mode]
            await assert_allowed_and_refused(session)

    asyncio.run(converse())


def test_headers_say_enough_where_no_body_is_sent(stage: AgentStage) -> None:
    async def converse() -> None:
        async with open_mcp(blind, "auto", host="light.example") as session:
            assert session.client.protocol_version == NEWEST
            await assert_allowed_and_refused(session)

    blind = stage.with_proxy("blind", None, upstream_port=stage.proxy.options.upstream_port)
    asyncio.run(converse())


@pytest.mark.parametrize("mode", VERSIONS)
def test_a_call_is_approved(stage: AgentStage, mode: str) -> None:
    async def converse() -> None:
        async with open_mcp(stage, mode) as session:
            with pytest.raises(MCPError) as refused:
                await session.call("send_mail", {"to": "acme"})
            asked = refused.value.error.data["approval"]
            session.headers["x-approval"] = stage.desk.approve(asked, now=time.time())
            assert await session.call("send_mail", {"to": "acme"}) == "told acme"
            with pytest.raises(MCPError) as refused:
                await session.call("send_mail", {"to": "acme"})
            assert refused.value.error.data["reason"] == Reason.POLICY_APPROVAL_INVALID

    asyncio.run(converse())
