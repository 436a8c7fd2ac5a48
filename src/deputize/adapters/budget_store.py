"""Budgets, so many uses in a window: what a store says of one more, and the count of one replica.

Rules of this file:
- Windows begin at multiples of their length since the epoch, for every store and replica.
- Of one budget a store lets no more uses in than its limit within one window. It may refuse
  more than it must: after a fault, or a clock that was wrong.
- A window is forgotten only some time after it is over. Where there is no room for another the
  store cannot say, and who asks refuses.
- Who calls many tools that do not exist takes the room of others only up to a share.
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

from deputize.adapters.ending import LONGEST_SECONDS, EndingEntries

MOST_TOOLS = 1000
"""Counts of tools apart that one budget of an agent for a principal may have at a time."""
LATE_SECONDS = 5
"""Longer than a check takes: they are not asked about in the order of their times, and one that
began just before the end of a window may come after others have begun the next."""


class Spent(StrEnum):
    """What a store says of one more use of a budget."""

    WITHIN = "within"
    """Counted, and within the limit."""
    EXHAUSTED = "exhausted"
    """There were as many as the limit before."""
    UNKNOWN = "unknown"
    """The store cannot say. It may have counted the use all the same."""


class WindowError(ValueError):
    """No time, or no length of a window."""


def window_end(now: float, window: int) -> int:
    """When the window of so many seconds that `now` is in ends; both are epoch seconds.

    Raises:
        WindowError: no such window.
    """
    if not math.isfinite(now) or not 0 < window <= LONGEST_SECONDS:
        raise WindowError
    return (int(now // window) + 1) * window


@dataclass(slots=True)
class _Count:
    holder: str
    used: int = 0


class MemoryBudgets:
    """Counts the uses that this process lets in, of at most `entries` budgets at a time."""

    def __init__(self, entries: int) -> None:
        self._counts: EndingEntries[_Count] = EndingEntries(entries)
        self._held: Counter[str] = Counter()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._counts)

    def spend(self, key: str, limit: int, window: int, now: float) -> Spent:
        """Counts one use in the window that `now` is in, if there are not `limit` already."""
        try:
            end = window_end(now, window)
        except WindowError:
            return Spent.UNKNOWN
        # A window has a count of its own: were two of one budget told as one, a clock that goes
        # back would go on with the count of a later one.
        name = f"{key}:{window}:{end}"
        holder, _, tool = key.partition(".")
        with self._lock:
            counts = self._counts
            for forgotten in counts.forget(now):
                self._release(forgotten.holder)
            count = counts.get(name, now)
            if count is None:
                count = _Count(holder)
                if tool and self._held[holder] >= MOST_TOOLS:
                    return Spent.UNKNOWN
                if not counts.put(name, end + min(window, LATE_SECONDS), count, now):
                    return Spent.UNKNOWN
                self._held[holder] += 1
            if count.used >= limit:
                return Spent.EXHAUSTED
            count.used += 1
            return Spent.WITHIN

    def _release(self, holder: str) -> None:
        self._held[holder] -= 1
        if not self._held[holder]:
            del self._held[holder]
