"""Policies and cases to try the laws of policies with.

All are drawn from large pools that are always the same, over small alphabets, so that rules,
limits and calls often meet.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import Random

from hypothesis import strategies as st

from deputize.core.call_patterns import CallPattern
from deputize.core.case import Case, Fact, Source
from deputize.core.comparisons import Compares, EqualsClaim, Exists, Operator
from deputize.core.conditions import Condition
from deputize.core.limits import NO_LIMITS, AgentCeiling, Limits, PrincipalScopes
from deputize.core.matching import PrincipalPattern, parse_agent_pattern
from deputize.core.model import (
    Action,
    Actor,
    Call,
    Delegation,
    DelegationStyle,
    Json,
    Kind,
    Principal,
    Protocol,
    Scope,
)
from deputize.core.paths import parse_path
from deputize.core.rules import Budget, Rule
from deputize.core.spiffe import parse_spiffe_id
from tests.harness.rulings import case_of
from tests.harness.world import make_principal, make_request, make_rule

ISSUERS = ("https://one.example", "https://two.example")
SCOPES = ("read", "write")
GROUPS = ("sales", "staff")
POLICIES = tuple(f"p{number}" for number in range(7))
_CLAIM_VALUES: Mapping[str, tuple[Json, ...]] = {
    "groups": ("sales", "staff", ["sales"], ["staff", "sales"], [], None),
    "level": (1, 2, True, None, ["1", 2], {"1": 1}),
}
_ARGUMENTS: tuple[Mapping[str, Json] | None, ...] = (
    *({"level": 1}, {"level": 2}, {"level": "1"}),
    *({"Level": 1}, {}, None),
)
_LEVEL = Fact(Source.ARGUMENT, ("level",))
_ZONE = Fact(Source.HEADER, ("x-zone",))
# Each of them holds in some cases, does not in others, and raises in yet others.
_CONDITIONS: tuple[Condition, ...] = (
    Compares(Fact(Source.CLAIM, ("groups",)), Operator.EQUALS, ("sales",)),
    Compares(Fact(Source.CLAIM, ("level",)), Operator.AT_LEAST, (2,)),
    Compares(Fact(Source.CLAIM, ("level",)), Operator.NONE_OF, (1, 3)),
    Compares(_ZONE, Operator.ONE_OF, ("in", "near")),
    Compares(_LEVEL, Operator.AT_MOST, (1,)),
    EqualsClaim(_LEVEL, ("level",)),
    Exists(_ZONE, is_there=True),
    Exists(_LEVEL, is_there=False),
)
_HEADERS: tuple[Mapping[str, str], ...] = (
    *({}, {"x-zone": "in"}, {"x-zone": "near"}),
    *({"x-zone": "out"}, {"x-zone": "in,out"}),
)
_random = Random(20240229)  # noqa: S311 - a fixed pool of examples


def _some(*values: str, most: int = 2) -> list[str]:
    return _random.sample(values, _random.randint(1, most))


def _pick(*values: str) -> str:
    return _random.choice(values)


def _is_one_in(number: int) -> bool:
    return _random.randrange(number) == 0


def _path_pattern() -> str:
    names = itertools.count()
    segments = (_pick("a", "b", "{}") for _ in range(_random.randint(0, 2)))
    named = [f"{{p{next(names)}}}" if segment == "{}" else segment for segment in segments]
    end = _pick("", "", "/", "/**", "/**") if named else _pick("/", "/**")
    return "".join(f"/{segment}" for segment in named) + end


def _agent_pattern() -> str:
    domain = _pick("spiffe://td", "spiffe://td", "spiffe://td2")
    segments = [_pick("x", "y", "*") for _ in range(_random.randint(0, 2))]
    end = _pick("", "/**") if segments else "/**"
    return "/".join((domain, *segments)) + end


def _principal() -> PrincipalPattern:
    claims = {
        name: _some(*GROUPS, "1", "true", most=3)
        for name in _some("groups", "level")
        if _is_one_in(3)
    }
    subjects = _some("alice", "bob") if _is_one_in(3) else []
    return make_principal(_pick(*ISSUERS), subjects=subjects, claims=claims)


def _call_pattern() -> CallPattern:
    names = _some("get", "put", "g*", "*") if _is_one_in(2) else []
    protocol = Protocol(_pick("mcp", "mcp", "a2a"))
    return CallPattern(protocol, tuple(_some("call", "list", "c*", "*")), tuple(names))


def _rule(number: int, effect: str) -> Rule:
    is_allow = effect == "allow"
    return make_rule(
        f"{POLICIES[number % 7]}/{effect}{number}",
        effect=effect,
        agents=[_agent_pattern() for _ in range(_random.randint(1, 2))],
        principals=[_principal() for _ in range(_random.randint(1, 3))],
        hosts=_some("a.t", "b.t", "*.t", "*"),
        methods=_some("GET", "POST", "*"),
        paths=[_path_pattern() for _ in range(_random.randint(1, 4))],
        call=_call_pattern() if _is_one_in(4) else None,
        conditions=_random.sample(_CONDITIONS, _random.randint(1, 2)) if _is_one_in(4) else (),
        upgrades=["websocket"] if is_allow and _is_one_in(3) else (),
        scopes=_random.sample(SCOPES, _random.randint(0, 2)) if is_allow else (),
        max_depth=_random.choice((None, None, 1, 2)) if is_allow else None,
        budget=Budget(1, 60, frozenset()) if is_allow and _is_one_in(8) else None,
        use_once=is_allow and _is_one_in(8),
    )


def _delegation() -> Delegation:
    path = [_pick("x", "y") for _ in range(_random.randint(1, 3))]
    agent = parse_spiffe_id("/".join((_pick("spiffe://td", "spiffe://td", "spiffe://td2"), *path)))
    claims = {
        name: _random.choice(values) for name, values in _CLAIM_VALUES.items() if not _is_one_in(3)
    }
    earlier = [
        Actor(f"earlier-{number}", "", Kind.UNKNOWN) for number in range(_random.randint(0, 2))
    ]
    scopes = _random.sample(SCOPES, _random.randint(0, 2))
    return Delegation(
        Principal(_pick(*ISSUERS), _pick("alice", "bob"), Kind.USER, claims),
        agent,
        (Actor(agent.text, "", Kind.AGENT), *earlier),
        frozenset(map(Scope, scopes)),
        DelegationStyle.DELEGATED,
    )


def _call() -> Call:
    protocol = Protocol(_pick("mcp", "mcp", "a2a"))
    name = _pick("get", "put", "gut", "")
    return Call(protocol, _pick("call", "call", "list"), name, _random.choice(_ARGUMENTS), 1)


def _case(number_of_calls: int) -> Case:
    segments = [_pick("a", "b", "a", "b", "c", "*") for _ in range(_random.randint(0, 3))]
    path = "/" + "/".join(segments) + (_pick("", "", "/") if segments else "")
    host = _pick("a.t", "b.t", "a.t", "c.t", "a.b.t", "t")
    method = _pick("GET", "GET", "POST", "PUT")
    upgrade = "websocket" if _is_one_in(12) else ""
    calls = tuple(_call() for _ in range(number_of_calls))
    action = Action(method, host, parse_path(path), upgrade, calls)
    headers = _random.choice(_HEADERS)
    return case_of(_delegation(), action, make_request(path=path, host=host, headers=headers))


def _limits() -> Limits:
    def scopes() -> frozenset[Scope]:
        return frozenset(map(Scope, _random.sample(SCOPES, _random.randint(0, 2))))

    def agents() -> list[str]:
        return [_agent_pattern() for _ in range(_random.randint(1, 2))]

    ceilings = [
        AgentCeiling(tuple(map(parse_agent_pattern, agents())), scopes())
        for _ in range(_random.randint(0, 3))
    ]
    delegable = [
        PrincipalScopes((_principal(), *([_principal()] if _is_one_in(3) else [])), scopes())
        for _ in range(_random.randint(0, 3))
    ]
    return Limits(ceilings, delegable)


def _observe(rules: Sequence[Rule], names: frozenset[str]) -> list[Rule]:
    return [replace(rule, is_observed=rule.ref.policy in names) for rule in rules]


allow_rules = st.sampled_from([_rule(number, "allow") for number in range(1500)])
forbid_rules = st.sampled_from([_rule(number, "forbid") for number in range(500)])
_any_rule = allow_rules | allow_rules | allow_rules | forbid_rules
policies = st.one_of(
    st.lists(_any_rule, max_size=6, unique_by=lambda rule: rule.ref),
    st.lists(_any_rule, min_size=10, max_size=40, unique_by=lambda rule: rule.ref),
    st.lists(allow_rules, min_size=10, max_size=40, unique_by=lambda rule: rule.ref),
)
"""Rules, all of them enforced."""
mixed_policies = st.builds(_observe, policies, st.frozensets(st.sampled_from(POLICIES)))
"""Rules, those of some policies only observed."""
limits = st.just(NO_LIMITS) | st.sampled_from([_limits() for _ in range(200)])
conditions = st.sampled_from(_CONDITIONS)
single_cases = st.sampled_from([_case(number % 2) for number in range(1000)])
"""Cases with at most one call."""
batches = st.sampled_from([_case(2 + number % 2) for number in range(500)])
"""Cases with several calls."""
cases = single_cases | single_cases | batches
