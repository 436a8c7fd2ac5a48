"""Stage 4: is it good for this case? Default deny; a forbid wins; scopes intersect.

Rules of this file:
- `evaluate` is the whole law. Rules come from the index; order and duplicates do not matter.
- A forbid that covers the call refuses, unless one of its conditions surely does not hold.
- An allow needs one rule that covers agent, principal and action, and all of whose demands are
  met (`policy_demands.py`). Of several the one that obliges to least, then the first by name,
  determines the answer.
- What is granted are the scopes that rule needs, no others of the token.
- Of several calls in one request each must be allowed.
- A policy that is only observed refuses nothing: what it would have refused is recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from deputize.core import policy_demands
from deputize.core.case import Case, EvaluationError
from deputize.core.conditions import find_unmet
from deputize.core.keys import KeyRing
from deputize.core.model import (
    AccessRequest,
    Action,
    Delegation,
    Grant,
    Peer,
    Scope,
    UpstreamFact,
    VerifiedToken,
)
from deputize.core.policy_demands import Terms
from deputize.core.reasons import Reason
from deputize.core.rules import Policies, Rule, RuleEffect
from deputize.core.verdict import Denial, Denied

DEFAULT_FACTS = (UpstreamFact.PRINCIPAL, UpstreamFact.AGENT, UpstreamFact.DECISION_ID)


class Ruling(NamedTuple):
    """A grant, and the refusal that it would be were all policies enforced."""

    grant: Grant
    observed: Denial | None


def evaluate(
    request: AccessRequest,
    peer: Peer,
    token: VerifiedToken,
    delegation: Delegation,
    action: Action,
    policies: Policies,
    key_rings: Mapping[str, KeyRing],
    now: float,
) -> Ruling:
    """Finds the grant for all calls of this action.

    Raises:
        Denied: any `policy.*` code; system.keys_unavailable for an approval that cannot be
            verified now.
    """
    shown = (request, peer, token, delegation, action)
    if not action.calls:
        return _evaluate(Case(*shown, None, now), policies, key_rings)
    return _join([_evaluate(Case(*shown, call, now), policies, key_rings) for call in action.calls])


def _evaluate(case: Case, policies: Policies, key_rings: Mapping[str, KeyRing]) -> Ruling:
    delegation, action = case.delegation, case.action
    covering = policies.index.covering(delegation.agent, delegation.principal, action, case.call)
    forbidding: list[Denial] = []
    watching: list[Denial] = []
    granting: list[tuple[Rule, Terms]] = []
    missing: list[tuple[Rule, Denial]] = []
    for rule in covering:
        if rule.effect is RuleEffect.FORBID:
            refusal = _forbid(rule, case)
            if refusal is not None:
                is_watched = rule.is_observed and not policies.is_observed
                (watching if is_watched else forbidding).append(refusal)
        elif not action.upgrade or action.upgrade in rule.upgrades:
            answer = policy_demands.settle(rule, case, policies, key_rings)
            if isinstance(answer, Denial):
                missing.append((rule, answer))
            else:
                granting.append((rule, answer))
    if forbidding:
        return _refuse(_first(forbidding), is_observed=policies.is_observed)
    if granting:
        best = granting[0] if len(granting) == 1 else min(granting, key=_burden)
        return Ruling(_grant(*best), _first(watching) if watching else None)
    is_observed = policies.is_observed or any(rule.is_observed for rule, _ in missing)
    refusal = _nearest([denial for _, denial in missing])
    if is_observed and watching:
        # Enforced, the forbid would have come first.
        refusal = _first(watching)
    return _refuse(refusal, is_observed=is_observed)


def _forbid(rule: Rule, case: Case) -> Denial | None:
    """The refusal by a forbid that covers the call; None where its conditions do not hold."""
    unmet = find_unmet(rule.conditions, case)
    if unmet is None:
        detail = "a forbid rule covers the call"
        return Denial(reason=Reason.POLICY_FORBIDDEN, detail=detail, rule=rule.ref)
    if isinstance(unmet, EvaluationError):
        detail = f"forbid {rule.ref}: {unmet}"
        return Denial(reason=Reason.POLICY_EVALUATION_ERROR, detail=detail, rule=rule.ref)
    return None


def _grant(rule: Rule, terms: Terms) -> Grant:
    # Token and limits have them all, so the scopes of the rule are the intersection.
    return Grant(rule.ref, rule.scopes, rule.upstream_facts, rule.use_once, *terms)


def _refuse(refusal: Denial, *, is_observed: bool) -> Ruling:
    """Refuses, or lets pass and says what would have refused."""
    if not is_observed:
        raise Denied.carrying(refusal)
    grant = Grant(refusal.rule, frozenset(), DEFAULT_FACTS, use_once=False, owed=())
    return Ruling(grant, refusal)


def _nearest(missed: list[Denial]) -> Denial:
    """Why no rule granted: the demand that was the last one to stand in the way."""
    if not missed:
        return Denial(reason=Reason.POLICY_NO_MATCH, detail="no rule covers the call")
    nearest = min(policy_demands.distance(denial.reason) for denial in missed)
    return _first([d for d in missed if policy_demands.distance(d.reason) == nearest])


def _burden(granting: tuple[Rule, Terms]) -> tuple[int, str, str]:
    """The rule that uses up least first, then by name: order does not matter."""
    rule, terms = granting
    return len(terms.owed) + rule.use_once, rule.ref.policy, rule.ref.rule


def _first(denials: list[Denial]) -> Denial:
    """The first by the name of its rule, so that the order of files and rules does not matter."""
    return min(denials, key=lambda denial: str(denial.rule))


def _join(rulings: list[Ruling]) -> Ruling:
    """One grant for several calls: all that any of them asks for."""
    if len(rulings) == 1:
        return rulings[0]
    grants = [ruling.grant for ruling in rulings]
    grant = Grant(
        grants[0].rule,
        frozenset[Scope]().union(*(grant.scopes for grant in grants)),
        tuple(dict.fromkeys(fact for grant in grants for fact in grant.upstream_facts)),
        any(grant.use_once for grant in grants),
        tuple(obligation for grant in grants for obligation in grant.owed),
        tuple(approval for grant in grants for approval in grant.approvals),
    )
    return Ruling(grant, next((ruling.observed for ruling in rulings if ruling.observed), None))
