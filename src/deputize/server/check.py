"""One check, from bytes to bytes: the imperative shell around `core/decide.py`.

Rules of this file:
- `check` always returns an answer and never raises: whatever goes wrong becomes a refusal.
- Exactly one audit event and one count per check, whatever the proxy does meanwhile.
- Nothing here decides; what fails after a decision can only turn it into a refusal.
- The ports this file needs are in `ports.py`; `app.py` gives them their adapters.
"""

from __future__ import annotations

import logging
import math
import random
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from deputize.adapters.envoy_request import read_check, unreadable
from deputize.adapters.envoy_response import LAST_RESORT, ObligationError
from deputize.core import audit_event
from deputize.core.decide import decide, locate, mark, overrule, refuse
from deputize.core.model import AccessRequest, VerifiedToken
from deputize.core.reasons import Reason
from deputize.core.snapshot import Snapshot
from deputize.core.verdict import Decision, Denial, Permit
from deputize.server.obligations import meet
from deputize.server.ports import (
    Answers,
    Audit,
    Metrics,
    ReplayStore,
    Snapshots,
    Sources,
    Tokens,
)

MAX_FETCHES = 2
"""A key and then a status list may be missing for the same token."""
DEADLINE_SHARE = 0.8
"""Of the proxy's remaining time we use this much, so that our answer still arrives."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AskingProxy:
    """The proxy that asks: its time left in seconds (None for no deadline) and its SPIFFE IDs."""

    remaining: float | None
    spiffe_ids: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Limits:
    """Longest time for a check in seconds, whether a lost audit event refuses, claims recorded."""

    seconds: float
    audit_required: bool
    audit_claims: tuple[str, ...] = ()


class Checker:
    """Answers checks. `fallback` writes answers while nothing is in use yet."""

    def __init__(
        self,
        *,
        snapshots: Snapshots,
        fallback: Answers,
        sources: Sources,
        tokens: Tokens,
        replay_store: ReplayStore,
        audit: Audit,
        metrics: Metrics,
        limits: Limits,
        clock: Callable[[], float],
    ) -> None:
        self._snapshots = snapshots
        self._fallback = fallback
        self._sources = sources
        self._tokens = tokens
        self._replay_store = replay_store
        self._audit = audit
        self._metrics = metrics
        self._limits = limits
        self._clock = clock
        # Ids must be unique, not secret. A system call for each would hand the interpreter to
        # another thread in the middle of a check.
        self._random = random.Random(secrets.randbits(256))  # noqa: S311 - not secret

    def check(self, octets: bytes, proxy: AskingProxy) -> bytes:
        """Answers one serialized CheckRequest with a serialized CheckResponse."""
        started = time.monotonic()
        try:
            return self._check(octets, proxy, started)
        except Exception:
            _log.exception("a check failed outside every guard")
            return LAST_RESORT

    def _check(self, octets: bytes, proxy: AskingProxy, started: float) -> bytes:
        decision_id = f"{self._random.getrandbits(128):032x}"
        deadline = started + self._seconds_for(proxy)
        request = unreadable("", decision_id, proxy.spiffe_ids)
        answers, digest = self._fallback, ""
        try:
            request = read_check(octets, decision_id, proxy.spiffe_ids)
            active = self._snapshots.current
            if active is None:
                denial = Denial(reason=Reason.SYSTEM_NOT_READY, detail="no configuration yet")
                decision = refuse(decision_id, denial, time.time(), "")
            else:
                answers, digest = active.answers, active.snapshot.digest
                decision = self._decide(request, active.snapshot, started, deadline)
        except Exception as error:
            _log.exception("decision %s failed", decision_id)
            denial = Denial(reason=Reason.SYSTEM_INTERNAL, detail=locate(error))
            decision = refuse(decision_id, denial, time.time(), digest)
        if decision.reason is Reason.SYSTEM_INTERNAL:
            _log.error("decision %s: %s", decision_id, decision.verdict)
        if time.monotonic() > deadline:
            decision = _overrule(decision, Reason.SYSTEM_DEADLINE, "the time ran out")
        decision, answer = _answer(request, decision, answers)
        taken = self._record(request, decision, started)
        if not taken and self._limits.audit_required:
            decision = _overrule(decision, Reason.SYSTEM_AUDIT_UNAVAILABLE, "the queue is full")
            decision, answer = _answer(request, decision, answers)
        self._count(decision, started)
        return answer

    def _decide(
        self, request: AccessRequest, snapshot: Snapshot, started: float, deadline: float
    ) -> Decision:
        """Decides; when a key or list is missing fetches it, within the time, and decides again."""
        if deadline <= started:
            # Nobody waits for the answer any more: under load, do not work for it.
            denial = Denial(reason=Reason.SYSTEM_DEADLINE, detail="it came too late")
            return refuse(request.decision_id, denial, self._now(), snapshot.digest)
        lookups: list[tuple[str, VerifiedToken | None]] = []

        def recall(compact: str) -> VerifiedToken | None:
            earlier = self._tokens.recall(compact)
            lookups.append((compact, earlier))
            return earlier

        now = self._now()
        decision = decide(request, snapshot, now, recall)
        for _fetch in range(MAX_FETCHES):
            verdict = decision.verdict
            if not isinstance(verdict, Denial) or verdict.wanted is None:
                break
            self._sources.refetch(verdict.wanted, deadline - time.monotonic())
            renewed = self._snapshots.current
            if renewed is None or renewed.snapshot is snapshot:
                break
            snapshot, now = renewed.snapshot, self._now()
            decision = decide(request, snapshot, now, recall)
        token = decision.proven.token
        if token is not None:
            compact, earlier = lookups[-1]
            if token is not earlier:
                self._tokens.remember(compact, token)
        permit = decision.verdict
        if isinstance(permit, Permit):
            return self._settle(decision, permit, lookups[-1][0], now, deadline)
        return decision

    def _settle(
        self, decision: Decision, permit: Permit, compact: str, now: float, deadline: float
    ) -> Decision:
        """Does what an allow obliges to, unless it could not be audited anyway."""
        if self._limits.audit_required and not self._audit_is_healthy():
            denial = Denial(reason=Reason.SYSTEM_AUDIT_UNAVAILABLE, detail="the sink fails")
            return overrule(decision, denial)
        if not permit.obligations:
            return decision
        met = meet(permit, compact, self._replay_store, self._sources, now, deadline)
        if met.denial is not None:
            return overrule(decision, met.denial)
        return decision if met.observed is None else mark(decision, permit, met.observed)

    def _seconds_for(self, proxy: AskingProxy) -> float:
        if proxy.remaining is None:
            return self._limits.seconds
        return min(self._limits.seconds, proxy.remaining * DEADLINE_SHARE)

    def _now(self) -> float:
        now = self._clock()
        if not math.isfinite(now):
            raise ValueError("the clock gives no time")
        return now

    def _audit_is_healthy(self) -> bool:
        try:
            return self._audit.healthy is True
        except Exception:
            _log.exception("audit log")
            return False

    def _record(self, request: AccessRequest, decision: Decision, started: float) -> bool:
        try:
            duration = int((time.monotonic() - started) * 1e6)
            event = audit_event.build(request, decision, duration, self._limits.audit_claims)
            taken = self._audit.offer(event) is True
        except Exception:
            _log.exception("audit event of decision %s", decision.decision_id)
            taken = False
        return taken

    def _count(self, decision: Decision, started: float) -> None:
        try:
            self._metrics.count_decision(decision, time.monotonic() - started)
        except Exception:
            _log.exception("metrics")


def _answer(request: AccessRequest, decision: Decision, answers: Answers) -> tuple[Decision, bytes]:
    """The answer, and the decision it gives: an obligation that cannot be met refuses after all."""
    try:
        return decision, _write(request, decision, answers)
    except ObligationError as error:
        decision = _overrule(decision, Reason.SYSTEM_OBLIGATION_FAILED, str(error))
    except Exception as error:
        _log.exception("answer to decision %s", decision.decision_id)
        decision = _overrule(decision, Reason.SYSTEM_INTERNAL, type(error).__name__)
    try:
        return decision, _write(request, decision, answers)
    except Exception:
        _log.exception("refusal of decision %s", decision.decision_id)
        return decision, LAST_RESORT


def _write(request: AccessRequest, decision: Decision, answers: Answers) -> bytes:
    octets = answers.to_response(request, decision)
    # To a proxy an empty message is a yes.
    if type(octets) is not bytes or not octets:
        raise TypeError("no answer was written")
    return octets


def _overrule(decision: Decision, reason: Reason, detail: str) -> Decision:
    """Turns an allow into a refusal; a refusal keeps its own reason."""
    if isinstance(decision.verdict, Permit):
        return overrule(decision, Denial(reason=reason, detail=detail))
    return decision
