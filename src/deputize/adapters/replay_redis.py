"""Identifiers that may be used once, and budgets, kept for all replicas by one Redis or Valkey.

Rules of this file:
- One thread talks to the server, over one connection, for all checks that wait at the time. A
  check never waits for longer than its own time, whatever connecting or asking takes.
- A question is sent once. After a failure the server may have noted the use or not: sent again,
  it could take our own note for an earlier use.
- While the server fails every question is answered UNKNOWN at once.
- What is asked, and for how long the server remembers it, is in `redis_questions.py`.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from queue import Empty, SimpleQueue

from deputize.adapters.budget_store import Spent, WindowError, window_end
from deputize.adapters.ending import LONGEST_SECONDS
from deputize.adapters.redis_connection import RedisConnection, describe
from deputize.adapters.redis_questions import (
    Question,
    UnexpectedAnswerError,
    ask_spent,
    ask_use,
)
from deputize.adapters.replay_store import Use

PAUSE_SECONDS = 0.5
"""Between two attempts to reach a server that fails."""
IDLE_SECONDS = 10.0
"""After this long without a question the server is asked whether it is there."""

_LARGEST_BATCH = 256
_MOST_WAITING = 4096

_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Asked:
    """A question that somebody waits for, but not after `deadline` (monotonic clock)."""

    question: Question
    deadline: float
    said: Use | Spent | None = None
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
        self._waiting: SimpleQueue[_Asked | None] = SimpleQueue()
        self._down_until = 0.0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="replay store", daemon=True)

    def start(self) -> None:
        """Connects, and answers from then on."""
        self._thread.start()

    def stop(self) -> None:
        """Answers UNKNOWN from now on, and ends the thread if it is not stuck."""
        self._stopping.set()
        self._waiting.put(None)
        if self._thread.is_alive():
            self._thread.join(self._timeout)

    def consume(self, key: str, until: float, now: float, timeout: float) -> Use:
        """Notes the use of `key`; `until` and `now` are epoch seconds.

        Waits at most `timeout` seconds.

        Raises:
            ValueError: a key that is not ASCII.
        """
        seconds = until - now
        if not 0 < seconds <= LONGEST_SECONDS:
            return Use.UNKNOWN
        said = self._put(ask_use(self._prefix + key, seconds), timeout)
        return said if isinstance(said, Use) else Use.UNKNOWN

    def spend(self, key: str, limit: int, window: int, now: float, timeout: float) -> Spent:
        """Counts one use of a budget of `limit` in each window of so many seconds.

        `now` is in epoch seconds. Waits at most `timeout` seconds.

        Raises:
            ValueError: a key that is not ASCII.
        """
        try:
            end = window_end(now, window)
        except WindowError:
            return Spent.UNKNOWN
        name = f"{self._prefix}window:{key}:{window}:{end}"
        said = self._put(ask_spent(name, limit, end - now), timeout)
        return said if isinstance(said, Spent) else Spent.UNKNOWN

    def _put(self, question: Question, timeout: float) -> Use | Spent | None:
        """Puts a question and waits; None for no answer."""
        patience = min(timeout, self._timeout)
        asked_at = time.monotonic()
        if (
            not patience > 0
            or asked_at < self._down_until
            or self._waiting.qsize() >= _MOST_WAITING
        ):
            return None
        asked = _Asked(question, asked_at + patience)
        self._waiting.put(asked)
        if not asked.answered.wait(patience) and patience >= self._timeout:
            # The thread is stuck, in a look-up of the name perhaps: let others not wait as well.
            self._down_until = max(self._down_until, time.monotonic() + PAUSE_SECONDS)
        return asked.said

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

    def _take(self) -> list[_Asked]:
        """All questions that wait, as soon as there is one; none after a while without any."""
        batch: list[_Asked | None] = []
        try:
            batch.append(self._waiting.get(timeout=IDLE_SECONDS))
            while len(batch) < _LARGEST_BATCH:
                batch.append(self._waiting.get_nowait())
        except Empty:
            pass
        return [asked for asked in batch if asked is not None]

    def _exchange(self, batch: Sequence[_Asked]) -> bool:
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
            for asked in batch:
                asked.answered.set()
        self._down_until = 0.0
        self._report("")
        return True

    def _ask(self, batch: Sequence[_Asked]) -> None:
        self._connection.connect()
        now = time.monotonic()
        patient = [asked for asked in batch if now < asked.deadline]
        if not patient:
            if list(self._connection.ask([(b"PING",)])) != [b"PONG"]:
                raise UnexpectedAnswerError
            return
        commands = [command for asked in patient for command in asked.question.commands]
        answers = self._connection.ask(commands)
        for asked in patient:
            mine = list(islice(answers, len(asked.question.commands)))
            asked.said = asked.question.read(mine)

    def _dismiss(self) -> None:
        """Answers all who wait, UNKNOWN."""
        while True:
            try:
                asked = self._waiting.get_nowait()
            except Empty:
                return
            if asked is not None:
                asked.answered.set()

    def _report(self, problem: str) -> None:
        if problem == self.problem:
            return
        if problem:
            _log.warning("replay store: %s", problem)
        else:
            _log.info("replay store: connected")
        self.problem = problem
