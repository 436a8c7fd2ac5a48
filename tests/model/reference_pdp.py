"""The law of policies as plainly as it can be said: no index; without logins and approvals."""

from deputize.core.case import Case, EvaluationError
from deputize.core.conditions import Condition
from deputize.core.matching import ANY, host_matches
from deputize.core.model import Scope
from deputize.core.reasons import Reason
from deputize.core.rules import Policies, Rule, RuleEffect
from tests.harness.rulings import ALLOWED, NEAREST, Answer


def evaluate(case: Case, policies: Policies) -> Answer:
    """Each call of the case must be allowed; the first that is not says why."""
    each = [_evaluate(case._replace(call=call), policies) for call in case.action.calls or (None,)]
    scopes = frozenset[Scope]().union(*(answer.scopes for answer in each))
    observed = next((answer.observed for answer in each if answer.observed), None)
    allowed = each[0]._replace(scopes=scopes, observed=observed)
    return next((answer for answer in each if answer.reason is not ALLOWED), allowed)


def _evaluate(case: Case, policies: Policies) -> Answer:
    covering = sorted((r for r in policies.index.rules if covers(r, case)), key=lambda r: r.ref)
    said = [(rule, judge(rule, case, policies)) for rule in covering]
    told = [(rule, why) for rule, why in said if rule.effect is RuleEffect.FORBID and why]
    missed = [(rule, why) for rule, why in said if rule.effect is RuleEffect.ALLOW and why]
    granting = [rule for rule, why in said if rule.effect is RuleEffect.ALLOW and not why]
    missed.sort(key=lambda entry: NEAREST.index(entry[1].partition(".")[2]))
    refusing = [entry for entry in told if policies.is_observed or not entry[0].is_observed]
    if granting and not refusing:
        grant = min(granting, key=lambda rule: rule.use_once + (rule.budget is not None))
        return Answer(ALLOWED, grant.ref, grant.scopes, told[0][1] if told else None)
    passes = policies.is_observed or (not refusing and any(r.is_observed for r, _ in missed))
    reasons = refusing or (told if passes else []) or missed
    rule, why = (reasons[0][0].ref, reasons[0][1]) if reasons else (None, Reason.POLICY_NO_MATCH)
    return Answer(ALLOWED, rule, observed=why) if passes else Answer(why, rule)


def covers(rule: Rule, case: Case) -> bool:
    action, is_forbid = case.action, rule.effect is RuleEffect.FORBID
    return (
        any(pattern.matches(case.delegation.agent) for pattern in rule.agents)
        and any(pattern.matches(case.delegation.principal) for pattern in rule.principals)
        and any(host_matches(pattern, action.host) for pattern in rule.hosts)
        and any(pattern in {ANY, action.method} for pattern in rule.methods)
        and any(pattern.matches(action.segments) for pattern in rule.paths)
        and (rule.call is None or rule.call.matches(case.call))
        and (is_forbid or not action.upgrade or action.upgrade in rule.upgrades)
    )


def judge(rule: Rule, case: Case, policies: Policies) -> Reason | None:
    """Why a rule that covers the call refuses it, or does not grant it."""
    is_short = rule.max_depth is None or len(case.delegation.chain) <= rule.max_depth
    answers = {is_short, *(holds(condition, case) for condition in rule.conditions)}
    if False in answers:
        return None if rule.effect is RuleEffect.FORBID else Reason.POLICY_CONDITION_FAILED
    if None in answers:
        return Reason.POLICY_EVALUATION_ERROR
    if rule.effect is RuleEffect.FORBID:
        return Reason.POLICY_FORBIDDEN
    if not rule.scopes <= case.delegation.scopes:
        return Reason.POLICY_INSUFFICIENT_SCOPE
    return None if rule.scopes <= delegable(case, policies) else Reason.POLICY_SCOPE_NOT_DELEGABLE


def holds(condition: Condition, case: Case) -> bool | None:
    try:
        return condition.holds(case)
    except EvaluationError:
        return None


def delegable(case: Case, policies: Policies) -> frozenset[Scope]:
    """The scopes within every ceiling of the agent, and what the principal may delegate."""
    (principal, agent, *_), limits = case.delegation, policies.limits
    tops = [c.scopes for c in limits.agent_ceilings if any(p.matches(agent) for p in c.agents)]
    entries = [(p, entry.scopes) for entry in limits.principal_scopes for p in entry.principals]
    if any(pattern.issuer == principal.issuer for pattern, _ in entries):
        tops.append(frozenset[Scope]().union(*(has for p, has in entries if p.matches(principal))))
    return case.delegation.scopes.intersection(*tops)
