"""What an allow rule asks of a call it covers.

In this order:
1. its conditions hold, and the chain is not longer than it allows
2. the token has its scopes, and they may be delegated to this agent by this principal
3. the principal has logged in as strongly and as recently as it asks
4. somebody approved this very call
5. its budget is not used up: that is an obligation, only the shell can count

Sources: RFC 6750 section 3.1 (`insufficient_scope`); RFC 9470 sections 3 and 6 (`acr`,
`auth_time`).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import NamedTuple

from deputize.core.approval import ApprovalNeed, verify_approval
from deputize.core.approved_call import ApprovalError, describe_call
from deputize.core.case import Case, EvaluationError
from deputize.core.claims import ClaimError, read_time
from deputize.core.conditions import find_unmet
from deputize.core.keys import KeyRing
from deputize.core.mcp import NAMES_OF_SERVER
from deputize.core.model import Approved, Json, Obligation, Spend, StepUp
from deputize.core.reasons import Reason
from deputize.core.rules import Budget, BudgetPart, Policies, Rule
from deputize.core.verdict import Denial

_CLOCK_SKEW = 60.0
"""Seconds by which the clock where the principal logged in may be ahead of ours."""
_ORDER = (
    Reason.SYSTEM_KEYS_UNAVAILABLE,
    Reason.POLICY_APPROVAL_INVALID,
    Reason.POLICY_APPROVAL_REQUIRED,
    Reason.POLICY_STEP_UP_REQUIRED,
    Reason.POLICY_INSUFFICIENT_SCOPE,
    Reason.POLICY_SCOPE_NOT_DELEGABLE,
    Reason.POLICY_CONDITION_FAILED,
    Reason.POLICY_EVALUATION_ERROR,
)


class Terms(NamedTuple):
    """What a grant obliges to, and the approvals it rests on."""

    owed: tuple[Obligation, ...]
    approvals: tuple[Approved, ...]


_NO_TERMS = Terms((), ())


def distance(reason: Reason) -> int:
    """How far a refusal was from a grant: the caller can help the nearest ones."""
    return _ORDER.index(reason)


def settle(
    rule: Rule, case: Case, policies: Policies, key_rings: Mapping[str, KeyRing]
) -> Terms | Denial:
    """On what terms this rule grants, or why it does not."""
    refusal = None
    if rule.conditions or rule.max_depth is not None:
        refusal = _check_conditions(rule, case)
    if refusal is None and rule.scopes:
        refusal = _check_scopes(rule, case, policies)
    if refusal is None and rule.step_up is not None:
        refusal = _check_login(rule, rule.step_up, case)
    if refusal is not None:
        return refusal
    if rule.budget is None and rule.approval is None:
        return _NO_TERMS
    owed: list[Obligation] = []
    approvals: list[Approved] = []
    if rule.approval is not None:
        approved = _check_approval(rule, rule.approval, case, policies, key_rings)
        if isinstance(approved, Denial):
            return approved
        owed.append(approved.use)
        approvals.append(approved)
    # Last, so that an approval sent again uses up no budget.
    if rule.budget is not None:
        owed.append(_spend(rule, rule.budget, case, policies))
    return Terms(tuple(owed), tuple(approvals))


def _check_conditions(rule: Rule, case: Case) -> Denial | None:
    depth = len(case.delegation.chain)
    if rule.max_depth is not None and depth > rule.max_depth:
        detail = f"rule {rule.ref} allows a chain of {rule.max_depth} hops, this one has {depth}"
        return Denial(reason=Reason.POLICY_CONDITION_FAILED, detail=detail, rule=rule.ref)
    unmet = find_unmet(rule.conditions, case)
    if unmet is None:
        return None
    if isinstance(unmet, EvaluationError):
        detail = f"rule {rule.ref}: {unmet}"
        return Denial(reason=Reason.POLICY_EVALUATION_ERROR, detail=detail, rule=rule.ref)
    detail = f"rule {rule.ref} asks for: {unmet.text}"
    return Denial(reason=Reason.POLICY_CONDITION_FAILED, detail=detail, rule=rule.ref)


def _check_scopes(rule: Rule, case: Case, policies: Policies) -> Denial | None:
    delegation = case.delegation
    if not rule.scopes <= delegation.scopes:
        missing = " ".join(sorted(rule.scopes - delegation.scopes))
        return Denial(
            reason=Reason.POLICY_INSUFFICIENT_SCOPE,
            detail=f"rule {rule.ref} needs {missing}",
            rule=rule.ref,
            needed_scopes=rule.scopes,
        )
    delegable = policies.limits.apply(delegation)
    if not rule.scopes <= delegable:
        beyond = rule.scopes - delegable
        detail = f"rule {rule.ref} needs {' '.join(sorted(beyond))}, beyond what may be delegated"
        return Denial(reason=Reason.POLICY_SCOPE_NOT_DELEGABLE, detail=detail, rule=rule.ref)
    return None


def _check_login(rule: Rule, need: StepUp, case: Case) -> Denial | None:
    claims = case.delegation.principal.claims
    detail = ""
    if need.acr_values and claims.get("acr") not in need.acr_values:
        detail = "another `acr`"
    elif need.max_age is not None and not _is_recent(claims, need.max_age, case.now):
        detail = "a more recent `auth_time`"
    if not detail:
        return None
    return Denial(
        reason=Reason.POLICY_STEP_UP_REQUIRED,
        detail=f"rule {rule.ref} asks for {detail}",
        rule=rule.ref,
        step_up=need,
    )


def _is_recent(claims: Mapping[str, Json], max_age: int, now: float) -> bool:
    try:
        age = now - read_time(claims, "auth_time") if "auth_time" in claims else math.inf
    except ClaimError:
        return False
    # A time in milliseconds, for example, lies far ahead and would be recent for ever.
    return -_CLOCK_SKEW <= age <= max_age


def _check_approval(
    rule: Rule,
    need: ApprovalNeed,
    case: Case,
    policies: Policies,
    key_rings: Mapping[str, KeyRing],
) -> Approved | Denial:
    try:
        subject = describe_call(case.request, case.delegation, case.action, case.call)
    except ApprovalError as error:
        detail = f"rule {rule.ref}: {error}"
        return Denial(reason=Reason.POLICY_EVALUATION_ERROR, detail=detail, rule=rule.ref)
    compact = case.request.headers.get(policies.approval_header, "")
    reason = Reason.POLICY_APPROVAL_INVALID if compact else Reason.POLICY_APPROVAL_REQUIRED
    wanted = None
    detail = f"rule {rule.ref} asks for an approval"
    if compact:
        services = policies.approval_services
        try:
            return verify_approval(compact, subject, need, services, key_rings, case.now)
        except ApprovalError as error:
            detail = f"rule {rule.ref}: {error}"
            wanted = error.wanted
            if error.is_unavailable:
                reason = Reason.SYSTEM_KEYS_UNAVAILABLE
    return Denial(
        reason=reason, detail=detail, rule=rule.ref, wanted=wanted, approval=subject.to_json()
    )


def _spend(rule: Rule, budget: Budget, case: Case, policies: Policies) -> Spend:
    delegation, call = case.delegation, case.call
    parts = [str(rule.ref), str(budget.window)]
    if BudgetPart.AGENT in budget.per:
        parts.append(delegation.agent.text)
    if BudgetPart.PRINCIPAL in budget.per:
        parts += [delegation.principal.issuer, delegation.principal.subject]
    key = f"budget:{_digest(parts)}"
    if BudgetPart.TOOL in budget.per and call is not None:
        # A fresh URI, or a fresh identifier of a task, must not begin a fresh budget.
        name = call.name if call.method in NAMES_OF_SERVER else ""
        key += "." + _digest([call.protocol.value, call.method, name])[:32]
    is_enforced = not (rule.is_observed or policies.is_observed)
    return Spend(key, budget.limit, budget.window, rule.ref, is_enforced)


def _digest(parts: list[str]) -> str:
    # The length of each keeps two lists of parts from being read as one.
    named = "".join(f"{len(part)}\n{part}" for part in parts)
    return hashlib.sha256(named.encode("utf-8", "surrogatepass")).hexdigest()
