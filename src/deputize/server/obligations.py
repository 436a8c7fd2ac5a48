"""What a permit obliges us to do before it leaves: ask the issuer, count a use, use once.

Rules of this file:
- The order is that of the permit: what uses something up comes last.
- A permit whose obligation fails is a refusal. What cannot be found out counts as failed.
- A budget that is only observed refuses nothing: what it would refuse is told beside the answer.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import NamedTuple, assert_never

from deputize.adapters.budget_store import Spent, window_end
from deputize.adapters.introspection import Activity
from deputize.adapters.replay_store import Use
from deputize.core.approval import APPROVAL
from deputize.core.model import Introspect, Spend, UseOnce
from deputize.core.reasons import Reason
from deputize.core.verdict import Denial, Permit
from deputize.server.ports import Introspection, ReplayStore, Sources

_UNAVAILABLE = Reason.SYSTEM_STATUS_UNAVAILABLE


class Met(NamedTuple):
    """What became of the obligations of a permit.

    `denial` is the refusal it becomes, None when all is done. `observed` is the first one that it
    would become if nothing were only observed.
    """

    denial: Denial | None
    observed: Denial | None


def meet(
    permit: Permit,
    compact: str,
    replay_store: ReplayStore,
    sources: Sources,
    now: float,
    deadline: float,
) -> Met:
    """Does what the permit obliges to, as far as nothing refuses.

    `compact` is the token's text, `now` in epoch seconds, `deadline` of the monotonic clock.
    """
    observed: Denial | None = None
    for obligation in permit.obligations:
        timeout = deadline - time.monotonic()
        match obligation:
            case Introspect(issuer):
                denial = _introspect(permit, compact, sources.introspection(issuer), timeout)
            case Spend():
                denial = _spend(obligation, replay_store, now, timeout)
                if not obligation.is_enforced:
                    observed, denial = observed or denial, None
            case UseOnce():
                denial = _use(obligation, replay_store, now, timeout)
            case _:
                assert_never(obligation)
        if denial is not None:
            return Met(denial, observed)
    return Met(None, observed)


def _introspect(
    permit: Permit, compact: str, introspection: Introspection | None, timeout: float
) -> Denial | None:
    if introspection is None:
        return Denial(reason=_UNAVAILABLE, detail="no introspection of the issuer is set up")
    match introspection.ask(compact, permit.token, timeout):
        case Activity.ACTIVE:
            return None
        case Activity.INACTIVE:
            return Denial(reason=Reason.TOKEN_REVOKED, detail="its issuer says it is not active")
        case _:
            return Denial(reason=_UNAVAILABLE, detail="introspection gives no answer")


def _use(
    obligation: UseOnce, replay_store: ReplayStore, now: float, timeout: float
) -> Denial | None:
    match replay_store.consume(obligation.key, obligation.until, now, timeout):
        case Use.FRESH:
            return None
        case Use.USED:
            what = obligation.key.partition(":")[0]
            reason = Reason.POLICY_APPROVAL_INVALID if what == APPROVAL else Reason.TOKEN_REPLAYED
            return Denial(reason=reason, detail=f"this {what} was used before")
        case _:
            return Denial(reason=_UNAVAILABLE, detail="the replay store gives no answer")


def _spend(
    obligation: Spend, replay_store: ReplayStore, now: float, timeout: float
) -> Denial | None:
    rule, window = obligation.rule, obligation.window
    match replay_store.spend(obligation.key, obligation.limit, window, now, timeout):
        case Spent.WITHIN:
            return None
        case Spent.EXHAUSTED:
            end = window_end(now, window)
            until = datetime.fromtimestamp(end, UTC).isoformat()
            return Denial(
                reason=Reason.POLICY_BUDGET_EXHAUSTED,
                detail=f"{rule}: {obligation.limit} uses in {window} s are used up until {until}",
                rule=rule,
                retry_after=end - now,
            )
        case _:
            return Denial(reason=_UNAVAILABLE, detail=f"{rule}: the store counts no use", rule=rule)
