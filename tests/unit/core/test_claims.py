from __future__ import annotations

import math

import pytest

from deputize.core.claims import (
    MAX_CLAIM_TEXT,
    MAX_NUMERIC_DATE,
    ClaimError,
    ClaimPath,
    ScopeClaim,
    find_claim,
    format_claim_path,
    is_within_times,
    parse_claim_path,
    parse_scope_claim,
    read_audience,
    read_first_text,
    read_joined,
    read_scopes,
    read_text,
    read_time,
)
from deputize.core.model import Json

NAME: ClaimPath = ("name",)
INNER: ClaimPath = ("outer", "name")
NO_TEXTS: list[Json] = [1, True, 1.5, ["alice"], {"name": "alice"}]
BAD_TEXTS: list[Json] = ["", "a\n", "a\x00b", "\x1b[0m", "a\u202eb", "a" * (MAX_CLAIM_TEXT + 1)]


# Paths


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("sub", ("sub",)),
        ("act.sub", ("act", "sub")),
        ("a.b.c.d", ("a", "b", "c", "d")),
        (r"https://example\.org/roles", ("https://example.org/roles",)),
        (r"a\.b.c", ("a.b", "c")),
        (r"a\\.b", ("a\\", "b")),
        (r"a\\\.b", ("a\\.b",)),
        ("a b", ("a b",)),
    ],
)
def test_a_path_names_members_from_the_top(text: str, path: ClaimPath) -> None:
    assert parse_claim_path(text) == path
    assert format_claim_path(path) == text


@pytest.mark.parametrize(
    "text", ["", ".", "a.", ".a", "a..b", "\\", "a\\", r"a\b", r"a\.b.", "a.b.c.d.e"]
)
def test_what_is_no_path(text: str) -> None:
    with pytest.raises(ValueError, match="claim"):
        parse_claim_path(text)


def test_a_scope_claim_may_be_a_list() -> None:
    assert parse_scope_claim("scope") == ScopeClaim(("scope",), is_list=False)
    assert parse_scope_claim("a.scp[]") == ScopeClaim(("a", "scp"), is_list=True)


@pytest.mark.parametrize("text", ["", "[]", "a.[]."])
def test_what_is_no_scope_claim(text: str) -> None:
    with pytest.raises(ValueError, match="claim"):
        parse_scope_claim(text)


# Values


def test_a_value_is_found_by_its_exact_path() -> None:
    claims: dict[str, Json] = {"a": {"b": {"c": 1}}, "a.b": 2, "A": 3}
    assert find_claim(claims, ("a", "b", "c")) == 1
    assert find_claim(claims, ("a.b",)) == 2
    assert find_claim(claims, ("a",)) == {"b": {"c": 1}}


@pytest.mark.parametrize(
    "path", [("x",), ("a", "x"), ("a", "b", "x"), ("list", "0"), ("text", "0")]
)
def test_what_is_not_there_is_none(path: ClaimPath) -> None:
    claims: dict[str, Json] = {"a": {"b": 1}, "list": ["x"], "text": "x", "null": None}
    assert find_claim(claims, path) is None
    assert find_claim(claims, ("null",)) is None
    assert find_claim(claims, ("null", "x")) is None


@pytest.mark.parametrize("path", [NAME, INNER])
def test_a_text_is_read_as_it_is(path: ClaimPath) -> None:
    for text in ("alice", " a b ", "no: URI", "\u00e9", "a" * MAX_CLAIM_TEXT):
        assert read_text({"name": text, "outer": {"name": text}}, path) == text


@pytest.mark.parametrize("value", [None, *NO_TEXTS, *BAD_TEXTS])
@pytest.mark.parametrize("path", [NAME, INNER])
def test_what_is_no_text_is_an_error(value: Json, path: ClaimPath) -> None:
    with pytest.raises(ClaimError):
        read_text({"name": value, "outer": {"name": value}}, path)


def test_an_error_names_the_claim_and_not_its_value() -> None:
    with pytest.raises(ClaimError) as caught:
        read_text({"outer": {"name": "secret\n"}}, INNER)
    assert "outer.name" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_the_first_claim_that_is_there_counts() -> None:
    paths: list[ClaimPath] = [("a",), ("b", "c"), ("d",)]
    assert read_first_text({"d": "3", "b": {"c": "2"}, "a": "1"}, paths) == "1"
    assert read_first_text({"d": "3", "b": {"c": "2"}, "a": None}, paths) == "2"
    assert read_first_text({"d": "3", "b": {}}, paths) == "3"
    assert read_first_text({"e": "4"}, paths) == ""
    assert read_first_text({"a": "1"}, []) == ""


@pytest.mark.parametrize("value", [*NO_TEXTS, *BAD_TEXTS])
def test_a_first_claim_that_is_no_text_is_not_passed_over(value: Json) -> None:
    with pytest.raises(ClaimError):
        read_first_text({"a": value, "b": "good"}, [("a",), ("b",)])


