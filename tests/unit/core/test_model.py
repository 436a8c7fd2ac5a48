from __future__ import annotations

import pytest

from deputize.core.model import RuleRef
from deputize.core.reasons import Reason
from deputize.core.verdict import Decision, Denial, Denied, Effect, Permit, Proven
from tests.harness.world import (
    DEFAULT_RULES,
    NOW,
    decide_now,
    make_request,
    make_snapshot,
    shared_issuer,
)


def allowed() -> Decision:
    issuer = shared_issuer()
    return decide_now(make_request(issuer.issue(now=NOW)), make_snapshot(issuer))


def denied(denial: Denial) -> Decision:
    return Decision("d", denial, Proven(), "digest", NOW)


def test_a_permit_allows() -> None:
    decision = allowed()
    assert isinstance(decision.verdict, Permit)
    assert (decision.effect, decision.reason) == (Effect.ALLOW, Reason.POLICY_ALLOWED)
    assert str(decision.rule) == "orders/read"


def test_a_denial_denies() -> None:
    rule = RuleRef("guard", "secret")
    decision = denied(Denial(reason=Reason.POLICY_FORBIDDEN, detail="", rule=rule))
    assert (decision.effect, decision.reason) == (Effect.DENY, Reason.POLICY_FORBIDDEN)
    assert decision.rule == rule


def test_a_denial_cannot_carry_the_reason_of_an_allow() -> None:
    with pytest.raises(TypeError):
        Denial(reason=Reason.POLICY_ALLOWED, detail="")
    with pytest.raises(TypeError):
        Denied(Reason.POLICY_ALLOWED, "")


@pytest.mark.parametrize("value", [allowed(), allowed().verdict, DEFAULT_RULES[0]])
def test_values_do_not_change(value: object) -> None:
    kind = type(value)
    names: tuple[str, ...] = getattr(kind, "_fields", ()) or getattr(kind, "__match_args__", ())
    assert names
    for name in names:
        with pytest.raises(AttributeError):
            setattr(value, name, None)
