"""The conditions of a rule: what must hold beside its patterns.

Those that compare a fact are in `comparisons.py`; here are how they are joined, and the others.

Rules of this file:
- A condition holds, does not hold, or cannot be evaluated (`EvaluationError`).
- The order of conditions does not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Protocol

from deputize.core.case import PEER_FACTS, Case, EvaluationError, Fact, Source, read_fact
from deputize.core.model import Json


class Condition(Protocol):
    """Something that holds for a case or does not. `text` is how it is told and compared."""

    @property
    def text(self) -> str: ...  # noqa: D102
    def holds(self, case: Case) -> bool:
        """Raises EvaluationError where it cannot be said."""


def find_unmet(conditions: Iterable[Condition], case: Case) -> Condition | EvaluationError | None:
    """The first that does not hold, else why the first that cannot be said, None where all hold.

    So their order does not matter: one that surely does not hold settles it.
    """
    unclear: EvaluationError | None = None
    for condition in conditions:
        try:
            if not condition.holds(case):
                return condition
        except EvaluationError as error:
            unclear = unclear or error
    return unclear


@dataclass(frozen=True, slots=True)
class Within:
    """The time of the decision lies in a window of the week, and between two moments.

    `days` count from Monday as 0; `begins` and `ends` are minutes since midnight in `zone`. A
    window that ends before it begins ends on the next day. Moments are epoch seconds.
    """

    days: frozenset[int]
    begins: int
    ends: int
    zone: tzinfo
    not_before: float
    not_after: float
    text: str

    def holds(self, case: Case) -> bool:
        """Never raises."""
        return self.says_of(case.now)

    def says_of(self, now: float) -> bool:
        """What it says of this moment, in epoch seconds."""
        if not self.not_before <= now < self.not_after:
            return False
        here = datetime.fromtimestamp(now, self.zone)
        minute, today = here.hour * 60 + here.minute, here.weekday()
        if self.begins < self.ends:
            return today in self.days and self.begins <= minute < self.ends
        yesterday = (here - timedelta(days=1)).weekday()
        return (today in self.days and minute >= self.begins) or (
            yesterday in self.days and minute < self.ends
        )


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression of another language, compiled; it must give true or false."""

    source: str
    evaluate: Callable[[Mapping[str, Json]], Json]

    @property
    def text(self) -> str:
        """For people."""
        return f"cel {self.source}"

    def holds(self, case: Case) -> bool:
        """Raises EvaluationError: whatever went wrong in it."""
        try:
            answer = self.evaluate(to_facts(case))
        except EvaluationError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever its library raises
            raise EvaluationError(f"the expression fails: {type(error).__name__}") from None
        if not isinstance(answer, bool):
            raise EvaluationError("the expression gives neither true nor false")
        return answer


def to_facts(case: Case) -> dict[str, Json]:
    """All facts as one object, for expressions."""
    delegation, action, call = case.delegation, case.action, case.call
    return {
        "agent": delegation.agent.text,
        "principal": {
            "issuer": delegation.principal.issuer,
            "subject": delegation.principal.subject,
            "kind": delegation.principal.kind.value,
            "claims": dict(delegation.principal.claims),
        },
        "chain": [actor.subject for actor in delegation.chain],
        "scopes": list[Json](sorted(delegation.scopes)),
        "peer": {name: read_fact(Fact(Source.PEER, (name,)), case) for name in PEER_FACTS},
        "request": {
            "method": action.method,
            "host": action.host,
            "path": "/" + "/".join(action.segments),
            "headers": dict(case.request.headers),
        },
        "call": None
        if call is None
        else {
            "protocol": call.protocol.value,
            "method": call.method,
            "name": call.name,
            "arguments": None if call.arguments is None else dict(call.arguments),
        },
        "now": case.now,
    }
