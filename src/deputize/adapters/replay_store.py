"""Identifiers that may be used once: what a store says of one, and the store of one replica.

Rules of this file:
- An identifier is forgotten only when its time is over. Where there is no room for another the
  store cannot say, and who asks refuses.
- The clock of a store never goes back: what it has forgotten is not let in again.
- No call looks at all entries.

Sources: RFC 9449 section 11.1 (`jti` of a proof); RFC 7519 section 4.1.7 (`jti` of a token).
"""

from __future__ import annotations

import heapq
import math
import threading
from enum import StrEnum

LONGEST_SECONDS = 1e9
"""No store promises to remember for longer, about 30 years."""

_FORGOTTEN_PER_CALL = 8
"""More than one, so that places become free faster than they are taken."""


class Use(StrEnum):
    """What a store says of an identifier it is asked about."""

    FRESH = "fresh"
    """Not used before. From now on it is."""
    USED = "used"
    """Used before."""
    UNKNOWN = "unknown"
    """The store cannot say. It may have noted the use all the same."""


class MemoryReplayStore:
    """Remembers the uses that this process has seen, at most `entries` at a time."""

    problem = ""
    """It has none: it is here, or nothing is."""

    def __init__(self, entries: int) -> None:
        self._entries = entries
        self._until: dict[str, float] = {}
        self._ends: list[tuple[float, str]] = []
        self._now = -math.inf
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._until)

    def consume(self, key: str, until: float, now: float, timeout: float) -> Use:  # noqa: ARG002 - it never waits
        """Notes the use of `key`; `until` and `now` are epoch seconds."""
        if not math.isfinite(now):
            return Use.UNKNOWN
        with self._lock:
            now = self._now = max(self._now, now)
            if self._ends and self._ends[0][0] <= now:
                self._forget(now)
            if self._until.get(key, now) > now:
                return Use.USED
            if not 0 < until - now <= LONGEST_SECONDS or len(self._until) >= self._entries:
                return Use.UNKNOWN
            self._until[key] = until
            heapq.heappush(self._ends, (until, key))
            return Use.FRESH

    def stop(self) -> None:
        """Nothing to be done."""

    def _forget(self, now: float) -> None:
        """Drops a few of the identifiers whose time is over."""
        ends = self._ends
        for _ in range(_FORGOTTEN_PER_CALL):
            if not ends or ends[0][0] > now:
                return
            until, key = heapq.heappop(ends)
            # One that came back after its time was over has a later end of its own.
            if self._until[key] == until:
                del self._until[key]
