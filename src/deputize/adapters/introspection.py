"""Asking an issuer whether a token is still active, and remembering for a while what it said.

Rules of this file:
- A check never waits for longer than its own time, whatever connecting or asking takes: threads
  of ours ask, as many as checks may wait at once, each over a connection that stays open.
- What is no clear yes or no is UNKNOWN, and not remembered.
- After a failure, or where no answer came in time, nobody is asked for `PAUSE_SECONDS`. A status
  that may be about the one token it answers (RFC 9110 section 15.5) stops no other.
- An answer is used for `cache_seconds` from when it was asked for. Towards the end of that time
  one check asks anew without waiting, so that the others need not all ask at once.

Sources: RFC 7662 sections 2.2 and 4 (how long an answer may be used).
"""

from __future__ import annotations

import logging
import math
import threading
import time
from dataclasses import dataclass, field
from enum import StrEnum
from queue import SimpleQueue

from deputize.adapters.bounded_http import BoundedClient, ExchangeError, RefusedError
from deputize.adapters.introspection_answer import (
    Answer,
    AnswerError,
    AnswerMemory,
    ContradictionError,
    read_answer,
)
from deputize.adapters.introspection_endpoint import Endpoint
from deputize.adapters.shown_url import show_url
from deputize.core.model import VerifiedToken

PAUSE_SECONDS = 0.5
"""After a failure."""
_ABOUT_US = frozenset({401, 403, 429})
"""Statuses 4xx that are about who asks, whatever the token."""

_log = logging.getLogger(__name__)


