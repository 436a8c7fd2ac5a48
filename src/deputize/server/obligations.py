"""What a permit obliges us to do before it leaves: ask the issuer, use once what may be used once.

Rules of this file:
- The order is that of the permit: what uses something up comes last.
- A permit whose obligation fails is a refusal. What cannot be found out counts as failed.
"""

from __future__ import annotations

import time

from deputize.adapters.introspection import Activity
from deputize.adapters.replay_store import Use
from deputize.core.model import Introspect, UseOnce
from deputize.core.reasons import Reason
from deputize.core.verdict import Denial, Permit
from deputize.server.ports import Introspection, ReplayStore, Sources

_UNAVAILABLE = Reason.SYSTEM_STATUS_UNAVAILABLE


def meet(
    permit: Permit,
    compact: str,
    replay_store: ReplayStore,
    sources: Sources,
    now: float,
    deadline: float,
) -> Denial | None:
    """Does what the permit obliges to; the refusal it becomes, None when all is done.

    `compact` is the token's text, `now` in epoch seconds, `deadline` of the monotonic clock.
    """
    for obligation in permit.obligations:
        timeout = deadline - time.monotonic()
        if isinstance(obligation, Introspect):
            denial = _introspect(permit, compact, sources.introspection(obligation.issuer), timeout)
        else:
            denial = _use(obligation, replay_store, now, timeout)
        if denial is not None:
            return denial
    return None


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
            return Denial(reason=Reason.TOKEN_REPLAYED, detail=f"this {what} was used before")
        case _:
            return Denial(reason=_UNAVAILABLE, detail="the replay store gives no answer")
