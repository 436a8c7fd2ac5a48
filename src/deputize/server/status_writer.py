"""Conditions of objects, written in a thread of their own.

Rules of this file:
- Nothing waits for it: what is decided does not hang on what is told.
- It writes only what differs, only onto the version it saw, and each text once: replicas that do
  not agree do not take turns.
- What cannot be written is a warning, and is tried again a few times.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping

from deputize.adapters.kubernetes_api import CONFLICT, NOT_FOUND, KubernetesError
from deputize.config.objects import ObjectKey, StoredObject
from deputize.server.object_status import Condition, Ruling, conditions

RETRY_SECONDS = 5.0
MAX_TRIES = 5
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
        self._rulings: Mapping[ObjectKey, Ruling] = {}
        self._written: dict[ObjectKey, Said] = {}
        self._tries: dict[ObjectKey, int] = {}
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

    def tell(self, rulings: Mapping[ObjectKey, Ruling]) -> None:
        """Says this from now on."""
        self._rulings = rulings
        self._tries = {}
        self._wake.set()

    def poke(self) -> None:
        """Looks again: an object was seen anew."""
        self._wake.set()

    def look(self) -> bool:
        """Writes what differs; whether something is to be tried again."""
        rulings, stored = self._rulings, self._stored()
        problem, again = "", False
        for key, ruling in rulings.items():
            latest = stored.get(key)
            if self._stopping.is_set() or latest is None or not latest.is_same(ruling.stored):
                continue
            wanted = conditions(ruling, latest.conditions, time.time())
            said = _said(latest, wanted)
            if said in (self._written.get(key), _said(latest, latest.conditions)):
                continue
            try:
                self._write(latest, wanted)
                self._written[key] = said
            except KubernetesError as error:
                if error.code not in _IGNORED:
                    self._tries[key] = self._tries.get(key, 0) + 1
                    again = again or self._tries[key] < MAX_TRIES
                    problem = f"status of {key}: {error}"
        if problem and problem != self.problem:
            _log.warning("%s", problem)
        self.problem = problem
        self._written = {key: said for key, said in self._written.items() if key in stored}
        return again

    def _run(self) -> None:
        again = False
        while not self._stopping.is_set():
            self._wake.wait(RETRY_SECONDS if again else None)
            self._wake.clear()
            try:
                again = self.look()
            except Exception:  # noqa: BLE001 - the thread must live, whatever it is
                _log.exception("writing the status of objects")
                again = False


def _said(stored: StoredObject, found: tuple[Condition, ...] | list[Condition]) -> Said:
    """What conditions say of an object, without since when."""
    texts = (tuple(sorted((key, str(each[key])) for key in each if key != _TIME)) for each in found)
    return stored.uid, stored.generation, tuple(sorted(texts))


_TIME = "lastTransitionTime"
