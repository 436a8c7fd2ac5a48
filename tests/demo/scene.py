"""What a scene of the story is."""

from __future__ import annotations

from dataclasses import dataclass

from deputize.core.reasons import Reason
from tests.demo.tokens import TokenMaker, token
from tests.harness.calls import Call

READ = Call("GET", "/v1/orders/17")
PLACE = Call("POST", "/v1/orders", body=b'{"item": "tea"}')
ALICE = (token("alice"),)


@dataclass(frozen=True, slots=True)
class Scene:
    """One call and what must come of it.

    Each of `tokens` is sent in an `Authorization` header. `principal` is whom the upstream is
    told the call is for; empty where the call must not get there. `challenge` stands in
    `WWW-Authenticate`. `added_rules` are put at the end of the policy file before the call, in
    place of those added earlier; None leaves the file alone.
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


@dataclass(frozen=True, slots=True)
class Act:
    """Scenes about one question."""

    title: str
    scenes: tuple[Scene, ...]
