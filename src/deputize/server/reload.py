"""Configuration files watched; a good change is swapped in whole, a bad one changes nothing.

Rules of this file:
- Folders are watched, not files: editors and ConfigMap mounts replace files and links.
- Events only say when to look. What counts is whether the files in use look different.
"""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Callable
from pathlib import Path

import watchfiles

from deputize.config.files import Signature, is_folder, sign_files
from deputize.config.loader import Loaded, load
from deputize.config.problems import ConfigError, Problem

LOOK_SECONDS = 5.0
"""Longest time between two looks, for file systems that tell nothing."""
RETRY_SECONDS = 1.0
"""Pause after a fault of ours, before looking again."""
SETTLE_MILLIS = 100
"""Changes that come together are taken together."""
MAX_SETTLE_LOOKS = 30
MAX_LOADS = 5

_log = logging.getLogger(__name__)


class Reloader:
    """Uses the `first` configuration at once, and loads it again whenever its files change.

    `problems` are those of the last try, empty when it was good.
    """

    def __init__(
        self,
        config_file: Path,
        first: Loaded,
        *,
        on_loaded: Callable[[Loaded], None],
        on_failed: Callable[[], None],
        on_changed: Callable[[], None],
    ) -> None:
        self._config_file = config_file
        self._on_loaded = on_loaded
        self._on_failed = on_failed
        self._on_changed = on_changed
        self._stopping = threading.Event()
        self._signature = first.signature
        self.problems: tuple[Problem, ...] = ()
        self._thread = threading.Thread(target=self._run, name="reload", daemon=True)
        self._loaded = first
        self._use(first)

    def start(self) -> None:
        """Watches from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Watches no longer."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(LOOK_SECONDS)

    def look(self) -> None:
        """Reloads if a file in use looks different, or if the last try failed."""
        signature = self._settled_signature()
        if signature == self._signature and not self.problems:
            return
        self._on_changed()
        result = self._load()
        for _try in range(MAX_LOADS):
            if self._sign() == signature or self._stopping.is_set():
                break
            # They changed while they were read, so what was read may never have been there.
            signature = self._settled_signature()
            self._on_changed()
            result = self._load()
        if isinstance(result, ConfigError):
            self._fail(result.problems)
        else:
            if result.digest != self._loaded.digest:
                self._use(result)
            self.problems = ()
        # Only now: after a fault of ours the same files are to be tried again.
        self._signature = signature

    def _load(self) -> Loaded | ConfigError:
        try:
            return load(self._config_file)
        except ConfigError as error:
            return error

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
        return sign_files(self._loaded.sources)

    def _use(self, loaded: Loaded) -> None:
        self._on_loaded(loaded)
        self._loaded = loaded
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

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.look()
                self._watch(self._loaded.folders)
            except Exception:
                _log.exception("watching the configuration")
                self._stopping.wait(RETRY_SECONDS)

    def _watch(self, folders: frozenset[Path]) -> None:
        """Looks at every event and at least now and then, until other folders are in use."""
        for _changes in watchfiles.watch(
            *sorted(folder for folder in folders if is_folder(folder)),
            watch_filter=None,
            debounce=SETTLE_MILLIS,
            step=SETTLE_MILLIS // 2,
            rust_timeout=int(LOOK_SECONDS * 1000),
            yield_on_timeout=True,
            recursive=False,
            stop_event=self._stopping,
            raise_interrupt=False,
        ):
            self.look()
            if self._loaded.folders != folders:
                return
