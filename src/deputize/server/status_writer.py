"""Conditions of objects, written in a thread of their own.

Rules of this file:
- Nothing waits for it: what is decided does not hang on what is told.
- It writes only what differs, only onto the version it saw, and the same text seldom: replicas
  that do not agree do not take turns.
- What cannot be written is a warning, and is tried again a few times.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping

from deputize.adapters.kubernetes_answers import KubernetesError
from deputize.adapters.kubernetes_api import CONFLICT, NOT_FOUND
from deputize.config.objects import ObjectKey, StoredObject
from deputize.server.object_status import SINCE, Condition, Outcome, conditions

RETRY_SECONDS = 5.0
MAX_TRIES = 5
MAX_ERRORS = 3
"""In one round; then the rest would hardly fare better."""
REPEAT_SECONDS = 600.0
"""Least time between two writes of the same text, where somebody else wrote another meanwhile."""
JOIN_SECONDS = 1.0

_log = logging.getLogger(__name__)
_IGNORED = (CONFLICT, NOT_FOUND)
"""It changed, or is gone: then it is seen again, or never."""

Write = Callable[[StoredObject, list[Condition]], None]
Said = tuple[str, int, tuple[tuple[object, ...], ...]]


class StatusWriter:
    """Writes what `tell` says about the objects that `stored` gives.

    `problem` is why the last write failed, empty when it did not.
    """

    def __init__(
        self, stored: Callable[[], Mapping[ObjectKey, StoredObject]], write: Write
    ) -> None:
        self.problem = ""
        self._stored = stored
        self._write = write
        self._outcomes: Mapping[ObjectKey, Outcome] = {}
        self._written: dict[ObjectKey, tuple[Said, float]] = {}
        self._tries = 0
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="object status", daemon=True)

    def start(self) -> None:
        """Writes from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Writes no more."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(JOIN_SECONDS)

    def tell(self, outcomes: Mapping[ObjectKey, Outcome]) -> None:
        """Says this from now on."""
        self._outcomes = outcomes
        self._tries = 0
        self._wake.set()

    def poke(self) -> None:
        """Looks again: an object was seen anew."""
        self._wake.set()

    def look(self) -> bool:
        """Writes what differs; whether it is to be tried again soon."""
        outcomes, stored = self._outcomes, self._stored()
        errors: list[str] = []
        for key, outcome in outcomes.items():
            latest = stored.get(key)
            if self._stopping.is_set() or latest is None or not latest.is_same(outcome.stored):
                continue
            try:
                self._tell(outcome, latest)
            except KubernetesError as error:
                if error.code not in _IGNORED:
                    errors.append(f"status of {key}: {error}")
            if len(errors) >= MAX_ERRORS:
                break
        problem = errors[0] if errors else ""
        if problem and problem != self.problem:
            _log.warning("%s", problem)
        self.problem = problem
        self._tries = self._tries + 1 if errors else 0
        self._written = {key: each for key, each in self._written.items() if key in stored}
        return 0 < self._tries < MAX_TRIES

    def _tell(self, outcome: Outcome, latest: StoredObject) -> None:
        wanted = conditions(outcome, latest.conditions, time.time())
        said, now = _said(latest, wanted), time.monotonic()
        before, written_at = self._written.get(latest.key, (None, 0.0))
        is_recent = said == before and now - written_at < REPEAT_SECONDS
        if not is_recent and said != _said(latest, latest.conditions):
            self._write(latest, wanted)
            self._written[latest.key] = said, now

    def _run(self) -> None:
        again = False
        while not self._stopping.is_set():
            self._wake.wait(RETRY_SECONDS if again else REPEAT_SECONDS)
            self._wake.clear()
            try:
                again = self.look()
            except Exception:  # noqa: BLE001 - the thread must live, whatever it is
                _log.exception("writing the status of objects")
                again = False


def _said(stored: StoredObject, found: Iterable[Condition]) -> Said:
    """What conditions say of an object, without since when."""
    texts = (tuple(sorted((key, str(each[key])) for key in each if key != SINCE)) for each in found)
    return stored.uid, stored.generation, tuple(sorted(texts))
