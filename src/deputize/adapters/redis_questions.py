"""What a Redis or Valkey server is asked about uses and budgets, and what its answers say.

Rules of this file:
- One question notes all or nothing, whenever the connection breaks. Nothing noted stays for ever.
- What the server remembers ends by its own clock, after its time is over on every replica whose
  clock is at most `CLOCK_MARGIN_SECONDS` away from another's.

Sources: https://redis.io/docs/latest/commands/set/ (`NX`, `PX`); https://valkey.io/commands/set/;
https://redis.io/docs/latest/develop/using-commands/transactions/.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from deputize.adapters.budget_store import Spent
from deputize.adapters.redis_connection import Command
from deputize.adapters.replay_store import Use

CLOCK_MARGIN_SECONDS = 60.0
"""How far the clocks of replicas, and the server's from one time to another, may be apart."""


class UnexpectedAnswerError(Exception):
    """None of the answers that the server may give."""


class Question(NamedTuple):
    """Commands that belong together, and how to read the answers to them."""

    commands: tuple[Command, ...]
    read: Callable[[list[object]], Use | Spent]


def ask_use(name: str, seconds: float) -> Question:
    """Is this the first use of `name`? It matters for so many seconds.

    Raises:
        ValueError: a name that is not ASCII.
    """
    octets = name.encode("ascii")
    command = (b"SET", octets, b"1", b"NX", b"PX", _milliseconds(seconds))
    return Question((command,), _read_use)


def ask_spent(name: str, limit: int, seconds: float) -> Question:
    """Is this use of the window `name`, which ends in so many seconds, within the limit?

    Raises:
        ValueError: a name that is not ASCII.
    """
    octets = name.encode("ascii")
    commands: tuple[Command, ...] = (
        (b"MULTI",),
        (b"INCR", octets),
        (b"PEXPIRE", octets, _milliseconds(seconds)),
        (b"EXEC",),
    )
    return Question(commands, partial(_read_spent, limit=limit))


def _milliseconds(seconds: float) -> int:
    return math.ceil((seconds + CLOCK_MARGIN_SECONDS) * 1000)


def _read_use(answers: list[object]) -> Use:
    match answers:
        case [b"OK"]:
            return Use.FRESH
        case [None]:
            return Use.USED
    raise UnexpectedAnswerError


def _read_spent(answers: list[object], *, limit: int) -> Spent:
    match answers:
        case [b"OK", b"QUEUED", b"QUEUED", [int(used), 1]] if used > 0:
            return Spent.WITHIN if used <= limit else Spent.EXHAUSTED
    raise UnexpectedAnswerError
