"""Every request over a small alphabet."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, cast

from deputize.analysis.counts import Approval, Count, Counts
from deputize.analysis.policy_set import PolicySet
from deputize.analysis.space import Space
from deputize.analysis.variables import Kind
from deputize.analysis.witness import Witness
from deputize.core.model import Call, Json, Protocol

ISSUERS = ("https://one.example", "https://two.example")
NO, YES = 1, 2
TWICE = "0,1"
"""A header that was sent twice, which nobody can read."""
SERVICES = ("https://a.example", "https://b.example")
APPROVALS: tuple[Approval | None, ...] = (
    None,
    *(
        Approval(service, is_by_principal, is_used)
        for service in SERVICES
        for is_by_principal in (False, True)
        for is_used in (False, True)
    ),
)
HEADERS = ("x-a", "x-b")
_COUNTS: tuple[object, ...] = (0, 1, 2)
_MIXED: tuple[Json, ...] = (
    None, 0, 1, 1.5, 2, 3, True, False, {},
    "EU", "US", "E", "EUR", "XU", "X", "a/b", "a/../b", "a/../U",
    [], ["EU"], ["US"], ["EU", "US"], ["EU", "X"], ["X"], ["EU", 1], [1], [2, 1], [5], [{}], [True],
)  # fmt: skip


class Point(NamedTuple):
    """One request.

    `facts` are headers by name, and the claim `mixed`. `counts` say how often each rule's budget
    was used. `is_unused` is about the token.
    """

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
    facts: Mapping[str, Json]
    counts: Mapping[str, int]
    approval: Approval | None
    is_unused: bool


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
    "x-a": ("0", "1", TWICE, None, "10"),
    "x-b": ("0", "1", TWICE),
    "mixed": _MIXED,
    "unused": (True, False),
    "approval": APPROVALS[:5] + APPROVALS[-2:],
}
_NARROW: Mapping[str, int] = {"people": 2, "paths": 2}


def every_request(wide: Iterable[str], budgets: Sequence[Sequence[str]]) -> Iterator[Point]:
    """All requests that differ in these dimensions, and hardly in others.

    `budgets` are names of rules; those that stand together have one count.
    """
    chosen = {
        name: values if name in wide else values[: _NARROW.get(name, 1)]
        for name, values in _WIDE.items()
    }
    chosen |= {names[0]: _COUNTS for names in budgets}
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
            {name: cast("Json", at[name]) for name in (*HEADERS, "mixed")},
            {name: cast("int", at[names[0]]) for names in budgets for name in names},
            cast("Approval | None", at["approval"]),
            cast("bool", at["unused"]),
        )


def from_witness(space: Space, witness: Witness) -> Point:
    """The request of an answer; what it leaves open is not used up, and there is no approval."""
    facts: dict[str, Json] = {**witness.headers, "mixed": witness.claims.get("mixed")}
    named = space.variables.counts.renamed
    counts: dict[str, int] = {}
    approval, is_unused = None, True
    for hinge in witness.hinges:
        variable = space.variables.listed[hinge.number]
        value = hinge.value.bit_length() - 1
        if variable.kind is Kind.APPROVAL:
            approval = space.variables.counts.approvals[value]
        elif variable.kind is Kind.UNUSED:
            is_unused = hinge.value == YES
        elif variable.kind is Kind.BUDGET:
            assert isinstance(variable.of, Count)
            ref = variable.of.ref
            count = variable.of.limits[value - 1] if value else 0
            counts |= {str(new): count for old, new in named if old == ref}
            counts[str(ref)] = count
        elif variable.kind is Kind.FACT and variable.text.startswith("header "):
            facts[variable.text.split()[1]] = TWICE
    claims = {name: values for name, values in witness.claims.items() if name != "mixed"}
    return Point(
        witness.agent,
        witness.issuer,
        witness.subject,
        frozenset((name, value) for name, values in claims.items() for value in _texts(values)),
        frozenset(witness.scopes),
        witness.acr,
        witness.login_age,
        witness.depth,
        witness.method,
        witness.host,
        witness.segments,
        witness.upgrade,
        make_call("no call", protocol=Protocol.MCP) if witness.has_other_body else witness.call,
        facts,
        counts,
        approval,
        is_unused,
    )


def budget_names(*sets: PolicySet) -> list[list[str]]:
    """The names of rules with a budget; a rule that was renamed has both names."""
    refs = sorted(
        {str(rule.ref) for each in sets for rule in each.rules if rule.budget is not None}
    )
    named = {str(old): str(new) for old, new in Counts(sets).renamed}
    new = set(named.values())
    return [[ref, named[ref]] if ref in named else [ref] for ref in refs if ref not in new]


def _texts(values: Json) -> list[str]:
    return cast("list[str]", values)


def _is_impossible(call: object, path: object, method: object) -> bool:
    """A call of gRPC is the one its path names, and a POST."""
    if not isinstance(call, Call) or call.protocol is not Protocol.GRPC:
        return False
    return method != "POST" or call.method != "/".join(cast("tuple[str, ...]", path))
