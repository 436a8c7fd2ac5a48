"""Configuration files and objects watched; a good change is swapped in, a bad one changes nothing.

Rules of this file:
- Folders are watched, not files: editors and ConfigMap mounts replace files and links.
- Events only say when to look. What counts is whether the files in use look different, and which
  generations of objects there are.
- Files are taken whole or not at all, objects one by one (`config/settling.py`).
"""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import watchfiles

from deputize.config import settling
from deputize.config.file_set import FileSet, read_files
from deputize.config.files import Signature, folders_of, is_folder, sign_files
from deputize.config.loader import Loaded, check_files
from deputize.config.problems import ConfigError, Problem
from deputize.config.settling import InForce, Objects, Settled
from deputize.server.ports import ObjectSource

LOOK_SECONDS = 5.0
"""Longest time between two looks, for file systems that tell nothing."""
RETRY_SECONDS = 1.0
"""Pause after a fault of ours, before looking again."""
SETTLE_MILLIS = 100
"""Changes that come together are taken together."""
MAX_SETTLE_LOOKS = 30
MAX_LOADS = 5
NO_OBJECTS: Objects = MappingProxyType({})

_log = logging.getLogger(__name__)


class Reloader:
    """Uses the `first` configuration at once, and others whenever files or objects change.

    Without a `first` one nothing is used until `cluster` gives the objects of now, and none of them
    is missing. `problems` are those of the last try to use other files, empty when it was good;
    `unfit` are those of the files in use together with the objects; `settled` is what was made of
    these.
    """

    def __init__(
        self,
        config_file: Path,
        files: FileSet,
        first: Settled | None,
        *,
        on_loaded: Callable[[Loaded], None],
        on_failed: Callable[[], None],
        on_changed: Callable[[], None],
        cluster: ObjectSource | None = None,
    ) -> None:
        self._config_file = config_file
        self._on_loaded = on_loaded
        self._on_failed = on_failed
        self._on_changed = on_changed
        self._cluster = cluster
        self._stopping = threading.Event()
        self._woken = threading.Event()
        self._watched = settling.named_namespaces(files)
        self._signature = files.signature
        self._in_force: InForce = {}
        self._digest = ""
        self._taken: Objects | None = None
        self.problems: tuple[Problem, ...] = ()
        self.unfit: tuple[Problem, ...] = ()
        self.settled: Settled | None = None
        self._thread = threading.Thread(target=self._run, name="reload", daemon=True)
        self._keep(files, None if first is None else NO_OBJECTS)
        if first is not None:
            self._adopt(first, NO_OBJECTS)

    @property
    def problem_count(self) -> int:
        """How much is wrong with what is there and not in use; 0 when all of it is in use."""
        refused = self.settled.refused.values() if self.settled is not None else ()
        return len(self.problems) + len(self.unfit) + sum(map(len, refused))

    def start(self) -> None:
        """Watches from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Watches no longer."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(LOOK_SECONDS)

    def wake(self) -> None:
        """Looks soon: there may be other objects."""
        self._woken.set()

    def look(self) -> None:
        """Reloads if a file in use looks different, the last try failed, or objects differ."""
        # First: what wakes us from now on is looked at next time.
        self._woken.clear()
        stored = NO_OBJECTS if self._cluster is None else self._cluster.objects()
        signature = self._settled_signature()
        if signature != self._signature or self.problems:
            self._read_again(signature, stored)
        if stored is not None and stored is not self._taken:
            self.unfit = self._take(self._files, stored)
            self._taken = stored

    def _read_again(self, signature: Signature, stored: Objects | None) -> None:
        self._on_changed()
        files = self._read()
        for _try in range(MAX_LOADS):
            if self._sign() == signature or self._stopping.is_set():
                break
            # They changed while they were read, so what was read may never have been there.
            signature = self._settled_signature()
            self._on_changed()
            files = self._read()
        problems = files.problems
        if isinstance(files, FileSet):
            problems = settling.unwatched(files, self._watched) or self._take(files, stored)
        if problems:
            self._fail(problems)
        else:
            self.problems = ()
        # Only now: after a fault of ours the same files are to be tried again.
        self._signature = signature

    def _read(self) -> FileSet | ConfigError:
        try:
            return read_files(self._config_file)
        except ConfigError as error:
            return error

    def _take(self, files: FileSet, stored: Objects | None) -> tuple[Problem, ...]:
        """Decides by these from now on; gives the problems that keep it from that."""
        try:
            if stored is None:
                check_files(files)
            else:
                self._adopt(settling.settle(files, stored, self._in_force), stored)
        except ConfigError as error:
            return error.problems
        self._keep(files, stored)
        return ()

    def _keep(self, files: FileSet, stored: Objects | None) -> None:
        # Where no objects come, nothing is put together anew before files are read again.
        self._files = files if self._cluster is not None else replace(files, policies=[])
        self._taken, self.unfit = stored, ()

    def _adopt(self, settled: Settled, stored: Objects) -> None:
        is_used = bool(self._digest) or not settled.missing
        if is_used:
            self._in_force = settled.in_force
            if settled.loaded.digest != self._digest:
                self._use(settled.loaded)
        self._tell(settled)
        self.settled = settled
        if self._cluster is not None:
            self._cluster.tell(settled, stored, is_used=is_used)

    def _settled_signature(self) -> Signature:
        """How the files look once they have stopped changing: half a file is no policy.

        Files that never stop do not hold up a reload for ever: it is tried all the same.
        """
        signature = self._sign()
        for _look in range(MAX_SETTLE_LOOKS):
            if signature == self._signature or self._stopping.wait(SETTLE_MILLIS / 1000):
                break
            again = self._sign()
            if again == signature:
                break
            signature = again
        return signature

    def _sign(self) -> Signature:
        return sign_files(self._files.sources)

    def _use(self, loaded: Loaded) -> None:
        self._on_loaded(loaded)
        self._digest = loaded.digest
        # What was just built lives long: keep the collector from walking it again and again.
        gc.collect()
        gc.freeze()

    def _fail(self, problems: tuple[Problem, ...]) -> None:
        if problems == self.problems:
            return
        self.problems = problems
        for problem in problems:
            _log.error("configuration not loaded: %s", problem)
        self._on_failed()

    def _tell(self, settled: Settled) -> None:
        """Says which objects are newly refused."""
        before = self.settled.refused if self.settled is not None else {}
        news = [each for each in settled.refused.items() if before.get(each[0]) != each[1]]
        for key, problems in news:
            _log.error("%s", settling.tell_refusal(key, problems))
        if news:
            self._on_failed()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.look()
                self._watch(folders_of(self._files.sources))
            except Exception:
                _log.exception("watching the configuration")
                self._stopping.wait(RETRY_SECONDS)

    def _watch(self, folders: frozenset[Path]) -> None:
        """Looks at every event, and now and then, until woken or other folders are in use."""
        for _changes in watchfiles.watch(
            *sorted(folder for folder in folders if is_folder(folder)),
            watch_filter=None,
            debounce=SETTLE_MILLIS,
            step=SETTLE_MILLIS // 2,
            rust_timeout=int(LOOK_SECONDS * 1000),
            yield_on_timeout=True,
            recursive=False,
            stop_event=_Either(self._stopping, self._woken),
            raise_interrupt=False,
        ):
            self.look()
            if folders_of(self._files.sources) != folders:
                return


class _Either:
    """Set as soon as one of two events is."""

    def __init__(self, first: threading.Event, second: threading.Event) -> None:
        self._events = first, second

    def is_set(self) -> bool:
        return any(event.is_set() for event in self._events)