def test_joined_texts_can_be_taken_apart_again() -> None:
    claims: dict[str, Json] = {"idp": "https://idp.example", "sub": "a#b"}
    assert read_joined(claims, (("idp",), ("sub",))) == "https://idp.example#a#b"
    assert read_joined(claims, (("sub",),)) == "a#b"
    with pytest.raises(ClaimError):
        read_joined(claims, (("sub",), ("idp",)))


def test_every_joined_text_is_needed() -> None:
    with pytest.raises(ClaimError):
        read_joined({"idp": "https://idp.example"}, (("idp",), ("sub",)))


@pytest.mark.parametrize("value", [0, 0.5, 1_800_000_000, MAX_NUMERIC_DATE])
def test_a_time_is_a_number(value: float) -> None:
    assert read_time({"exp": value}, "exp") == value


@pytest.mark.parametrize(
    "value",
    [None, "1800000000", "", True, False, [1], {}, -1, -0.5, MAX_NUMERIC_DATE + 1, 10**400,
     math.inf, math.nan],
)  # fmt: skip
def test_what_is_no_time_is_an_error(value: Json) -> None:
    with pytest.raises(ClaimError):
        read_time({"exp": value}, "exp")


@pytest.mark.parametrize(
    ("claims", "within"),
    [
        ({}, True),
        ({"exp": 91}, True),
        ({"exp": 90}, False),
        ({"nbf": 110}, True),
        ({"nbf": 111}, False),
        ({"exp": 200, "nbf": 0}, True),
        ({"exp": 200, "nbf": 150}, False),
        ({"exp": 50, "nbf": 0}, False),
    ],
)
def test_exp_and_nbf_hold_wherever_they_stand(claims: dict[str, Json], within: bool) -> None:  # noqa: FBT001
    assert is_within_times(claims, now=100, clock_skew=10) is within


@pytest.mark.parametrize("name", ["exp", "nbf"])
@pytest.mark.parametrize("value", [None, "200", True, -1])
def test_an_exp_or_nbf_that_is_no_time_is_not_passed_over(name: str, value: Json) -> None:
    with pytest.raises(ClaimError):
        is_within_times({name: value}, now=100, clock_skew=10)


@pytest.mark.parametrize(
    ("value", "audience"), [("a", ("a",)), (["a"], ("a",)), (["a", "b"], ("a", "b"))]
)
def test_an_audience_is_one_text_or_a_list(value: Json, audience: tuple[str, ...]) -> None:
    assert read_audience({"aud": value}) == audience


@pytest.mark.parametrize("value", [None, "", [], [""], ["a", ""], ["a", 1], [["a"]], {}, 1, True])
def test_what_is_no_audience_is_an_error(value: Json) -> None:
    with pytest.raises(ClaimError):
        read_audience({"aud": value})


# Scopes

SCOPE = ScopeClaim(("scope",), is_list=False)
SCP = ScopeClaim(("scp",), is_list=True)


def test_scopes_are_words_with_one_space_between() -> None:
    assert read_scopes({"scope": "a b:c"}, [SCOPE]) == {"a", "b:c"}
    assert read_scopes({"scope": ""}, [SCOPE]) == frozenset()


def test_a_list_of_scopes_must_be_expected() -> None:
    assert read_scopes({"scp": ["a", "b"]}, [SCP]) == {"a", "b"}
    assert read_scopes({"scp": "a b"}, [SCP]) == {"a", "b"}
    assert read_scopes({"scp": []}, [SCP]) == frozenset()
    with pytest.raises(ClaimError):
        read_scopes({"scope": ["a", "b"]}, [SCOPE])


def test_the_first_place_of_scopes_that_is_there_counts() -> None:
    assert read_scopes({"scope": "a", "scp": ["b"]}, [SCP, SCOPE]) == {"b"}
    assert read_scopes({"scope": "a"}, [SCP, SCOPE]) == {"a"}
    assert read_scopes({"scope": "a", "scp": None}, [SCP, SCOPE]) == {"a"}
    assert read_scopes({"other": "a"}, [SCP, SCOPE]) == frozenset()
    assert read_scopes({"scope": "a"}, []) == frozenset()


@pytest.mark.parametrize(
    "value",
    [1, True, {}, {"a": "b"}, " ", " a", "a ", "a  b", "a\tb", 'a"b', "a\\b", "caf\u00e9", ["a b"],
     ["a", ""], ["a", 1], ["a", None], [["a"]], ["caf\u00e9"]],
)  # fmt: skip
def test_what_are_no_scopes_is_an_error(value: Json) -> None:
    with pytest.raises(ClaimError):
        read_scopes({"scp": value, "scope": "good"}, [SCP, SCOPE])
