"""What the status of an object says: whether its generation is good, and in use.

Rules of this file:
- The same objects give the same words on every replica: nothing here hangs on what was before.
- A condition quotes problems as logs do: names and values of policies, never tokens or secrets.

Source: Kubernetes API conventions, "Typical status properties".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from deputize.config.objects import ACCEPTED, ObjectKey, StoredObject
from deputize.config.problems import Problem
from deputize.config.settling import Settled
from deputize.config.strict_yaml import Value

PROGRAMMED = "Programmed"
SINCE = "lastTransitionTime"
MAX_SHOWN = 20
MAX_MESSAGE = 8000
_OWN = (ACCEPTED, PROGRAMMED)

Condition = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one generation of an object; `problems` keep it out of force."""

    stored: StoredObject
    problems: tuple[Problem, ...]


def outcomes(
    settled: Settled, stored: Mapping[ObjectKey, StoredObject]
) -> dict[ObjectKey, Outcome]:
    """What became of every object."""
    return {key: Outcome(each, settled.refused.get(key, ())) for key, each in stored.items()}


def conditions(outcome: Outcome, before: Sequence[Condition], now: float) -> list[Condition]:
    """The conditions its object is to have, `now` in epoch seconds; those of others stay."""
    time = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    since = {each.get("type"): (each.get("status"), each.get(SINCE)) for each in before}
    wanted: list[Condition] = []
    for kind, status, reason, message in _said(outcome):
        old_status, old_time = since.get(kind, (None, None))
        wanted.append(
            {
                "type": kind,
                "status": status,
                "observedGeneration": outcome.stored.generation,
                SINCE: old_time if old_status == status and old_time else time,
                "reason": reason,
                "message": message,
            }
        )
    return [*(each for each in before if each.get("type") not in _OWN), *wanted]


def _said(outcome: Outcome) -> tuple[tuple[str, str, str, str], ...]:
    if outcome.problems:
        return (
            (ACCEPTED, "False", "Invalid", _told(outcome.problems)),
            (PROGRAMMED, "False", "NotAccepted", "this generation is not in force"),
        )
    return (
        (ACCEPTED, "True", "Accepted", "this generation is good"),
        (PROGRAMMED, "True", "Programmed", "this generation is in force"),
    )


def _told(problems: tuple[Problem, ...]) -> str:
    lines = [str(problem) for problem in problems[:MAX_SHOWN]]
    if len(problems) > MAX_SHOWN:
        lines.append(f"and {len(problems) - MAX_SHOWN} more problems")
    return "\n".join(lines)[:MAX_MESSAGE]
