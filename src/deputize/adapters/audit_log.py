"""Audit events to a sink, by one writer thread behind a bounded queue.

Rules of this file:
- `offer` never waits and never loses an event silently: it says whether the event was taken.
- A sink that fails keeps its line: it is written again, from where it stopped, until it works
  or the log is closed. Meanwhile `healthy` is false and the queue fills up.
- One event, one line of JSON.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import orjson

from deputize.core.audit_form import AuditEvent

LINGER_SECONDS = 0.005
"""How long the writer collects events before it writes them together."""
RETRY_SECONDS = (0.05, 1.0)
"""First and longest pause before a failed write is tried again."""

_log = logging.getLogger(__name__)


class Sink(Protocol):
    """Takes bytes somewhere; `write` may write a part and says how many bytes it took."""

    def write(self, octets: memoryview) -> int:
        """Writes at least one byte or raises OSError."""

    def close(self) -> None:
        """Releases what it holds."""


class StdoutSink:
    """Standard output, unbuffered."""

    def write(self, octets: memoryview) -> int:
        """Writes a part to file descriptor 1."""
        return os.write(1, octets)

    def close(self) -> None:
        """Leaves standard output open; it is not ours."""


class FileSink:
    """Appends to a file; opens it again when it was moved away (log rotation)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None
        self._open()

    def write(self, octets: memoryview) -> int:
        """Writes a part to the file now at the path."""
        if self._was_moved():
            self.close()
        return os.write(self._open(), octets)

    def close(self) -> None:
        """Closes the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> int:
        if self._descriptor is None:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            self._descriptor = os.open(self._path, flags, 0o640)
        return self._descriptor

    def _was_moved(self) -> bool:
        if self._descriptor is None:
            return False
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return True
        ours = os.fstat(self._descriptor)
        return (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino)


class AuditLog:
    """The queue and its writer. The callbacks feed the metrics."""

    def __init__(
        self,
        sink: Sink,
        queue_size: int,
        on_written: Callable[[int], None] = lambda _count: None,
        on_dropped: Callable[[], None] = lambda: None,
        on_failure: Callable[[], None] = lambda: None,
    ) -> None:
        self._sink = sink
        self._size = queue_size
        self._on_written = on_written
        self._on_dropped = on_dropped
        self._on_failure = on_failure
        self._lines: deque[bytes] = deque()
        self._writing = 0
        self._failing = False
        self._waiting = threading.Event()
        self._closing = threading.Event()
        self._giving_up = threading.Event()
        self._thread = threading.Thread(target=self._run, name="audit", daemon=True)
        self._thread.start()

    @property
    def length(self) -> int:
        """Events taken but not yet written."""
        return len(self._lines) + self._writing

    @property
    def healthy(self) -> bool:
        """The last write worked, the writer lives and there is room for another event."""
        return not self._failing and self._thread.is_alive() and self.length < self._size

    def offer(self, event: AuditEvent) -> bool:
        """Takes the event if there is room; never waits for the sink."""
        try:
            line = orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE)
        except TypeError:
            _log.exception("an audit event cannot be written as JSON")
            self._on_dropped()
            return False
        # Appending needs no lock; a few threads at once may exceed the size by as many events.
        taken = self.length < self._size and not self._closing.is_set()
        if not taken:
            self._on_dropped()
            return False
        self._lines.append(line)
        if not self._waiting.is_set():
            self._waiting.set()
        return True

    def close(self, timeout: float) -> bool:
        """Writes what is queued, for at most `timeout` seconds; true when nothing is left."""
        self._closing.set()
        self._waiting.set()
        self._thread.join(timeout)
        self._giving_up.set()
        self._thread.join(RETRY_SECONDS[1])
        with contextlib.suppress(OSError):
            self._sink.close()
        return not self._thread.is_alive() and self.length == 0

    def _run(self) -> None:
        while self._waiting.wait():
            # Waking up for each event would cost more than writing it.
            self._closing.wait(LINGER_SECONDS)
            self._waiting.clear()
            lines = [self._lines.popleft() for _line in range(len(self._lines))]
            self._writing = len(lines)
            if not self._write_all(b"".join(lines)):
                return
            self._writing = 0
            self._on_written(len(lines))
            if self._closing.is_set() and not self._lines:
                return

    def _write_all(self, octets: bytes) -> bool:
        rest = memoryview(octets)
        pause = RETRY_SECONDS[0]
        while rest:
            try:
                rest = rest[self._sink.write(rest) :]
                self._failing = False
                pause = RETRY_SECONDS[0]
            except OSError as error:
                if not self._failing:
                    _log.error("audit sink failed: %s", error)
                self._failing = True
                self._on_failure()
                if self._giving_up.wait(pause):
                    return False
                pause = min(2 * pause, RETRY_SECONDS[1])
        return True
