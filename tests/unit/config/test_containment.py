"""What covers what: small alphabets, in which every pattern is tried on every value."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import pytest

from deputize.config.containment import (
    agent_covers,
    agents_overlap,
    call_covers,
    calls_overlap,
    host_covers,
    method_covers,
    methods_overlap,
    path_covers,
    principal_covers,
    principals_overlap,
    rule_covers,
    rules_overlap,
)
from deputize.config.resources import hosts_overlap, paths_overlap
from deputize.core.call_patterns import CallPattern
from deputize.core.matching import (
    PatternError,
    PrincipalPattern,
    host_matches,
    parse_agent_pattern,
    parse_path_pattern,
)
from deputize.core.model import Call, Json, Kind, Principal, Protocol
from deputize.core.rules import Rule
from deputize.core.spiffe import parse_spiffe_id
from tests.harness.world import make_principal, make_rule

PatternT = TypeVar("PatternT")
ValueT = TypeVar("ValueT")


def tuples(letters: str, most: int) -> Iterable[tuple[str, ...]]:
    """All tuples of these letters of up to this length."""
    return itertools.chain.from_iterable(
        itertools.product(letters, repeat=length) for length in range(most + 1)
    )


def check_all(
    patterns: Sequence[PatternT],
    values: Sequence[ValueT],
    matches: Callable[[PatternT, ValueT], bool],
    covers: Callable[[PatternT, PatternT], bool],
    overlap: Callable[[PatternT, PatternT], bool],
) -> None:
    """Both questions are answered as asking about each value answers them."""
    matched = [
        frozenset(at for at, value in enumerate(values) if matches(pattern, value))
        for pattern in patterns
    ]
    assert all(matched)
    for (one, first), (other, second) in itertools.product(
        zip(patterns, matched, strict=True), repeat=2
    ):
        assert covers(one, other) == (second <= first), (one, other)
        assert overlap(one, other) == bool(first & second), (one, other)


def test_agents() -> None:
    texts = [
        "/".join((f"spiffe://{domain}", *segments, *tail))
        for domain in ("td", "td2")
        for segments in tuples("a*", 2)
        for tail in ((), ("**",))
        if segments or tail
    ]
    agents = [
        parse_spiffe_id("/".join((f"spiffe://{domain}", *segments)))
        for domain in ("td", "td2")
        for segments in tuples("ab", 4)
        if segments
    ]
    check_all(
        [parse_agent_pattern(text) for text in texts],
        agents,
        lambda pattern, agent: pattern.matches(agent),
        agent_covers,
        agents_overlap,
    )


def path_texts() -> Iterable[str]:
    """Paths with an empty segment at the end at most, as requests have them."""
    for segments in tuples("a{", 2):
        named = [f"{{p{at}}}" if part == "{" else part for at, part in enumerate(segments)]
        for end in ("", "/", "/**"):
            yield "".join(f"/{part}" for part in named) + end


def test_paths() -> None:
    patterns = []
    for text in path_texts():
        try:
            patterns.append(parse_path_pattern(text))
        except PatternError:
            assert not text
    paths = [(*inner, *end) for inner in tuples("ab", 3) for end in ((), ("",)) if inner or end]
    check_all(
        patterns,
        paths,
        lambda pattern, segments: pattern.matches(segments),
        path_covers,
        paths_overlap,
    )


def test_hosts() -> None:
    check_all(
        ["*", "a.t", "b.t", "*.t", "*.a.t", "t", "x.a.t"],
        ["a.t", "b.t", "t", "x.a.t", "y.a.t", "c.t", "z"],
        host_matches,
        host_covers,
        hosts_overlap,
    )


def test_methods() -> None:
    check_all(
        ["*", "GET", "POST"],
        ["GET", "POST", "PUT"],
        lambda pattern, method: pattern in {"*", method},
        method_covers,
        methods_overlap,
    )


def test_calls() -> None:
    texts = ("*", "a*", "ab*", "a", "ab")
    patterns: list[CallPattern | None] = [
        CallPattern(protocol, (method,), names)
        for protocol in (Protocol.MCP, Protocol.A2A)
        for method in texts
        for names in ((), ("*",), ("a*",), ("a",), ("ab", "b"))
    ]
    calls: list[Call | None] = [
        Call(protocol, method, name, None, None)
        for protocol in Protocol
        for method in ("a", "ab", "abc", "ac", "b")
        for name in ("", "a", "ab", "ac", "b", "c")
    ]
    check_all(
        [*patterns, None],
        [*calls, None],
        lambda pattern, call: pattern is None or pattern.matches(call),
        call_covers,
        calls_overlap,
    )


def test_principals() -> None:
    patterns = [
        make_principal(issuer, subjects=subjects, claims=claims)
        for issuer in ("https://one.example", "https://two.example")
        for subjects in ([], ["alice"], ["alice", "bob"], ["carol"])
        for claims in ({}, {"g": ["x"]}, {"g": ["x", "y"]}, {"h": ["x"]}, {"g": ["x"], "h": ["x"]})
    ]
    values: list[Json] = ["x", "y", ["x", "y"], None]
    principals = [
        Principal(issuer, subject, Kind.USER, {"g": one, "h": other})
        for issuer in ("https://one.example", "https://two.example")
        for subject in ("alice", "bob", "carol", "dave")
        for one in values
        for other in values
    ]

    def matches(pattern: PrincipalPattern, principal: Principal) -> bool:
        return pattern.matches(principal)

    check_all(patterns, principals, matches, principal_covers, principals_overlap)


WIDE = make_rule(
    "wide/rule",
    agents=["spiffe://td/**"],
    hosts=["*"],
    methods=["*"],
    paths=["/**"],
    principals=[make_principal("https://one.example")],
)


@pytest.mark.parametrize(
    ("other", "covered", "overlaps"),
    [
        (make_rule("n/r", agents=["spiffe://td/a"], principals=WIDE.principals), True, True),
        (make_rule("n/r", agents=["spiffe://td2/a"], principals=WIDE.principals), False, False),
        (
            make_rule(
                "n/r", agents=["spiffe://td2/a", "spiffe://td/a"], principals=WIDE.principals
            ),
            False,
            True,
        ),
        (
            make_rule(
                "n/r",
                agents=["spiffe://td/a"],
                principals=[*WIDE.principals, make_principal("https://two.example")],
            ),
            False,
            True,
        ),
        (make_rule("n/r", agents=["spiffe://td/a"]), False, False),
    ],
)
def test_a_rule_covers_another_where_each_list_does(
    other: Rule, *, covered: bool, overlaps: bool
) -> None:
    assert rule_covers(WIDE, other) is covered
    assert rules_overlap(WIDE, other) is overlaps
    assert rules_overlap(other, WIDE) is overlaps
    assert not rule_covers(other, WIDE)
