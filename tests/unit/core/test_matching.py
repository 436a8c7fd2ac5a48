from __future__ import annotations

from types import MappingProxyType

import pytest

from deputize.core.matching import (
    PatternError,
    claim_values,
    find_parameter,
    host_matches,
    parse_agent_pattern,
    parse_host_pattern,
    parse_method,
    parse_path_pattern,
)
from deputize.core.model import Json, Kind, Principal
from deputize.core.paths import parse_path
from deputize.core.spiffe import parse_spiffe_id
from tests.harness.world import ISSUER_URL, anyone, make_principal


@pytest.mark.parametrize(
    ("pattern", "agent", "is_match"),
    [
        ("spiffe://td/a/b", "spiffe://td/a/b", True),
        ("spiffe://td/a/b", "spiffe://td/a", False),
        ("spiffe://td/a/b", "spiffe://td/a/b/c", False),
        ("spiffe://td/a/b", "spiffe://td/a/B", False),
        ("spiffe://td/a/b", "spiffe://other/a/b", False),
        ("spiffe://td/*/b", "spiffe://td/x/b", True),
        ("spiffe://td/*/b", "spiffe://td/x/y/b", False),
        ("spiffe://td/*", "spiffe://td/x", True),
        ("spiffe://td/*", "spiffe://td/x/y", False),
        ("spiffe://td/*", "spiffe://other/x", False),
        ("spiffe://td/a/*/c", "spiffe://td/a/b/c", True),
        ("spiffe://td/a/**", "spiffe://td/a/b", True),
        ("spiffe://td/a/**", "spiffe://td/a/b/c/d", True),
        ("spiffe://td/a/**", "spiffe://td/a", False),
        ("spiffe://td/a/**", "spiffe://td/ab", False),
        ("spiffe://td/a/**", "spiffe://td/ab/c", False),
        ("spiffe://td/**", "spiffe://td/a", True),
        ("spiffe://td/**", "spiffe://td2/a", False),
        ("spiffe://td/*/**", "spiffe://td/a", False),
        ("spiffe://td/*/**", "spiffe://td/a/b", True),
    ],
)
def test_an_agent_pattern(pattern: str, agent: str, is_match: bool) -> None:  # noqa: FBT001
    assert parse_agent_pattern(pattern).matches(parse_spiffe_id(agent)) is is_match


@pytest.mark.parametrize(
    "text",
    ["", "*", "**", "td/*", "spiffe://td", "spiffe://td/", "spiffe://*/a", "spiffe://**", "spiffe://*",
     "spiffe://td/a*", "spiffe://td/*a", "spiffe://td/a/**/b", "spiffe://td/**/**",
     "spiffe://td/***", "spiffe://td/a//*", "spiffe://td/*/", "spiffe://td/../*", "spiffe://TD/*",
     "https://td/*", "spiffe://td/a b/*", "spiffe://t*d/a", "spiffe://td/a/*\n"],
)  # fmt: skip
def test_what_is_no_agent_pattern(text: str) -> None:
    with pytest.raises(PatternError):
        parse_agent_pattern(text)


@pytest.mark.parametrize(
    ("pattern", "path", "is_match"),
    [
        ("/v1/orders", "/v1/orders", True),
        ("/v1/orders", "/v1/orders/", False),
        ("/v1/orders/", "/v1/orders/", True),
        ("/v1/orders", "/v1/ordersX", False),
        ("/v1/orders", "/V1/orders", False),
        ("/v1/orders", "/v1", False),
        ("/v1/orders/{id}", "/v1/orders/7", True),
        ("/v1/orders/{id}", "/v1/orders/7?x=1", True),
        ("/v1/orders/{id}", "/v1/orders/7/extra", False),
        ("/v1/orders/{id}", "/v1/orders/", False),
        ("/v1/orders/{id}", "/v1/orders", False),
        ("/v1/{a}/x/{b}", "/v1/1/x/2", True),
        ("/v1/{a}/x/{b}", "/v1/1/y/2", False),
        ("/v1/orders/**", "/v1/orders", True),
        ("/v1/orders/**", "/v1/orders/", True),
        ("/v1/orders/**", "/v1/orders/7/8/9", True),
        ("/v1/orders/**", "/v1/ordersX", False),
        ("/v1/orders/**", "/v1/orders-admin", False),
        ("/v1/orders/**", "/v1", False),
        ("/{a}/**", "/", False),
        ("/**", "/", True),
        ("/**", "/a/b", True),
        ("/", "/", True),
        ("/", "/a", False),
        ("/a%20b", "/a%20b", True),
        ("/a%40b", "/a@b", True),
        ("/tasks/{id}", "/tasks/1:cancel", True),
        ("/message:send", "/message:send", True),
        ("/pkg.Service/Method", "/pkg.Service/Method", True),
    ],
)
def test_a_path_pattern(pattern: str, path: str, is_match: bool) -> None:  # noqa: FBT001
    assert parse_path_pattern(pattern).matches(parse_path(path)) is is_match


