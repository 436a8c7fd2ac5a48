"""Budgets of a supposed call, as though so many uses had been counted before it.

Rules of this file:
- Nothing is counted between calls; each says itself what was used before.
- What becomes of a budget that is used up is for the code of the service to say.
"""

from __future__ import annotations

from collections import Counter
from typing import NoReturn

from deputize.adapters.budget_store import Spent
from deputize.adapters.replay_store import Use
from deputize.core.decide import mark, overrule
from deputize.core.model import Spend
from deputize.core.verdict import Decision, Permit, Wanted
from deputize.server.obligations import meet


def spend_after(decision: Decision, used: int, at: float) -> Decision:
    """The decision after its budgets, of each of which `used` were used before, at this time."""
    verdict = decision.verdict
    if not isinstance(verdict, Permit) or not _has_budget(verdict):
        return decision
    met = meet(verdict, "", _Uses(used), _NoSources(), at, 0)
    if met.denial is not None:
        return overrule(decision, met.denial)
    return decision if met.observed is None else mark(decision, verdict, met.observed)


def _has_budget(permit: Permit) -> bool:
    return any(isinstance(obligation, Spend) for obligation in permit.obligations)


class _Uses:
    """A store in which every budget was used so often, and nothing else was."""

    def __init__(self, used: int) -> None:
        self._used = used
        self._counts: Counter[str] = Counter()

    def consume(self, _key: str, _until: float, _now: float, _timeout: float) -> Use:
        return Use.FRESH

    def spend(self, key: str, limit: int, _window: int, _now: float, _timeout: float) -> Spent:
        if self._used + self._counts[key] >= limit:
            return Spent.EXHAUSTED
        # Of a batch each call counts.
        self._counts[key] += 1
        return Spent.WITHIN


class _NoSources:
    """Nothing to fetch, and nobody to ask: supposed issuers have no introspection."""

    def refetch(self, wanted: Wanted, timeout: float) -> NoReturn:
        raise NotImplementedError

    def introspection(self, _issuer: str) -> None:
        return None
