"""`python -m tests.harness.mcp_server PORT` is a server of MCP, made with its Python SDK."""

from __future__ import annotations

import sys

from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings

from tests.harness.loopback import HOST


def main(port: int) -> None:
    """Serves tools on loopback until it is ended."""
    server = MCPServer("weather")

    @server.tool()
    def get_weather(city: str) -> str:
        """Says how the weather is."""
        return f"sunny in {city}"

    @server.tool()
    def send_mail(to: str) -> str:
        """Writes to somebody."""
        return f"told {to}"

    @server.tool()
    def read_secrets() -> str:
        """Tells what nobody shall know."""
        return "the secret"

    # Its own check of host names knows none of the tests'.
    anybody = TransportSecuritySettings(enable_dns_rebinding_protection=False)
    server.run("streamable-http", host=HOST, port=port, transport_security=anybody)


if __name__ == "__main__":
    main(int(sys.argv[1]))