class Activity(StrEnum):
    """What an issuer says of one of its tokens."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    UNKNOWN = "unknown"
    """It did not say, or not so that it counts."""


@dataclass(slots=True, eq=False)
class _Question:
    """Is this token active? Who asks waits until `deadline`, of the monotonic clock."""

    compact: str
    token: VerifiedToken
    asked_at: float
    deadline: float
    given_up: bool = False
    client: BoundedClient | None = None
    activity: Activity = Activity.UNKNOWN
    answered: threading.Event = field(default_factory=threading.Event)


class IntrospectionClient:
    """Asks the endpoint at `url`, by the name `client_id` and the secret in a file.

    With a `ca_file` only its authorities are trusted. Times are in seconds. `problem` says in
    words what is wrong, and is empty while the endpoint works.
    """

    def __init__(
        self,
        url: str,
        *,
        client_id: str,
        client_secret_file: str,
        ca_file: str | None,
        cache_seconds: float,
        cache_entries: int,
        timeout_seconds: float,
        max_concurrent: int,
    ) -> None:
        self.problem = ""
        self._shown = show_url(url)
        self._endpoint = Endpoint(url, client_id, client_secret_file)
        self._ca_file = ca_file
        self._answers = AnswerMemory(cache_seconds, cache_entries)
        self._timeout = timeout_seconds
        self._max_concurrent = max_concurrent
        self._lock = threading.Lock()
        self._waiting: set[_Question] = set()
        self._questions: SimpleQueue[_Question | None] = SimpleQueue()
        self._down_until = 0.0
        self._threads = [
            threading.Thread(target=self._run, name="introspection", daemon=True)
            for _ in range(max_concurrent)
        ]
        for thread in self._threads:
            thread.start()

    def ask(self, compact: str, token: VerifiedToken, timeout: float) -> Activity:
        """What the issuer says of `token`, whose text is `compact`.

        Waits at most `timeout` seconds, and never longer than `timeout_seconds`.
        """
        now = time.monotonic()
        known, renew = self._answers.recall(token.digest, now)
        if renew:
            self._put(_Question(compact, token, now, now + self._timeout))
        if known is not None:
            return _activity(known)
        patience = min(timeout, self._timeout)
        if not patience > 0:
            return Activity.UNKNOWN
        question = _Question(compact, token, now, now + patience)
        if self._put(question) and not question.answered.wait(patience):
            self._give_up(question)
        return question.activity

    def close(self) -> None:
        """Asks no more, and ends the threads that are not stuck."""
        with self._lock:
            self._down_until = math.inf
            for question in self._waiting:
                _cut(question)
        for _ in self._threads:
            self._questions.put(None)
        for thread in self._threads:
            thread.join(self._timeout)

    def _put(self, question: _Question) -> bool:
        """Whether it will be asked."""
        with self._lock:
            late = [one for one in self._waiting if one.deadline <= question.asked_at]
        for one in late:
            # Nobody waits for what is renewed.
            self._give_up(one)
        with self._lock:
            if question.asked_at < self._down_until or len(self._waiting) >= self._max_concurrent:
                return False
            self._waiting.add(question)
        self._questions.put(question)
        return True

    def _give_up(self, question: _Question) -> None:
        """Frees the thread that asks; without an answer in due time the endpoint is down."""
        now = time.monotonic()
        with self._lock:
            if question.given_up or question not in self._waiting:
                return
            _cut(question)
            if now - question.asked_at < self._timeout / 2:
                # Who came with hardly any time left says nothing about the endpoint.
                return
            self._pause(now)
        self._report(f"no answer within {self._timeout:g} s")

    def _pause(self, now: float) -> None:
        self._down_until = max(self._down_until, now + PAUSE_SECONDS)

    def _run(self) -> None:
        client = self._open()
        while (question := self._questions.get()) is not None:
            # Opened again at once: reading the authorities takes longer than most answers.
            client = self._answer(question, client) or self._open()
        if client is not None:
            client.close()

    def _open(self) -> BoundedClient | None:
        try:
            self._endpoint.authorization()
            return BoundedClient(self._ca_file, self._timeout)
        except ExchangeError as error:
            self._report(str(error))
            return None

    def _answer(self, question: _Question, client: BoundedClient | None) -> BoundedClient | None:
        """Asks, and tells who waits; gives the client if it can be used again."""
        problem, failed = None, False
        try:
            client = client or BoundedClient(self._ca_file, self._timeout)
            if self._begin(question, client):
                self._ask(question, client)
                problem = ""
        except (ContradictionError, RefusedError) as error:
            problem = str(error)
            failed = isinstance(error, RefusedError) and not _is_about_token(error.status)
        except Exception as error:  # noqa: BLE001 - the thread must live, whatever it is
            known = isinstance(error, ExchangeError | AnswerError)
            problem = str(error) if known else type(error).__name__
            failed = True
        with self._lock:
            self._waiting.discard(question)
            if failed and not question.given_up:
                self._pause(time.monotonic())
        if problem is not None and not question.given_up:
            self._report(problem)
        question.answered.set()
        if client is not None and (failed or client.is_cut):
            client.close()
            return None
        return client

    def _ask(self, question: _Question, client: BoundedClient) -> None:
        octets = self._endpoint.ask(client, question.compact)
        now = time.time()
        answer = read_answer(octets, question.token, now)
        self._answers.remember(question.token.digest, answer, question.asked_at, answer.until - now)
        question.activity = _activity(answer)

    def _begin(self, question: _Question, client: BoundedClient) -> bool:
        with self._lock:
            question.client = client
            return not question.given_up

    def _report(self, problem: str) -> None:
        with self._lock:
            changed = problem != self.problem
            self.problem = problem
        if changed and problem:
            _log.warning("introspection at %s: %s", self._shown, problem)
        elif changed:
            _log.info("introspection at %s: works", self._shown)


def _is_about_token(status: int) -> bool:
    return 400 <= status < 500 and status not in _ABOUT_US  # noqa: PLR2004 - the class of statuses


def _activity(answer: Answer) -> Activity:
    return Activity.ACTIVE if answer.is_active else Activity.INACTIVE


def _cut(question: _Question) -> None:
    question.given_up = True
    if question.client is not None:
        question.client.cut()
