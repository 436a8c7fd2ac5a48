"""The keys of each issuer: fetched in the background, kept fresh, each issuer by itself.

Rules of this file:
- A decision never fetches: one thread per issuer does, and publishes each ring it reads.
- The last good set stays in use for `stale_after` seconds when fetching fails.
- An unknown key may cause one fetch per cool-down, however many tokens ask for it; no token
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
from pathlib import Path

from deputize.adapters.http_fetch import MAX_DOCUMENT_BYTES, FetchError, discover, fetch
from deputize.core.jws import JwsError
from deputize.core.keys import Algorithm, KeyRing, freeze_keys, parse_jwk_set

RETRY_SECONDS = 5.0
"""First pause after a failed fetch; it doubles up to the refresh time."""

_log = logging.getLogger(__name__)

Publish = Callable[[str, KeyRing], None]


@dataclass(frozen=True, slots=True)
class KeySettings:
    """Where one issuer's keys are: exactly one of `file`, `url`, `discovery`. Times in seconds."""

    issuer: str
    algorithms: tuple[Algorithm, ...]
    file: str | None
    url: str | None
    discovery: bool
    ca_file: str | None
    refresh: float
    cooldown: float
    stale_after: float

    @property
    def source(self) -> tuple[str | None, str | None, bool, str | None]:
        """What tells one source from another."""
        return (self.file, self.url, self.discovery, self.ca_file)


@dataclass(frozen=True, slots=True)
class KeyStatus:
    """The state of one issuer's keys. `fetched_at` in epoch seconds, None before the first."""

    usable: int
    fetched_at: float | None
    error: str
    left_out: tuple[str, ...]


class IssuerKeys:
    """Keeps one issuer's ring fresh."""

    def __init__(
        self,
        settings: KeySettings,
        publish: Publish,
        on_fetch: Callable[[str, bool], None] = lambda _issuer, _succeeded: None,
    ) -> None:
        self.settings = settings
        self.status = KeyStatus(0, None, "not fetched yet", ())
        self._publish = publish
        self._on_fetch = on_fetch
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._lock = threading.Condition()
        self._begun = self._ended = 0
        self._awaited = 0
        self._next_refetch = self._wait_until = 0.0
        self._thread = threading.Thread(
            target=self._run, name=f"keys {settings.issuer}", daemon=True
        )

    def start(self) -> None:
        """Starts fetching."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread at its next pause; nothing is published after this."""
        with self._lock:
            self._stopping.set()
        self._wake.set()

    def refetch(self, timeout: float) -> None:
        """Fetches again unless cooling down, and waits for it at most `timeout` seconds.

        Others who ask meanwhile wait for the same fetch, none of them longer than the first:
        a slow source must not hold up all checks again and again.
        """
        with self._lock:
            now = time.monotonic()
            if now >= self._next_refetch:
                self._next_refetch = now + self.settings.cooldown
                self._wait_until = now + timeout
                # A fetch that has begun already may have seen the set from before.
                self._awaited = self._begun + 1
                self._wake.set()
            left = min(timeout, self._wait_until - now)
            self._lock.wait_for(lambda: self._ended >= self._awaited, left)

    def poke(self) -> None:
        """Fetches soon: the file may have changed."""
        self._wake.set()

    def age(self) -> float:
        """Seconds since the last good fetch; NaN before the first."""
        fetched_at = self.status.fetched_at
        return math.nan if fetched_at is None else max(0.0, time.time() - fetched_at)

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            succeeded = self._fetch_once()
            failures = 0 if succeeded else failures + 1
            pause = self.settings.refresh
            if failures:
                pause = min(pause, RETRY_SECONDS * 2.0 ** min(failures - 1, 10))
            # Replicas that started together must not fetch together.
            self._wake.wait(pause * random.uniform(0.9, 1.0))  # noqa: S311 - no secret
            self._wake.clear()

    def _fetch_once(self) -> bool:
        with self._lock:
            self._begun += 1
        try:
            return self._fetch()
        finally:
            # After the ring is published: who waits looks for the key at once.
            with self._lock:
                self._ended = self._begun
                self._lock.notify_all()

    def _fetch(self) -> bool:
        try:
            keys, left_out = parse_jwk_set(self._read(), self.settings.algorithms)
        except (FetchError, JwsError) as error:
            self._failed(str(error))
            return False
        except Exception as error:  # noqa: BLE001 - the thread must live, whatever it is
            _log.exception("keys of %s", self.settings.issuer)
            self._failed(type(error).__name__)
            return False
        now = time.time()
        ring = freeze_keys(keys, now + self.settings.stale_after)
        with self._lock:
            if not self._stopping.is_set():
                self._publish(self.settings.issuer, ring)
        if tuple(left_out) != self.status.left_out:
            for line in left_out:
                _log.warning("keys of %s: left out %s", self.settings.issuer, line)
        problem = "" if keys else "no usable key in the set"
        if problem and problem != self.status.error:
            _log.error("keys of %s: %s, no token is accepted", self.settings.issuer, problem)
        self.status = KeyStatus(len(keys), now, problem, tuple(left_out))
        self._on_fetch(self.settings.issuer, True)  # noqa: FBT003
        return True

    def _failed(self, error: str) -> None:
        if error != self.status.error:
            _log.warning("keys of %s: %s", self.settings.issuer, error)
        status = self.status
        self.status = KeyStatus(status.usable, status.fetched_at, error, status.left_out)
        self._on_fetch(self.settings.issuer, False)  # noqa: FBT003

    def _read(self) -> bytes:
        settings = self.settings
        if settings.file is not None:
            return _read_file(Path(settings.file))
        if settings.url is not None:
            return fetch(settings.url, settings.ca_file)
        return fetch(discover(settings.issuer, settings.ca_file), settings.ca_file)


def _read_file(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            octets = stream.read(MAX_DOCUMENT_BYTES + 1)
    except OSError as error:
        raise FetchError(f"{path}: {error.strerror}") from None
    if len(octets) > MAX_DOCUMENT_BYTES:
        raise FetchError(f"{path} is larger than {MAX_DOCUMENT_BYTES} bytes")
    return octets
