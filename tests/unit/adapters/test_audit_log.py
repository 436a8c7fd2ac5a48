from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from deputize.adapters.audit_log import AuditLog, FileSink, Sink, StdoutSink
from deputize.core import audit_event
from deputize.core.audit_form import AuditEvent
from tests.harness.polling import wait_until
from tests.harness.world import decide_now, make_request, make_snapshot, shared_issuer

SECONDS = 10
BASE = audit_event.build(
    make_request(), decide_now(make_request(), make_snapshot(shared_issuer())), 1
)


def event(number: int) -> AuditEvent:
    return {**BASE, "decision_id": f"d-{number}"}


def ids(octets: bytes) -> list[str]:
    """The decision ids in a log; it must consist of whole lines of JSON."""
    lines = octets.split(b"\n")
    assert lines.pop() == b""
    return [json.loads(line)["decision_id"] for line in lines]


def expected(count: int) -> list[str]:
    return [f"d-{number}" for number in range(count)]


@dataclass(slots=True)
class FakeSink:
    """Follows a script: how many bytes each write takes, or which error it raises.

    After the script it takes everything.
    """

    script: list[int | OSError] = field(default_factory=list)
    taken: bytearray = field(default_factory=bytearray)
    closed: bool = False

    def write(self, octets: memoryview) -> int:
        step = self.script.pop(0) if self.script else len(octets)
        if isinstance(step, OSError):
            raise step
        self.taken += octets[:step]
        return min(step, len(octets))

    def close(self) -> None:
        self.closed = True


@dataclass(slots=True)
class GatedSink:
    """Fails until the gate is opened."""

    gate: threading.Event = field(default_factory=threading.Event)
    taken: bytearray = field(default_factory=bytearray)

    def write(self, octets: memoryview) -> int:
        if not self.gate.is_set():
            raise OSError(errno.ENOSPC, "no space")
        self.taken += octets
        return len(octets)

    def close(self) -> None:
        """Has nothing to release."""


@dataclass(slots=True)
class Counts:
    written: int = 0
    dropped: int = 0
    failed: int = 0

    def add_written(self, count: int) -> None:
        self.written += count

    def add_dropped(self) -> None:
        self.dropped += 1

    def add_failed(self) -> None:
        self.failed += 1


@contextmanager
def running(sink: Sink, size: int = 1000, counts: Counts | None = None) -> Iterator[AuditLog]:
    counts = counts or Counts()
    log = AuditLog(sink, size, counts.add_written, counts.add_dropped, counts.add_failed)
    try:
        yield log
    finally:
        log.close(0)


def wait(check: Callable[[], object]) -> None:
    wait_until(lambda: bool(check()), SECONDS)


def test_each_event_is_one_line_of_json() -> None:
    sink = FakeSink()
    with running(sink) as log:
        assert all(log.offer(event(number)) for number in range(1000))
        assert log.close(SECONDS)
    assert ids(bytes(sink.taken)) == expected(1000)
    assert json.loads(sink.taken.split(b"\n")[0]) == event(0)


def test_a_line_feed_in_a_text_is_no_end_of_line() -> None:
    sink = FakeSink()
    with running(sink) as log:
        log.offer({**event(0), "detail": "a\nb\u2028c"})
        assert log.close(SECONDS)
    assert ids(bytes(sink.taken)) == ["d-0"]


def test_closing_writes_what_is_queued_and_closes_the_sink() -> None:
    sink, counts = FakeSink(), Counts()
    with running(sink, counts=counts) as log:
        for number in range(1000):
            log.offer(event(number))
        assert log.close(SECONDS)
        assert log.length == 0
    assert counts == Counts(written=1000)
    assert sink.closed


def test_closing_an_idle_log_is_prompt() -> None:
    assert AuditLog(FakeSink(), 10).close(SECONDS)


@pytest.mark.parametrize("step", [1, 7, 100])
def test_a_sink_that_takes_parts_gets_every_byte_once(step: int) -> None:
    sink = FakeSink(script=[step] * 200)
    with running(sink) as log:
        for number in range(20):
            log.offer(event(number))
        assert log.close(SECONDS)
    assert ids(bytes(sink.taken)) == expected(20)


def test_a_failing_sink_loses_and_repeats_nothing() -> None:
    full = OSError(errno.ENOSPC, "no space")
    sink, counts = FakeSink(script=[10, full, 1, full, full, 300]), Counts()
    with running(sink, counts=counts) as log:
        for number in range(20):
            log.offer(event(number))
        assert log.close(SECONDS)
    assert ids(bytes(sink.taken)) == expected(20)
    assert counts == Counts(written=20, failed=3)


def test_a_failing_sink_is_unhealthy_until_it_works_again() -> None:
    sink = GatedSink()
    with running(sink) as log:
        assert log.healthy
        log.offer(event(0))
        wait(lambda: not log.healthy)
        assert log.offer(event(1))
        sink.gate.set()
        wait(lambda: log.healthy and log.length == 0)
    assert ids(bytes(sink.taken)) == expected(2)


