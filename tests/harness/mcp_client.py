"""An agent that speaks MCP with the Python SDK, through the proxy of an `AgentStage`."""

from __future__ import annotations

import ssl
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import TextContent

from tests.harness.agent_stage import AgentStage
from tests.harness.loopback import HOST, free_port, get
from tests.harness.processes import ChildProcess

_START_SECONDS = 30
_ROOT = Path(__file__).parents[2]


@contextmanager
def running_mcp_server(folder: Path) -> Iterator[int]:
    """A server as a process of its own; gives its port."""
    port = free_port()
    command: list[str | Path] = [sys.executable, "-m", "tests.harness.mcp_server", str(port)]
    server = ChildProcess(command, folder / "mcp-server.log")
    try:
        server.wait_ready(lambda: get(f"http://{HOST}:{port}/") is not None, _START_SECONDS)
        yield port
    finally:
        server.stop()


@dataclass(frozen=True, slots=True)
class McpSession:
    """A client that is connected. What it sends has also the headers in `headers`."""

    client: Client
    headers: httpx2.Headers

    async def tools(self) -> list[str]:
        """The names of all tools."""
        return [tool.name for tool in (await self.client.list_tools()).tools]

    async def call(self, name: str, arguments: Mapping[str, object] = {}) -> str:
        """What the tool says.

        Raises:
            MCPError: it is refused.
        """
        result = await self.client.call_tool(name, dict(arguments))
        (content,) = result.content
        assert isinstance(content, TextContent)
        return content.text


@asynccontextmanager
async def open_mcp(
    stage: AgentStage, mode: str, *, host: str = "tools.example"
) -> AsyncIterator[McpSession]:
    """Connects with a fresh token; `mode` is `legacy` or a protocol version."""
    context = ssl.create_default_context(cafile=stage.authority.certificate_file)
    context.load_cert_chain(stage.svid.certificate_file, stage.svid.private_key_file)
    headers = {"host": host, "authorization": f"Bearer {stage.token()}"}
    url = f"https://{HOST}:{stage.proxy.port}/mcp"
    async with httpx2.AsyncClient(verify=context, trust_env=False, headers=headers) as http:
        transport = streamable_http_client(url, http_client=http)
        async with Client(transport, mode=mode) as client:
            yield McpSession(client, http.headers)
