"""Entries in memory that are forgotten when their time is over, and never made again after that.

Rules of this file:
- An entry is forgotten only when its time is over. Where there is no room for another, none is
  made.
- No call looks at all entries.
- No clock is believed more than another: it may go ahead, and back. What was forgotten is told
  by its end, so no new entry with such an end is made, whatever the clock says by then. Only
  these ends are refused: a clock that was ahead for a while does no harm for longer than
  entries last.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Generic, TypeVar

LONGEST_SECONDS = 1e9
"""Nothing is remembered for longer, about 30 years."""

_FORGOTTEN_PER_CALL = 8
"""More than one, so that places become free faster than they are taken."""
_MOST_SPANS = 8
_NEAR_SECONDS = 60.0

Value = TypeVar("Value")


@dataclass(slots=True)
class _Span:
    """From one end to another, both in it."""

    first: float
    last: float


class EndingEntries(Generic[Value]):
    """At most `entries` values by key, each until its end. Times are epoch seconds.

    Not for more than one thread at a time.
    """

    def __init__(self, entries: int) -> None:
        self._entries = entries
        self._values: dict[str, tuple[float, Value]] = {}
        self._ends: list[tuple[float, str]] = []
        self._forgotten: list[_Span] = []

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: str, now: float) -> Value | None:
        """The value while its time is not over."""
        end, value = self._values.get(key, (-math.inf, None))
        return value if end > now else None

    def put(self, key: str, end: float, value: Value, now: float) -> bool:
        """Makes an entry for a key that has none by now; false where that cannot be done."""
        if (
            not 0 < end - now <= LONGEST_SECONDS
            or self._was_forgotten(end)
            or len(self._values) >= self._entries
        ):
            return False
        if key in self._values:
            self._note_forgotten(self._values[key][0])
        self._values[key] = (end, value)
        heapq.heappush(self._ends, (end, key))
        return True

    def forget(self, now: float) -> list[Value]:
        """Drops a few of the entries whose time is over, and gives their values."""
        ends = self._ends
        dropped: list[Value] = []
        for _ in range(_FORGOTTEN_PER_CALL):
            if not ends or ends[0][0] > now:
                break
            end, key = heapq.heappop(ends)
            # One that came back after its time was over has a later end of its own.
            if self._values[key][0] == end:
                dropped.append(self._values.pop(key)[1])
                self._note_forgotten(end)
        return dropped

    def _was_forgotten(self, end: float) -> bool:
        return any(span.first <= end <= span.last for span in self._forgotten)

    def _note_forgotten(self, end: float) -> None:
        """Few spans must tell of all ends, so those near each other are told as one."""
        spans = self._forgotten
        for span in reversed(spans):
            if span.first - _NEAR_SECONDS <= end <= span.last + _NEAR_SECONDS:
                span.first, span.last = min(span.first, end), max(span.last, end)
                return
        spans.append(_Span(end, end))
        spans.sort(key=lambda span: span.first)
        if len(spans) > _MOST_SPANS:
            gaps = [later.first - span.last for span, later in pairwise(spans)]
            nearest = gaps.index(min(gaps))
            spans[nearest].last = max(spans[nearest].last, spans.pop(nearest + 1).last)
