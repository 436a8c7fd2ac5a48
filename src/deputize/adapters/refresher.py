"""One document from elsewhere, fetched in the background and kept fresh.

Rules of this file:
- A decision never fetches: one thread per document does, and publishes what it reads.
- The last good one stays when fetching fails; for how long, it says itself.
- Who misses something may cause one fetch per cool-down, however many miss it; and nobody
  chooses where to fetch from.

Sources: RFC 7517 section 5; RFC 8725 section 3.10 (no fetch that a token steers).
"""

from __future__ import annotations

import logging
import math
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from deputize.adapters.http_fetch import FetchError

RETRY_SECONDS = 5.0
"""First pause after a failed fetch; it doubles up to the refresh time."""
LEAST_PAUSE_SECONDS = 1.0
"""Between two fetches of a document that is good for a very short time."""

_log = logging.getLogger(__name__)


class Taken(NamedTuple):
    """A document that was read: how to publish it, and what is to be said about it.

    `left_out` are parts that are not used, each in words; `problem` is what is wrong with the
    whole, empty for nothing. It is good for `seconds`.
    """

    publish: Callable[[], None]
    left_out: tuple[str, ...] = ()
    problem: str = ""
    seconds: float = math.inf


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """How it stands with a document. `fetched_at` in epoch seconds, None before the first."""

    fetched_at: float | None
    error: str
    left_out: tuple[str, ...]


class Refresher:
    """Keeps one document fresh.

    `read` gives its octets and `take` makes something of them at a time in epoch seconds; both
    raise FetchError. It is fetched every `refresh` seconds, and once per `cooldown` seconds for
    those who miss something in it.
    """

    def __init__(
        self,
        name: str,
        *,
        read: Callable[[], bytes],
        take: Callable[[bytes, float], Taken],
        refresh: float,
        cooldown: float,
        on_fetch: Callable[[bool], None] = lambda _succeeded: None,
    ) -> None:
        self.name = name
        self.status = SourceStatus(None, "not fetched yet", ())
        self._read = read
        self._take = take
        self._refresh = refresh
        self._cooldown = cooldown
        self._on_fetch = on_fetch
        self._seconds = math.inf
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._lock = threading.Condition()
        self._begun = self._ended = 0
        self._awaited = 0
        self._next_refetch = self._wait_until = 0.0
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Starts fetching."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread at its next pause; nothing is published, nobody waits after this."""
        with self._lock:
            self._stopping.set()
            self._wake.set()
            self._lock.notify_all()

    def refetch(self, timeout: float) -> None:
        """Fetches again unless cooling down, and waits for it at most `timeout` seconds.

        Others who ask meanwhile wait for the same fetch, none of them longer than the first:
        a slow source must not hold up all checks again and again.
        """
        with self._lock:
            now = time.monotonic()
            if self._ended == 0:
                # The first one is on its way, and uses up no cool-down.
                self._awaited = 1
                self._wait_until = self._wait_until or now + timeout
            elif now >= self._next_refetch:
                self._next_refetch = now + self._cooldown
                self._wait_until = now + timeout
                # A fetch that has begun already may have seen the document from before.
                self._awaited = self._begun + 1
                self._wake.set()
            self._await(self._awaited, min(timeout, self._wait_until - now))

    def wait_for_first(self, timeout: float) -> None:
        """Waits at most `timeout` seconds for the first fetch to end."""
        with self._lock:
            self._await(1, timeout)

    def poke(self) -> None:
        """Fetches soon: the file may have changed."""
        self._wake.set()

    def age(self) -> float:
        """Seconds since the last good fetch; NaN before the first."""
        fetched_at = self.status.fetched_at
        return math.nan if fetched_at is None else max(0.0, time.time() - fetched_at)

    def _await(self, fetch: int, timeout: float) -> None:
        self._lock.wait_for(lambda: self._ended >= fetch or self._stopping.is_set(), timeout)

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            try:
                succeeded = self._fetch_once()
            except Exception:  # noqa: BLE001 - the thread must live, whatever it is
                # A count or a log that fails must not end what keeps revocations fresh.
                _log.exception("%s", self.name)
                succeeded = False
            failures = 0 if succeeded else failures + 1
            pause = min(self._refresh, max(LEAST_PAUSE_SECONDS, self._seconds / 2))
            if failures:
                pause = min(pause, RETRY_SECONDS * 2.0 ** min(failures - 1, 10))
            # Replicas that started together must not fetch together.
            self._wake.wait(pause * random.uniform(0.9, 1.0))  # noqa: S311 - no secret

    def _fetch_once(self) -> bool:
        with self._lock:
            self._begun += 1
            # Whoever asked before this moment is served by this fetch.
            if not self._stopping.is_set():
                self._wake.clear()
        try:
            return self._fetch()
        finally:
            # After it is published: who waits looks again at once.
            with self._lock:
                self._ended = self._begun
                self._lock.notify_all()

    def _fetch(self) -> bool:
        try:
            octets = self._read()
            now = time.time()
            taken = self._take(octets, now)
            with self._lock:
                if not self._stopping.is_set():
                    taken.publish()
        except FetchError as error:
            self._failed(str(error))
            return False
        except Exception as error:  # noqa: BLE001 - the thread must live, whatever it is
            _log.exception("%s", self.name)
            self._failed(type(error).__name__)
            return False
        if taken.left_out != self.status.left_out:
            for line in taken.left_out:
                _log.warning("%s: left out %s", self.name, line)
        if taken.problem and taken.problem != self.status.error:
            _log.error("%s: %s", self.name, taken.problem)
        self._seconds = taken.seconds
        self.status = SourceStatus(now, taken.problem, taken.left_out)
        self._on_fetch(True)  # noqa: FBT003 - a callback has no keywords
        return True

    def _failed(self, error: str) -> None:
        if error != self.status.error:
            _log.warning("%s: %s", self.name, error)
        self.status = SourceStatus(self.status.fetched_at, error, self.status.left_out)
        self._on_fetch(False)  # noqa: FBT003 - likewise