def test_a_full_queue_takes_no_more_and_says_so() -> None:
    sink, counts = GatedSink(), Counts()
    with running(sink, size=5, counts=counts) as log:
        taken = 0
        while log.offer(event(taken)):
            taken += 1
        assert not log.healthy
        assert not log.offer(event(99))
        assert counts.dropped == 2
        sink.gate.set()
        assert log.close(SECONDS)
    assert taken == 5
    assert ids(bytes(sink.taken)) == expected(taken)


def test_closing_with_a_failing_sink_ends_and_says_what_is_lost() -> None:
    with running(GatedSink()) as log:
        log.offer(event(0))
        log.offer(event(1))
        assert not log.close(0.05)
        assert log.length == 2


def test_after_closing_no_event_is_taken() -> None:
    counts = Counts()
    with running(FakeSink(), counts=counts) as log:
        log.close(SECONDS)
        assert not log.offer(event(0))
        assert not log.healthy
    assert counts.dropped == 1


def test_while_closing_no_event_is_taken() -> None:
    with running(GatedSink()) as log:
        log.offer(event(0))
        closing = threading.Thread(target=log.close, args=(0.2,))
        closing.start()
        wait(log._closing.is_set)
        assert not log.offer(event(1))
        closing.join()


def test_an_event_that_is_no_json_does_not_stop_the_log() -> None:
    sink = FakeSink()
    with running(sink) as log:
        assert not log.offer({**event(9), "detail": "\ud800"})
        log.offer(event(0))
        assert log.close(SECONDS)
    assert ids(bytes(sink.taken)) == ["d-0"]


@pytest.fixture
def blocked_pipe() -> Iterator[tuple[int, int]]:
    """A pipe that nobody reads, filled up: the next write to it hangs."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writer, b"\n" * 4096)
    os.set_blocking(writer, True)
    yield reader, writer
    os.close(reader)


@dataclass(slots=True)
class DescriptorSink:
    """Writes to any descriptor, as `StdoutSink` does to the first."""

    descriptor: int

    def write(self, octets: memoryview) -> int:
        return os.write(self.descriptor, octets)

    def close(self) -> None:
        os.close(self.descriptor)


def test_a_hanging_sink_fills_the_queue_and_holds_up_nobody(
    blocked_pipe: tuple[int, int],
) -> None:
    reader, writer = blocked_pipe
    with running(DescriptorSink(writer), size=10) as log:
        taken = 0
        while log.offer(event(taken)):
            taken += 1
        assert not log.healthy
        assert not log.close(0.05)
        received = b""
        while received.count(b"{") < taken:
            received += os.read(reader, 65536)
    assert ids(received.lstrip(b"\n")) == expected(taken)


def test_a_pipe_whose_reader_is_gone_is_a_failure_and_not_the_end() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    counts = Counts()
    with running(DescriptorSink(writer), counts=counts) as log:
        log.offer(event(0))
        wait(lambda: counts.failed > 1)
        assert not log.healthy


def test_standard_output_gets_the_lines(capfd: pytest.CaptureFixture[str]) -> None:
    with running(StdoutSink()) as log:
        log.offer(event(0))
        assert log.close(SECONDS)
    assert ids(capfd.readouterr().out.encode()) == ["d-0"]


def test_a_file_is_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    for number in range(2):
        with running(FileSink(path)) as log:
            log.offer(event(number))
            assert log.close(SECONDS)
    assert ids(path.read_bytes()) == expected(2)


def test_a_new_file_is_not_for_everyone(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    FileSink(path).close()
    assert path.stat().st_mode & 0o007 == 0


def test_a_file_that_cannot_be_opened_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="missing"):
        FileSink(tmp_path / "missing" / "audit.jsonl")


@pytest.mark.parametrize("count", [1, 50])
def test_a_file_that_was_moved_away_is_opened_again(tmp_path: Path, count: int) -> None:
    path, moved = tmp_path / "audit.jsonl", tmp_path / "audit.jsonl.1"
    with running(FileSink(path)) as log:
        for number in range(count):
            log.offer(event(number))
        wait(lambda: log.length == 0 and path.read_bytes().count(b"\n") == count)
        path.rename(moved)
        for number in range(count, 2 * count):
            log.offer(event(number))
        assert log.close(SECONDS)
    assert ids(moved.read_bytes()) == expected(count)
    assert ids(path.read_bytes()) == expected(2 * count)[count:]


def test_a_folder_that_is_gone_is_a_failure_until_it_is_back(tmp_path: Path) -> None:
    folder, counts = tmp_path / "log", Counts()
    folder.mkdir()
    with running(FileSink(folder / "audit.jsonl"), counts=counts) as log:
        folder.rename(tmp_path / "gone")
        log.offer(event(0))
        wait(lambda: counts.failed)
        folder.mkdir()
        wait(lambda: log.healthy and log.length == 0)
    assert ids((folder / "audit.jsonl").read_bytes()) == ["d-0"]


def test_many_threads_may_offer_at_once() -> None:
    sink = FakeSink()
    with running(sink, size=10_000) as log:

        def offer(first: int) -> None:
            for number in range(first, first + 200):
                assert log.offer(event(number))

        threads = [threading.Thread(target=offer, args=(200 * n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert log.close(SECONDS)
    assert sorted(ids(bytes(sink.taken))) == sorted(expected(800))
