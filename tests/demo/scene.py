"""What a scene of the story is."""

from __future__ import annotations

import json
from dataclasses import dataclass

from deputize.core.reasons import Reason
from tests.demo.tokens import TokenMaker, token
from tests.harness.calls import Call

READ = Call("GET", "/v1/orders/17")
PLACE = Call("POST", "/v1/orders", body=b'{"item": "tea"}')
TOOLS = "/mcp"
ALICE = (token("alice"),)


def tool_call(name: str) -> Call:
    """A call of a tool of the MCP server, about an order."""
    params = {"name": name, "arguments": {"order": 17}}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    content_type = ("Content-Type", "application/json")
    return Call("POST", TOOLS, (content_type,), json.dumps(message).encode())


@dataclass(frozen=True, slots=True)
class Scene:
    """One call and what must come of it.

    Each of `tokens` is sent in an `Authorization` header. `principal` is whom the upstream is
    told the call is for; empty where the call must not get there. `challenge` stands in
    `WWW-Authenticate`. `added_rules` are put at the end of the policy file before the call, in
    place of those added earlier; None leaves the file alone. With `is_approved` the call carries
    the approval that was last asked for.
    """

    title: str
    status: int
    reason: Reason
    call: Call = READ
    agent: str = "research"
    tokens: tuple[TokenMaker, ...] = ALICE
    principal: str = ""
    challenge: str = ""
    added_rules: str | None = None
    is_approved: bool = False


@dataclass(frozen=True, slots=True)
class Act:
    """Scenes about one question."""

    title: str
    scenes: tuple[Scene, ...]
