from __future__ import annotations

from collections.abc import Callable

import pytest

from deputize.core.spiffe import (
    MAX_SPIFFE_ID_BYTES,
    MAX_TRUST_DOMAIN_BYTES,
    SpiffeIdError,
    TrustDomain,
    check_segment,
    parse_spiffe_id,
)
from tests.harness.characters import CHARACTERS, DIGITS, LOWER, UPPER, places

TRUST_DOMAIN_CHARACTERS = frozenset(LOWER + DIGITS + "._-")
SEGMENT_CHARACTERS = TRUST_DOMAIN_CHARACTERS | frozenset(UPPER)


def is_accepted(parse: Callable[[str], object], text: str) -> bool:
    try:
        parse(text)
    except SpiffeIdError:
        return False
    return True


def test_a_spiffe_id_is_taken_apart() -> None:
    parsed = parse_spiffe_id("spiffe://prod.example.org/ns/agents/sa/research")
    assert parsed.trust_domain == TrustDomain("prod.example.org")
    assert parsed.path == "/ns/agents/sa/research"
    assert str(parsed) == parsed.text == "spiffe://prod.example.org/ns/agents/sa/research"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "spiffe://",
        "spiffe:///a",
        "spiffe://td",
        "spiffe://td/",
        "spiffe://td/a/",
        "spiffe://td//a",
        "spiffe://td/a//b",
        "spiffe://td/.",
        "spiffe://td/..",
        "spiffe://td/a/../b",
        "spiffe://td/a/./b",
        "spiffe://TD/a",
        "spiffe://Td/a",
        "SPIFFE://td/a",
        "Spiffe://td/a",
        "spiffe:/td/a",
        "spiffe:td/a",
        "https://td/a",
        "//td/a",
        "td/a",
        "spiffe://user@td/a",
        "spiffe://td:8443/a",
        "spiffe://[::1]/a",
        "spiffe://td?x/a",
        "spiffe://td/a?x=1",
        "spiffe://td/a#x",
        "spiffe://td/%61",
        "spiffe://td/a%2Fb",
        "spiffe://t%64/a",
        "spiffe://td/a b",
        "spiffe://td/*",
        "spiffe://td\\a",
        " spiffe://td/a",
        "spiffe://td/a ",
        "spiffe://td/a\n",
        "spiffe://td\n/a",
    ],
)
def test_what_is_no_spiffe_id_of_a_workload_is_refused(text: str) -> None:
    assert not is_accepted(parse_spiffe_id, text)


@pytest.mark.parametrize("segment", ["...", ".a", "a.", "..a", "-", "_", "A", "0"])
def test_only_one_or_two_dots_are_dot_segments(segment: str) -> None:
    assert parse_spiffe_id(f"spiffe://td/{segment}").path == f"/{segment}"


def test_a_trust_domain_has_exactly_these_characters() -> None:
    for char in CHARACTERS:
        for text in places(char):
            expected = char in TRUST_DOMAIN_CHARACTERS
            assert is_accepted(TrustDomain, text) is expected, ascii(text)
            # A slash ends the trust domain: its rest is then a path.
            if char != "/":
                assert is_accepted(parse_spiffe_id, f"spiffe://{text}/x") is expected, ascii(text)


def test_a_path_segment_has_exactly_these_characters() -> None:
    for char in CHARACTERS:
        for text in places(char):
            expected = char in SEGMENT_CHARACTERS
            assert is_accepted(check_segment, text) is expected, ascii(text)
            if char != "/":
                assert is_accepted(parse_spiffe_id, f"spiffe://td/{text}") is expected, ascii(text)


@pytest.mark.parametrize("segment", ["", ".", ".."])
def test_a_segment_is_neither_empty_nor_dots(segment: str) -> None:
    assert not is_accepted(check_segment, segment)


def test_the_longest_trust_domain() -> None:
    assert is_accepted(TrustDomain, "a" * MAX_TRUST_DOMAIN_BYTES)
    assert not is_accepted(TrustDomain, "a" * (MAX_TRUST_DOMAIN_BYTES + 1))


def test_the_longest_id() -> None:
    start = "spiffe://td/"
    longest = start + "a" * (MAX_SPIFFE_ID_BYTES - len(start))
    assert is_accepted(parse_spiffe_id, longest)
    assert not is_accepted(parse_spiffe_id, f"{longest}a")


def test_ids_are_compared_exactly() -> None:
    assert parse_spiffe_id("spiffe://td/a") == parse_spiffe_id("spiffe://td/a")
    assert parse_spiffe_id("spiffe://td/a") != parse_spiffe_id("spiffe://td/A")
    assert parse_spiffe_id("spiffe://td/a") != parse_spiffe_id("spiffe://td2/a")


def test_a_trust_domain_prints_as_its_name() -> None:
    assert str(TrustDomain("prod.example.org")) == "prod.example.org"