@pytest.mark.parametrize(
    "text",
    ["", "v1", "*", "**", "/*", "/a*", "/**/a", "/a/**/**", "/a**", "/{id", "/id}", "/a{id}",
     "/{id}b", "/{}", "/{1}", "/{a-b}", "/{id}/{id}", "/a//b", "//**", "/a//**", "/../a", "/a?x",
     "/a#x", "/a.", "/%61", "/%2e%2e", "/a;b", "/a b", "/caf\u00e9", "/{\u212a}", "/{id}\n",
     "/%2A", "/a/%2a/b"],
)  # fmt: skip
def test_what_is_no_path_pattern(text: str) -> None:
    with pytest.raises(PatternError):
        parse_path_pattern(text)


@pytest.mark.parametrize(
    ("pattern", "host", "is_match"),
    [
        ("orders.example", "orders.example", True),
        ("orders.example", "other.example", False),
        ("orders.example", "a.orders.example", False),
        ("*.example", "orders.example", True),
        ("*.example", "a.orders.example", False),
        ("*.example", "example", False),
        ("*.example", "orders.example.evil", False),
        ("*.orders.example", "xorders.example", False),
        ("*", "anything", True),
        ("*", "[::1]", True),
        ("[::1]", "[::1]", True),
    ],
)
def test_a_host_pattern(pattern: str, host: str, is_match: bool) -> None:  # noqa: FBT001
    assert host_matches(parse_host_pattern(pattern), host) is is_match


@pytest.mark.parametrize(
    "text",
    ["", "Orders.example", "orders.example:443", "orders.example.", ".example", "a..b", "*.",
     "**", "*.*.example", "a.*.example", "*a.example", "-a.example", "a-.example", "a/b",
     "orders.example\n", "ex\u00e4mple", "\u212a.example", "[::G]", "[::1"],
)  # fmt: skip
def test_what_is_no_host_pattern(text: str) -> None:
    with pytest.raises(PatternError):
        parse_host_pattern(text)


@pytest.mark.parametrize("text", ["GET", "M-SEARCH", "*"])
def test_a_method_pattern(text: str) -> None:
    assert parse_method(text) == text


@pytest.mark.parametrize("text", ["", "get", "GET ", "GET\n", "-GET", "G*", "**", "A" * 33])
def test_what_is_no_method_pattern(text: str) -> None:
    with pytest.raises(PatternError):
        parse_method(text)


@pytest.mark.parametrize(
    ("value", "texts"),
    [
        ("a", ("a",)),
        ("", ("",)),
        (42, ("42",)),
        (1.5, ("1.5",)),
        (True, ("true",)),
        (False, ("false",)),
        (None, ()),
        ({"a": "b"}, ()),
        ([], ()),
        (["a", 1, True, None, ["b"], {"c": "d"}], ("a", "1", "true")),
    ],
)
def test_the_values_of_a_claim(value: Json, texts: tuple[str, ...]) -> None:
    assert claim_values(value) == texts


def alice(**claims: Json) -> Principal:
    return Principal(ISSUER_URL, "alice", Kind.USER, MappingProxyType(claims))


def test_anyone_is_anyone_of_that_issuer() -> None:
    assert anyone().matches(alice())
    assert not anyone("https://other.example").matches(alice())


def test_a_subject_is_compared_exactly() -> None:
    assert make_principal(subjects=["bob", "alice"]).matches(alice())
    assert not make_principal(subjects=["Alice", "alice ", "ali"]).matches(alice())


def test_of_one_claim_one_value_must_be_there() -> None:
    pattern = make_principal(claims={"groups": ["sales", "support"]})
    assert pattern.matches(alice(groups=["staff", "support"]))
    assert pattern.matches(alice(groups="sales"))
    assert not pattern.matches(alice(groups=["staff"]))
    assert not pattern.matches(alice())


def test_every_named_claim_must_hold() -> None:
    pattern = make_principal(claims={"groups": ["sales"], "mfa": ["true"]})
    assert pattern.matches(alice(groups=["sales"], mfa=True))
    assert not pattern.matches(alice(groups=["sales"], mfa=False))


def test_subjects_and_claims_must_both_hold() -> None:
    pattern = make_principal(subjects=["alice"], claims={"mfa": ["true"]})
    assert pattern.matches(alice(mfa=True))
    assert not pattern.matches(alice(mfa=False))
    assert not pattern.matches(Principal(ISSUER_URL, "bob", Kind.USER, {"mfa": True}))


@pytest.mark.parametrize(
    ("pattern", "position"),
    [
        ("/{id}", 0),
        ("/v1/orders/{id}", 2),
        ("/v1/{id}/**", 1),
        ("/v1/{id}/", 1),
        ("/%7Bid%7D/{id}", 1),
        ("/v1/{ID}", None),
        ("/v1/id", None),
        ("/**", None),
    ],
)
def test_where_a_parameter_stands(pattern: str, position: int | None) -> None:
    assert find_parameter(parse_path_pattern(pattern), "id") == position
