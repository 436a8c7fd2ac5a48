"""Moments that time windows of one zone tell apart.

Rules of this file:
- Between two neighbouring moments of `notBefore` and `notAfter` a window says of each minute of
  the week what it says of it in any other week. So two weeks of each of those spans are enough.
- In local time an hour may be left out in a week; in the other one it is there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from itertools import pairwise
from typing import Final

from deputize.analysis import value_atoms
from deputize.analysis.fact_values import Example
from deputize.analysis.value_atoms import Said, Signature, TooManyError, ValueAtoms, ask_all
from deputize.core.conditions import Within

_DAYS = 16
_DAY = 86_400
_ANY_MONDAY = 1_767_571_200.0
"""2026-01-05, where no moment is named."""


class TimeAtoms(ValueAtoms):
    """The atoms of the time, in one zone."""

    def __init__(self, conditions: Mapping[Said, Within], *, is_tied: bool) -> None:
        """Raises TooManyError."""
        asked = list(conditions.values())
        zone = asked[0].zone
        found: dict[Signature, Example] = {}
        steps = value_atoms.MAX_STEPS
        for now in _moments(asked, zone):
            steps -= len(asked)
            if steps < 0:
                raise TooManyError
            text = datetime.fromtimestamp(now, zone).strftime("%a %Y-%m-%d %H:%M")
            example = Example(now, f"like {text} {zone}")
            found.setdefault(ask_all(asked, now), example)
        self.zone: Final = zone
        texts = {said: each.text for said, each in conditions.items()}
        super().__init__("time", texts, found, is_tied=is_tied)

    def moment(self, number: int) -> datetime:
        """The time of this atom's example."""
        value = self.examples[number].value
        return datetime.fromtimestamp(float(str(value)), self.zone)


def _moments(conditions: Sequence[Within], zone: tzinfo) -> Iterable[float]:
    named = {each.not_before for each in conditions} | {each.not_after for each in conditions}
    fixed = sorted(moment for moment in named if math.isfinite(moment))
    minutes = {0, *(each.begins for each in conditions), *(each.ends % 1440 for each in conditions)}
    first = fixed[0] - _DAYS * _DAY if fixed else _ANY_MONDAY
    # Latest first: what is over cannot be tried any more.
    for begin, end in reversed(list(pairwise([first, *fixed, math.inf]))):
        yield begin
        day = datetime.fromtimestamp(begin, zone).replace(hour=0, minute=0, second=0, microsecond=0)
        for number in range(_DAYS + 1):
            for minute in sorted(minutes):
                wall = day + timedelta(days=number, minutes=minute)
                for fold in (0, 1):
                    now = wall.replace(fold=fold).timestamp()
                    if begin <= now < end:
                        yield now
