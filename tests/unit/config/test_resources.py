from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
import yaml

from deputize.config.policy_schema import DelegationPolicy
from deputize.config.resources import (
    Resources,
    hosts_overlap,
    paths_overlap,
    protocol_of,
    with_trailing_slash,
)
from deputize.config.strict_yaml import Document, parse_documents
from deputize.config.validation import validate
from deputize.core.matching import host_matches, parse_path_pattern
from deputize.core.model import Action, Binding, Protocol, Resource
from deputize.core.paths import parse_path
from deputize.core.request_calls import find_resource

Entry = dict[str, object]
METADATA = "https://a.example/m"
RULE: Entry = {
    "name": "r",
    "effect": "allow",
    "agents": ["spiffe://a/b"],
    "onBehalfOf": [{"issuer": "https://issuer.example", "anyone": True}],
    "hosts": ["a.example"],
    "methods": ["POST"],
    "paths": ["/mcp"],
    "scopes": [],
}


def policy(
    *resources: Entry, rules: Sequence[Entry] = (), name: str = "p"
) -> tuple[DelegationPolicy, Document]:
    value = {
        "apiVersion": "deputize.dev/v1alpha1",
        "kind": "DelegationPolicy",
        "metadata": {"name": name},
        "spec": {"resources": list(resources), "rules": [RULE | rule for rule in rules]},
    }
    (document,) = parse_documents(yaml.safe_dump(value).encode(), f"{name}.yaml")
    return validate(DelegationPolicy, document), document


def resource(
    *paths: str,
    host: str = "a.example",
    protocol: str | None = "mcp",
    read: str | None = None,
    metadata: str | None = None,
) -> Entry:
    spoken = {"protocol": protocol, "read": read, "metadataUrl": metadata}
    said = {name: value for name, value in spoken.items() if value is not None}
    return {"hosts": [host], "paths": list(paths), **said}


def places(*policies: tuple[DelegationPolicy, Document]) -> list[tuple[str, str]]:
    return [(each.file, each.pointer) for each in Resources(policies).problems]


def found(path: str, *resources: Entry, host: str = "a.example") -> Resource | None:
    known = Resources([policy(*resources)])
    assert known.problems == []
    return find_resource(Action("POST", host, parse_path(path)), known.tree)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (resource("/mcp"), Resource(Protocol.MCP, Binding.BODY, 0, "")),
        (resource("/mcp", read="headers"), Resource(Protocol.MCP, Binding.HEADERS, 0, "")),
        (resource("/mcp", protocol="a2a"), Resource(Protocol.A2A, Binding.JSON_RPC, 0, "")),
        (
            resource("/mcp", protocol="a2a", read="grpc"),
            Resource(Protocol.A2A, Binding.GRPC, 0, ""),
        ),
        (resource("/mcp", protocol="grpc"), Resource(Protocol.GRPC, None, 0, "")),
        (
            resource("/mcp", protocol=None, metadata=METADATA),
            Resource(None, None, 0, METADATA),
        ),
    ],
)
def test_what_a_resource_speaks(settings: Entry, expected: Resource) -> None:
    assert found("/mcp", settings) == expected


def test_the_base_of_rest_is_what_stands_before_the_tail() -> None:
    rest = resource("/v1/a2a/**", protocol="a2a", read="rest")
    behind = found("/v1/a2a/tasks", rest)
    assert behind is not None
    assert behind.base == 2
    assert found("/v1/other", rest) is None


@pytest.mark.parametrize(
    ("pattern", "paths"),
    [("/mcp", ["/mcp", "/mcp/"]), ("/mcp/", ["/mcp", "/mcp/"]), ("/mcp/**", ["/mcp", "/mcp/a"])],
)
def test_a_slash_at_the_end_changes_nothing(pattern: str, paths: list[str]) -> None:
    for path in paths:
        assert found(path, resource(pattern)) is not None
    assert found("/mcps", resource(pattern)) is None
    assert found("/mcp", resource(pattern), host="b.example") is None


@pytest.mark.parametrize(
    ("patterns", "segments"),
    [
        (["/a"], [("a",), ("a", "")]),
        (["/a/"], [("a",), ("a", "")]),
        (["/a", "/a/"], [("a",), ("a", "")]),
        (["/"], [("",)]),
        (["/a/**"], [("a",)]),
        (["/a/{id}"], [("a", "*"), ("a", "*", "")]),
    ],
)
def test_paths_with_and_without_a_slash(
    patterns: list[str], segments: list[tuple[str, ...]]
) -> None:
    paths = with_trailing_slash(map(parse_path_pattern, patterns))
    assert sorted(path.segments for path in paths) == sorted(segments)


