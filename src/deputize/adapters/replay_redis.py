"""Identifiers that may be used once, remembered for all replicas by one Redis or Valkey.

Rules of this file:
- One thread talks to the server, over one connection, for all checks that wait at the time. A
  check never waits for longer than its own time, whatever connecting or asking takes.
- A question is sent once. After a failure the server may have noted the use or not: sent again,
  it could take our own note for an earlier use.
- While the server fails every question is answered UNKNOWN at once.
- What the server remembers ends by its own clock, after the identifier's time is over on every
  replica whose clock is at most `CLOCK_MARGIN_SECONDS` away from another's.

Sources: https://redis.io/docs/latest/commands/set/ (`NX`, `PX`); https://valkey.io/commands/set/.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

from deputize.adapters.redis_connection import RedisConnection, describe
from deputize.adapters.replay_store import LONGEST_SECONDS, Use

CLOCK_MARGIN_SECONDS = 60.0
"""How far the clocks of replicas, and the server's from one time to another, may be apart."""
PAUSE_SECONDS = 0.5
"""Between two attempts to reach a server that fails."""
IDLE_SECONDS = 10.0
"""After this long without a question the server is asked whether it is there."""

_LARGEST_BATCH = 256
_MOST_WAITING = 4096

_log = logging.getLogger(__name__)


class UnexpectedAnswerError(Exception):
    """Neither of the answers that the server may give."""


@dataclass(slots=True, eq=False)
class _Question:
    """Is `name` fresh? Nobody waits for the answer after `deadline` (monotonic clock)."""

    name: bytes
    milliseconds: int
    deadline: float
    use: Use = Use.UNKNOWN
    answered: threading.Event = field(default_factory=threading.Event)


class RedisReplayStore:
    """A client of the server at `url`.

    No check waits for longer than `timeout_seconds`, which also bounds each step on the
    connection. `prefix` stands before every key; replicas that share uses share it. With a
    `ca_file` only its authorities are trusted. `problem` says in words what is wrong, and is
    empty while the server works.

    Raises:
        ValueError: a `url` that is none, with a text that does not quote it.
        OSError: no authorities in the `ca_file`.
    """

    def __init__(
        self, url: str, *, prefix: str, timeout_seconds: float, ca_file: str | None
    ) -> None:
        self.problem = "not connected yet"
        self._connection = RedisConnection(url, timeout_seconds, ca_file)
        self._prefix = prefix
        self._timeout = timeout_seconds
        self._questions: SimpleQueue[_Question | None] = SimpleQueue()
        self._down_until = 0.0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="replay store", daemon=True)

    def start(self) -> None:
        """Connects, and answers from then on."""
        self._thread.start()

    def stop(self) -> None:
        """Answers UNKNOWN from now on, and ends the thread if it is not stuck."""
        self._stopping.set()
        self._questions.put(None)
        if self._thread.is_alive():
            self._thread.join(self._timeout)

    def consume(self, key: str, until: float, now: float, timeout: float) -> Use:
        """Notes the use of `key`; `until` and `now` are epoch seconds.

        Waits at most `timeout` seconds.

        Raises:
            ValueError: a key that is not ASCII.
        """
        seconds = until - now
        patience = min(timeout, self._timeout)
        asked_at = time.monotonic()
        if (
            not 0 < seconds <= LONGEST_SECONDS
            or not patience > 0
            or asked_at < self._down_until
            or self._questions.qsize() >= _MOST_WAITING
        ):
            return Use.UNKNOWN
        question = _Question(
            name=(self._prefix + key).encode("ascii"),
            milliseconds=math.ceil((seconds + CLOCK_MARGIN_SECONDS) * 1000),
            deadline=asked_at + patience,
        )
        self._questions.put(question)
        if not question.answered.wait(patience) and patience >= self._timeout:
            # The thread is stuck, in a look-up of the name perhaps: let others not wait as well.
            self._down_until = max(self._down_until, time.monotonic() + PAUSE_SECONDS)
        return question.use

    def _run(self) -> None:
        works = self._exchange([])
        while not self._stopping.is_set():
            if works:
                works = self._exchange(self._take())
            elif not self._stopping.wait(PAUSE_SECONDS):
                works = self._exchange([])
        self._down_until = math.inf
        self._connection.close()
        self._dismiss()

    def _take(self) -> list[_Question]:
        """All questions that wait, as soon as there is one; none after a while without any."""
        batch: list[_Question | None] = []
        try:
            batch.append(self._questions.get(timeout=IDLE_SECONDS))
            while len(batch) < _LARGEST_BATCH:
                batch.append(self._questions.get_nowait())
        except Empty:
            pass
        return [question for question in batch if question is not None]

    def _exchange(self, batch: Sequence[_Question]) -> bool:
        """Asks and answers; whether the server did what it should."""
        try:
            self._ask(batch)
        except Exception as error:  # noqa: BLE001 - the thread must live, whatever it is
            # First, so that who gets an answer now and asks again does not wait.
            self._down_until = math.inf
            self._connection.close()
            self._dismiss()
            self._report(describe(error))
            return False
        finally:
            for question in batch:
                question.answered.set()
        self._down_until = 0.0
        self._report("")
        return True

    def _ask(self, batch: Sequence[_Question]) -> None:
        self._connection.connect()
        now = time.monotonic()
        asked = [question for question in batch if now < question.deadline]
        if not asked:
            if list(self._connection.ask([(b"PING",)])) != [b"PONG"]:
                raise UnexpectedAnswerError
            return
        commands = [(b"SET", q.name, b"1", b"NX", b"PX", q.milliseconds) for q in asked]
        for question, answer in zip(asked, self._connection.ask(commands), strict=True):
            if answer == b"OK":
                question.use = Use.FRESH
            elif answer is None:
                question.use = Use.USED
            else:
                raise UnexpectedAnswerError

    def _dismiss(self) -> None:
        """Answers all who wait, UNKNOWN."""
        while True:
            try:
                question = self._questions.get_nowait()
            except Empty:
                return
            if question is not None:
                question.answered.set()

    def _report(self, problem: str) -> None:
        if problem == self.problem:
            return
        if problem:
            _log.warning("replay store: %s", problem)
        else:
            _log.info("replay store: connected")
        self.problem = problem
