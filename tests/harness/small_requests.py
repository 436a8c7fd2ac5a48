"""Every request over a small alphabet."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple, cast

from deputize.analysis.policy_set import PolicySet
from deputize.analysis.space import Space
from deputize.analysis.witness import Witness
from deputize.core.model import (
    Call,
    Protocol,
)

ISSUERS = ("https://one.example", "https://two.example")
NO, YES, ERROR = 1, 2, 4
FRESH, USED = 2, 4
_STATES = ("x-a", "x-b", "unused", "approval")


class Point(NamedTuple):
    """One request. `states` are those of all that the analysis does not look into, by name."""

    agent: str
    issuer: str
    subject: str
    claims: frozenset[tuple[str, str]]
    scopes: frozenset[str]
    acr: str
    login_age: int | None
    depth: int
    method: str
    host: str
    segments: tuple[str, ...]
    upgrade: str
    call: Call | None
    states: Mapping[str, int]


def make_call(method: str, name: str = "", protocol: Protocol = Protocol.MCP) -> Call:
    """A call whose arguments do not matter."""
    return Call(protocol, method, name, {}, 1)


_WIDE: Mapping[str, tuple[object, ...]] = {
    "agents": ("td/x", "td/y", "td/z", "td/x/y", "td/z/z", "td2/x"),
    "people": tuple(itertools.product(ISSUERS, ("alice", "bob", "carol"))),
    "claims": tuple(
        frozenset(chosen)
        for size in range(4)
        for chosen in itertools.combinations(
            (("groups", "sales"), ("groups", "staff"), ("level", "1")), size
        )
    ),
    "scopes": tuple(map(frozenset, (("read",), (), ("write",), ("read", "write")))),
    "logins": (("", None), ("gold", 50), ("silver", None), ("gold", 500), ("", 50)),
    "depths": (1, 2, 3, 4),
    "methods": ("POST", "GET", "PUT"),
    "hosts": ("a.t", "b.t", "c.t", "a.b.t", "elsewhere"),
    "paths": tuple(
        path
        for size in (1, 2, 3)
        for path in itertools.product(("a", "b", "c", ""), repeat=size)
        if "" not in path[:-1] and "c" not in path[:-1]
    ),
    "upgrades": ("", "websocket"),
    "calls": (
        None,
        make_call("tools/call", "get"),
        make_call("tools/call", "get_a"),
        make_call("tools/call", "put"),
        make_call("tools/list"),
        make_call("a/b", protocol=Protocol.GRPC),
        make_call("a/c", protocol=Protocol.GRPC),
        make_call("b/b", protocol=Protocol.GRPC),
        make_call("GetTask", "task", protocol=Protocol.A2A),
        make_call("SendMessage", protocol=Protocol.A2A),
    ),
    "x-a": (NO, YES, ERROR),
    "x-b": (NO, YES, ERROR),
    "unused": (YES, NO),
    "approval": (NO, FRESH, USED),
}
_NARROW: Mapping[str, int] = {"people": 2, "paths": 2}


def every_request(wide: Iterable[str], budgets: Iterable[str]) -> Iterator[Point]:
    """All requests that differ in these dimensions, and hardly in others."""
    chosen = {
        name: values if name in wide else values[: _NARROW.get(name, 1)]
        for name, values in _WIDE.items()
    }
    chosen |= dict.fromkeys(budgets, (YES, NO))
    for values in itertools.product(*chosen.values()):
        at = dict(zip(chosen, values, strict=True))
        if _is_impossible(at["calls"], at["paths"], at["methods"]):
            continue
        issuer, subject = cast("tuple[str, str]", at["people"])
        acr, age = cast("tuple[str, int | None]", at["logins"])
        yield Point(
            f"spiffe://{at['agents']}",
            issuer,
            subject,
            cast("frozenset[tuple[str, str]]", at["claims"]),
            cast("frozenset[str]", at["scopes"]),
            acr,
            age,
            cast("int", at["depths"]),
            cast("str", at["methods"]),
            cast("str", at["hosts"]),
            cast("tuple[str, ...]", at["paths"]),
            cast("str", at["upgrades"]),
            cast("Call | None", at["calls"]),
            {name: cast("int", at[name]) for name in (*_STATES, *budgets)},
        )


def from_witness(space: Space, witness: Witness) -> Point:
    """The request of an answer; what it leaves open is not used up, and there is no approval."""
    states = {"x-a": NO, "x-b": NO, "unused": YES, "approval": NO}
    for hinge in witness.hinges:
        text = space.variables.listed[hinge.number].text
        for name in (*states, "not used before", "approve.example"):
            if name in text:
                key = {"not used before": "unused", "approve.example": "approval"}.get(name, name)
                states[key] = hinge.value
        if "the budget of " in text:
            states[text.removeprefix("the budget of ").partition(" in")[0] + " in"] = hinge.value
    return Point(
        witness.agent,
        witness.issuer,
        witness.subject,
        frozenset((name, value) for name, values in witness.claims.items() for value in values),
        frozenset(witness.scopes),
        witness.acr,
        witness.login_age,
        witness.depth,
        witness.method,
        witness.host,
        witness.segments,
        witness.upgrade,
        make_call("no call", protocol=Protocol.MCP) if witness.has_other_body else witness.call,
        states,
    )


def budget_names(*sets: PolicySet) -> list[str]:
    """A name for each budget, which is part of how the analysis tells it."""
    return sorted(
        {
            f"{rule.ref}: {rule.budget.limit} in"
            for each in sets
            for rule in each.rules
            if rule.budget is not None
        }
    )


def _is_impossible(call: object, path: object, method: object) -> bool:
    """A call of gRPC is the one its path names, and a POST."""
    if not isinstance(call, Call) or call.protocol is not Protocol.GRPC:
        return False
    return method != "POST" or call.method != "/".join(cast("tuple[str, ...]", path))
