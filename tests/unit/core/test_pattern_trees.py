from __future__ import annotations

import pytest

from deputize.core.matching import parse_agent_pattern, parse_path_pattern
from deputize.core.model import Json, Kind, Principal
from deputize.core.paths import parse_path
from deputize.core.pattern_trees import AgentTree, PrincipalKeys, RouteTree
from deputize.core.spiffe import parse_spiffe_id
from tests.harness.world import AGENT, ISSUER_URL, anyone, make_principal

PATHS = ("/a", "/a/", "/a/{x}", "/a/b", "/{x}/b", "/a/**", "/**", "/a/{x}/c")
HOSTS = ("a.example", "*.example", "*")


@pytest.mark.parametrize("host", ["a.example", "b.example", "x.a.example", "other"])
@pytest.mark.parametrize("path", ["/", "/a", "/a/", "/a/b", "/a/c", "/c/b", "/a/b/c", "/c/d/e"])
def test_leaves_are_found_by_host_and_path(host: str, path: str) -> None:
    tree: RouteTree[list[str]] = RouteTree(list)
    patterns = [(name, parse_path_pattern(text)) for name in HOSTS for text in PATHS]
    for name, pattern in patterns:
        tree.leaf(name, pattern).append(f"{name}{pattern.text}")
    segments = parse_path(path)
    covering = {
        "a.example": {"a.example", "*.example", "*"},
        "b.example": {"*.example", "*"},
    }.get(host, {"*"})
    expected = sorted(
        f"{name}{pattern.text}"
        for name, pattern in patterns
        if name in covering and pattern.matches(segments)
    )
    found = [entry for leaf in tree.find(host, segments) for entry in leaf]
    assert sorted(found) == expected


def test_the_same_patterns_have_one_leaf() -> None:
    tree: RouteTree[list[str]] = RouteTree(list)
    for text in PATHS:
        pattern = parse_path_pattern(text)
        assert tree.leaf("*", pattern) is tree.leaf("*", pattern)
    assert tree.leaf("*", parse_path_pattern("/{a}")) is tree.leaf("*", parse_path_pattern("/{b}"))


def test_agents_are_found_by_their_patterns() -> None:
    tree = AgentTree()
    agent = parse_spiffe_id(AGENT)
    assert tree.keys(agent) == [AGENT]
    domain = "spiffe://prod.example.org"
    covering = [f"{domain}/**", f"{domain}/ns/*/sa/*", f"{domain}/ns/agents/**"]
    others = [f"{domain}/ns/other/**", f"{domain}/*", f"{domain}/ns/agents/sa/research/**"]
    for text in (*covering, *others, *covering, AGENT):
        tree.add(parse_agent_pattern(text))
    assert sorted(tree.keys(agent)) == sorted([AGENT, *covering])


@pytest.mark.parametrize(
    ("claims", "expected"),
    [({}, 2), ({"groups": ["a", "b", "a"]}, 4), ({"groups": "a"}, 3), ({"level": 1}, 2)],
)
def test_principals_are_found_by_their_most_telling_part(
    claims: dict[str, Json], expected: int
) -> None:
    keys = PrincipalKeys()
    assert len(keys.add(make_principal(subjects=["alice", "bob"], claims={"x": ["y"]}))) == 2
    assert len(keys.add(make_principal(claims={"groups": ["a", "b"], "level": ["1"]}))) == 2
    assert len(keys.add(anyone())) == 1
    assert len(keys.keys(Principal(ISSUER_URL, "alice", Kind.USER, claims))) == expected
    assert len(keys.keys(Principal("https://other", "alice", Kind.USER, claims))) == 2
