from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deputize.core.spiffe import MAX_SPIFFE_ID_BYTES
from deputize.core.xfcc import MAX_XFCC_BYTES, XfccError, XfccNoPeerError, parse_waypoint_xfcc
from tests.harness.characters import CHARACTERS

WAYPOINT = "spiffe://prod.example.org/ns/agents/sa/waypoint"
AGENT = "spiffe://prod.example.org/ns/agents/sa/research"
ADMIN = "spiffe://prod.example.org/ns/agents/sa/admin"
GOOD = f"By={WAYPOINT};URI={AGENT}"

SPIFFE_ID = r"spiffe://[a-z0-9._-]+(?:/(?!\.{1,2}(?:/|;|\Z))[A-Za-z0-9._-]+)+"
SHAPE = re.compile(rf"By=({SPIFFE_ID});URI=({SPIFFE_ID})")
"""The same form said in another way, for short texts."""


def is_accepted(value: str) -> bool:
    try:
        parsed = parse_waypoint_xfcc(value)
    except XfccError:
        return False
    # Whatever is accepted is what these two IDs are written as, and nothing else.
    assert value == f"By={parsed.by};URI={parsed.uri}"
    return True


def test_a_waypoint_names_itself_and_the_peer() -> None:
    parsed = parse_waypoint_xfcc(GOOD)
    assert (parsed.by.text, parsed.uri.text) == (WAYPOINT, AGENT)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "-",
        f"By={WAYPOINT}",
        f"By={WAYPOINT};",
        f"URI={AGENT}",
        f"URI={AGENT};By={WAYPOINT}",
        f"By={WAYPOINT};By={AGENT}",
        f"By={WAYPOINT};URI={AGENT};URI={ADMIN}",
        f"By={WAYPOINT};URI={AGENT};",
        f"By={WAYPOINT};;URI={AGENT}",
        f";By={WAYPOINT};URI={AGENT}",
        f"By={WAYPOINT};Hash=abc;URI={AGENT}",
        f"Hash=abc;By={WAYPOINT};URI={AGENT}",
        f'By={WAYPOINT};Hash=abc;Subject="";URI={AGENT}',
        f"By={WAYPOINT};URI={AGENT};DNS=research",
        f"by={WAYPOINT};uri={AGENT}",
        f"BY={WAYPOINT};URI={AGENT}",
        f"By:{WAYPOINT};URI:{AGENT}",
        f'By="{WAYPOINT}";URI="{AGENT}"',
        f"By={WAYPOINT}; URI={AGENT}",
        f"By ={WAYPOINT};URI= {AGENT}",
        f" {GOOD}",
        f"{GOOD} ",
        f"{GOOD}\n",
        f"{GOOD},{GOOD}",
        f"{GOOD},",
        f"By={WAYPOINT};URI={ADMIN},{GOOD}",
        f"{GOOD},URI={ADMIN}",
        f"{GOOD},{ADMIN}",
        f"By={WAYPOINT};URI=URI={AGENT}",
        f"By=By={WAYPOINT};URI={AGENT}",
        f"By={WAYPOINT};URI=",
        "By=;URI=" + AGENT,
        f"By=-;URI={AGENT}",
        "By=-;URI=-",
        f"By={WAYPOINT};URI=-,-",
        f"By={WAYPOINT};URI=--",
        f"By={WAYPOINT};URI=research.agents.svc",
        f"By={WAYPOINT};URI=https://prod.example.org/x",
        f"By={WAYPOINT};URI=spiffe://prod.example.org",
        f"By=spiffe://prod.example.org;URI={AGENT}",
        f"By={WAYPOINT};URI={AGENT}/",
        f"By={WAYPOINT};URI={AGENT}/../admin",
        f"By={WAYPOINT};URI={AGENT.upper()}",
        f"By={WAYPOINT};URI=spiffe%3A%2F%2Fprod.example.org/ns/agents/sa/research",
        f"By={WAYPOINT};URI={AGENT}%2Cadmin",
        f"By={WAYPOINT};URI={AGENT}\\,admin",
    ],
)
def test_what_no_waypoint_writes_is_refused(value: str) -> None:
    with pytest.raises(XfccError) as caught:
        parse_waypoint_xfcc(value)
    assert type(caught.value) is XfccError
    assert str(caught.value)


def test_a_waypoint_that_knows_no_peer_has_its_own_error() -> None:
    with pytest.raises(XfccNoPeerError):
        parse_waypoint_xfcc(f"By={WAYPOINT};URI=-")


def test_every_character_in_every_place() -> None:
    for place in range(len(GOOD) + 1):
        for char in CHARACTERS:
            inserted = GOOD[:place] + char + GOOD[place:]
            assert is_accepted(inserted) is bool(SHAPE.fullmatch(inserted)), ascii(inserted)
            replaced = GOOD[:place] + char + GOOD[place + 1 :]
            assert is_accepted(replaced) is bool(SHAPE.fullmatch(replaced)), ascii(replaced)


def test_every_part_left_out() -> None:
    for start in range(len(GOOD)):
        for end in range(start + 1, len(GOOD) + 1):
            shorter = GOOD[:start] + GOOD[end:]
            assert is_accepted(shorter) is bool(SHAPE.fullmatch(shorter)), ascii(shorter)


def test_the_longest_value() -> None:
    start = "spiffe://td/"
    longest = start + "a" * (MAX_SPIFFE_ID_BYTES - len(start))
    value = f"By={longest};URI={longest}"
    assert len(value) == MAX_XFCC_BYTES
    assert is_accepted(value)
    assert not is_accepted(f"{value}a")


@given(st.text(max_size=80))
def test_any_text_is_read_as_it_stands_or_refused(text: str) -> None:
    assert is_accepted(text) is bool(SHAPE.fullmatch(text))


PIECES = st.sampled_from(
    ["By=", "URI=", ";", ",", "=", '"', "-", " ", "Hash=ab", WAYPOINT, AGENT, ADMIN, "/a", "/.."]
)


@given(st.lists(PIECES, max_size=8))
def test_any_pieces_are_read_as_they_stand_or_refused(pieces: list[str]) -> None:
    text = "".join(pieces)
    assert is_accepted(text) is bool(SHAPE.fullmatch(text))
