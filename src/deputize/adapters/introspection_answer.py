"""What an introspection endpoint answers: read strictly, and remembered for a while.

Rules of this file:
- `active` is true or false, or there is no answer.
- An answer about another token, one whose `iss`, `sub` or `jti` is not the token's, is none. One
  that lets the token end (`exp`) before now, and earlier than the token itself says, is a no.
- An answer counts from when it was asked for, not from when it came.

Sources: RFC 7662 sections 2.2 and 4.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from typing import NamedTuple

from deputize.core.claims import ClaimError, read_time
from deputize.core.jws import JwsError, read_json_object
from deputize.core.model import VerifiedToken

_NAMING = ("iss", "sub", "jti")
_RENEW_AFTER = 0.8
"""The part of its time after which an answer is renewed."""


class AnswerError(Exception):
    """An answer that has not the form it must have."""


class ContradictionError(Exception):
    """An answer about another token than the one asked for."""


class Answer(NamedTuple):
    """What the issuer says; good until `until`, in epoch seconds, at the latest."""

    is_active: bool
    until: float


def read_answer(octets: bytes, token: VerifiedToken, now: float) -> Answer:
    """What the issuer says of `token`; `now` in epoch seconds.

    Raises:
        AnswerError: no JSON object, or one whose `active` or `exp` is none.
        ContradictionError: an answer about another token.
    """
    try:
        answer = read_json_object(octets)
        until = read_time(answer, "exp") if "exp" in answer else token.expires_at
    except (ClaimError, JwsError) as error:
        raise AnswerError(f"answer: {error}") from None
    active = answer.get("active")
    if not isinstance(active, bool):
        raise AnswerError("answer: active is neither true nor false")
    if not active:
        return Answer(is_active=False, until=token.expires_at)
    claims = token.principal.claims
    for name in _NAMING:
        # A token may lack what the issuer knows.
        if name in answer and name in claims and answer[name] != claims[name]:
            raise ContradictionError(f"answer: {name} is that of another token")
    # A token that just ended by its own `exp` was let in by the clock skew.
    is_active = now < until or until >= token.expires_at
    return Answer(is_active, min(until, token.expires_at))


@dataclass(slots=True)
class _Remembered:
    """An answer and its times, of the monotonic clock."""

    answer: Answer
    asked_at: float
    renew_at: float
    until: float


class AnswerMemory:
    """The answers of the last `seconds`, at most `entries`; the oldest go first."""

    def __init__(self, seconds: float, entries: int) -> None:
        self._seconds = seconds
        self._entries = entries
        self._by_digest: dict[str, _Remembered] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._by_digest)

    def recall(self, digest: str, now: float) -> tuple[Answer | None, bool]:
        """What was said of a token, and whether it is for the caller to ask anew."""
        with self._lock:
            known = self._by_digest.get(digest)
            if known is None or known.until <= now:
                return None, False
            if known.renew_at <= now:
                known.renew_at = math.inf
                return known.answer, True
            return known.answer, False

    def remember(self, digest: str, answer: Answer, asked_at: float, left: float) -> None:
        """Keeps an answer that is good for `left` more seconds at most, within bounds."""
        seconds = min(self._seconds, left)
        if not seconds > 0 or not self._entries:
            return
        with self._lock:
            known = self._by_digest.get(digest)
            if known is not None and known.asked_at > asked_at:
                return
            self._by_digest.pop(digest, None)
            if len(self._by_digest) >= self._entries:
                del self._by_digest[next(iter(self._by_digest))]
            self._by_digest[digest] = _Remembered(
                answer, asked_at, asked_at + seconds * _RENEW_AFTER, asked_at + seconds
            )
