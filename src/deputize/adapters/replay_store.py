"""Identifiers that may be used once: what a store says of one, and the store of one replica.

Rules of this file:
- An identifier is forgotten only when its time is over. Where there is no room for another the
  store cannot say, and who asks refuses.
- One that ends when another did that was forgotten is not let in, whatever the clock says by
  then: it may be the same.
- No call looks at all entries.

Sources: RFC 9449 section 11.1 (`jti` of a proof); RFC 7519 section 4.1.7 (`jti` of a token).
"""

from __future__ import annotations

import math
import threading
from enum import StrEnum

from deputize.adapters.budget_store import MemoryBudgets, Spent
from deputize.adapters.ending import EndingEntries


class Use(StrEnum):
    """What a store says of an identifier it is asked about."""

    FRESH = "fresh"
    """Not used before. From now on it is."""
    USED = "used"
    """Used before."""
    UNKNOWN = "unknown"
    """The store cannot say. It may have noted the use all the same."""


class MemoryReplayStore:
    """Remembers the uses that this process has seen, at most `entries` at a time.

    It counts budgets too, at most as many, but in places of their own: who uses many of the one
    kind up takes none of the other.
    """

    problem = ""
    """It has none: it is here, or nothing is."""

    def __init__(self, entries: int) -> None:
        self._used: EndingEntries[bool] = EndingEntries(entries)
        self._budgets = MemoryBudgets(entries)
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._used)

    def consume(self, key: str, until: float, now: float, timeout: float) -> Use:  # noqa: ARG002 - it never waits
        """Notes the use of `key`; `until` and `now` are epoch seconds."""
        if not math.isfinite(now):
            return Use.UNKNOWN
        with self._lock:
            self._used.forget(now)
            if self._used.get(key, now):
                return Use.USED
            return Use.FRESH if self._used.put(key, until, True, now) else Use.UNKNOWN  # noqa: FBT003 - a value

    def spend(self, key: str, limit: int, window: int, now: float, timeout: float) -> Spent:  # noqa: ARG002 - it never waits
        """Counts one use of a budget of `limit` in each window of so many seconds."""
        return self._budgets.spend(key, limit, window, now)

    def stop(self) -> None:
        """Nothing to be done."""
