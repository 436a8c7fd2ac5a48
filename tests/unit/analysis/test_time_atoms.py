"""Atoms of the time: at each moment there is one of which all time windows say the same."""

from __future__ import annotations

import math
from random import Random
from zoneinfo import ZoneInfo

import pytest

from deputize.analysis import value_atoms
from deputize.analysis.policy_set import PolicySet
from deputize.analysis.questions import compare
from deputize.analysis.time_atoms import TimeAtoms
from deputize.analysis.value_atoms import ask_all
from deputize.core.conditions import Within
from tests.harness.world import make_principal, make_rule

BERLIN = ZoneInfo("Europe/Berlin")
UTC = ZoneInfo("UTC")
NOON = 1_767_614_400.0
"""2026-01-05 12:00, a Monday."""
DAY = 86_400.0


def window(
    begins: int = 0,
    ends: int = 1440,
    days: str = "0123456",
    zone: ZoneInfo = BERLIN,
    moments: tuple[float, float] = (-math.inf, math.inf),
) -> Within:
    text = f"time {days} {begins} {ends} {zone} {moments}"
    return Within(frozenset(map(int, days)), begins, ends, zone, *moments, text)


def policies(*windows: Within) -> PolicySet:
    principals = [make_principal("https://one.example")]
    rule = make_rule("p/r", principals=principals, conditions=windows)
    return PolicySet((rule,))


@pytest.mark.parametrize("seed", range(20))
def test_every_moment_has_an_atom(seed: int) -> None:
    random = Random(seed)  # noqa: S311 - a fixed pool of examples
    windows = [
        window(
            random.choice((0, 60, 150, 480, 1320)),
            random.choice((120, 180, 600, 1020, 1440)),
            random.choice(("0123456", "01234", "56", "6")),
            moments=random.choice(
                ((-math.inf, math.inf), (NOON, math.inf), (NOON - DAY, NOON + 40 * DAY))
            ),
        )
        for _ in range(random.randint(1, 4))
    ]
    found = TimeAtoms({each.text: each for each in windows}, is_tied=False)
    for _ in range(3000):
        now = NOON + random.uniform(-400 * DAY, 400 * DAY)
        assert ask_all(windows, now) in found.signatures
    for number, example in enumerate(found.examples):
        moment = found.moment(number).timestamp()
        assert ask_all(windows, moment) == found.signatures[number], example


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        (window(480, 1080), window(540, 1020)),
        (window(1320, 360), window(1380, 300)),
        (window(days="01234"), window(days="0123")),
        (window(), window(540, 1020)),
        (window(moments=(NOON, math.inf)), window(moments=(NOON + 60, math.inf))),
        (window(480, 1080), window(480, 1080, moments=(NOON, NOON + 90 * DAY))),
    ],
)
def test_a_shorter_window_widens_nothing(wide: Within, narrow: Within) -> None:
    found = compare(policies(wide), policies(narrow))
    assert found.widened == []
    (row,) = found.narrowed
    assert row.is_certain
    assert row.witness.at is not None
    moment = row.witness.at.timestamp()
    assert wide.says_of(moment)
    assert not narrow.says_of(moment)
    assert row.witness.to_json()["at"]


def test_windows_of_several_zones_are_possible_only() -> None:
    found = compare(policies(window(480, 1080)), policies(window(480, 1080, zone=UTC)))
    assert not found.widened[0].is_certain
    assert not found.narrowed[0].is_certain
    both = compare(policies(window(1, 2), window(1, 2, zone=UTC)), PolicySet(()))
    assert not both.narrowed[0].is_certain


def test_too_many_windows_are_opaque(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(value_atoms, "MAX_STEPS", 3)
    found = compare(policies(window(480, 1080)), policies(window(480, 1020)))
    assert not found.widened[0].is_certain