@pytest.mark.parametrize(
    ("first", "second", "agree"),
    [
        (resource("/mcp"), resource("/mcp"), True),
        (resource("/mcp"), resource("/other", protocol="a2a"), True),
        (resource("/mcp"), resource("/mcp", host="b.example", protocol="a2a"), True),
        (resource("/mcp"), resource("/mcp", protocol="a2a"), False),
        (resource("/mcp"), resource("/mcp", read="headers"), False),
        (resource("/mcp"), resource("/mcp", metadata=METADATA), False),
        (resource("/mcp"), resource("/mcp/", protocol="a2a"), False),
        (resource("/mcp"), resource("/{x}", protocol=None, metadata=METADATA), False),
        (resource("/mcp"), resource("/**", protocol=None, metadata=METADATA), False),
        (resource("/mcp"), resource("/mcp", host="*", protocol="a2a"), False),
        (resource("/mcp"), resource("/mcp", host="*.example", protocol="a2a"), False),
        (
            resource("/a/**", protocol="a2a", read="rest"),
            resource("/a/b/**", protocol="a2a", read="rest"),
            False,
        ),
    ],
)
def test_resources_of_one_route_say_the_same(first: Entry, second: Entry, *, agree: bool) -> None:
    together = places(policy(first, second))
    assert together == ([] if agree else [("p.yaml", "spec.resources[1]")])
    apart = places(policy(first), policy(second, name="q"))
    assert apart == ([] if agree else [("q.yaml", "spec.resources[0]")])


def test_the_paths_of_one_resource_say_the_same() -> None:
    rest = resource("/a/**", "/a/b/**", protocol="a2a", read="rest")
    assert places(policy(rest)) == [("p.yaml", "spec.resources[0]")]
    assert places(policy(resource("/a/**", "/{x}/**", protocol="a2a", read="rest"))) == []


CALLS: dict[str, Entry] = {
    "mcp": {"methods": ["*"]},
    "a2a": {"operations": ["*"]},
    "grpc": {"methods": ["*"]},
}


@pytest.mark.parametrize("protocol", CALLS)
def test_a_rule_about_calls_needs_a_resource_that_speaks_the_protocol(protocol: str) -> None:
    rule: Entry = {protocol: CALLS[protocol]}
    for resources, is_known in (
        ([], False),
        ([resource("/mcp", protocol=protocol)], True),
        ([resource("/**", host="*", protocol=protocol)], True),
        ([resource("/{x}", host="*.example", protocol=protocol)], True),
        ([resource("/other", protocol=protocol)], False),
        ([resource("/mcp", host="b.example", protocol=protocol)], False),
        ([resource("/mcp", protocol=None, metadata=METADATA)], False),
    ):
        used, document = policy(*resources, rules=[rule])
        known = Resources([(used, document)])
        (entry,) = used.spec.rules
        assert protocol_of(entry) is Protocol(protocol)
        problems = known.check_rule(entry, document, ("spec", "rules", 0))
        assert [each.pointer for each in problems] == (
            [] if is_known else [f"spec.rules[0].{protocol}"]
        )


def test_each_route_of_a_rule_about_calls_is_looked_at() -> None:
    rule: Entry = {
        "mcp": CALLS["mcp"],
        "paths": ["/mcp", "/other"],
        "hosts": ["a.example", "b.example"],
    }
    for resources, count in (
        ([resource("/mcp"), resource("/other")], 1),
        ([resource("/mcp", "/other", host="*")], 0),
    ):
        used, document = policy(*resources, rules=[rule])
        known = Resources([(used, document)])
        assert len(known.check_rule(used.spec.rules[0], document, ())) == count


def test_a_rule_without_calls_needs_no_resource() -> None:
    used, document = policy(resource("/other"), rules=[{}])
    (entry,) = used.spec.rules
    assert protocol_of(entry) is None
    assert Resources([(used, document)]).check_rule(entry, document, ()) == []


HOSTS = ("a.t", "b.t", "t", "a.b.t")
HOST_PATTERNS = ("*", "*.t", "*.b.t", *HOSTS)


@pytest.mark.parametrize(
    ("first", "second"), [*itertools.combinations_with_replacement(HOST_PATTERNS, 2)]
)
def test_hosts_overlap_where_one_host_matches_both(first: str, second: str) -> None:
    both = any(host_matches(first, host) and host_matches(second, host) for host in HOSTS)
    assert hosts_overlap(first, second) is hosts_overlap(second, first) is both


PATH_PATTERNS = ("/", "/a", "/a/", "/{x}", "/{x}/", "/a/**", "/**", "/{x}/b", "/a/{x}", "/{x}/**")
PATHS = [
    tuple(path)
    for length in (1, 2, 3)
    for path in itertools.product(("a", "b", "c", ""), repeat=length)
]


@pytest.mark.parametrize(
    ("first", "second"), [*itertools.combinations_with_replacement(PATH_PATTERNS, 2)]
)
def test_paths_overlap_where_one_path_matches_both(first: str, second: str) -> None:
    one, other = parse_path_pattern(first), parse_path_pattern(second)
    both = any(one.matches(path) and other.matches(path) for path in PATHS)
    assert paths_overlap(one, other) is paths_overlap(other, one) is both
