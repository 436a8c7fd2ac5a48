"""What a set of policies allows, as boxes: allows without forbids, and what forbids take.

Rules of this file:
- A request is allowed where a part has it and no forbid does.
- Of several rules that grant, the one with the least burden is asked (`core/policy.py`). So where
  its budget or its token is used up, the next one does not help.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from deputize.analysis.boxes import Box, Mask, intersect_all, subtract_all
from deputize.analysis.policy_set import PolicySet
from deputize.analysis.rule_boxes import RuleBoxes
from deputize.analysis.space import Space
from deputize.analysis.variables import YES
from deputize.core.rules import Rule, RuleEffect


class Reading(StrEnum):
    """What is asked of policies that are only observed.

    Enforced: what they would do were they enforced. Now: what they let pass today.
    """

    ENFORCED = "enforced"
    NOW = "now"


class Part(NamedTuple):
    """What one rule allows or forbids."""

    rule: Rule
    boxes: list[Box]


class Allowed(NamedTuple):
    """All that the rules say."""

    allows: list[Part]
    forbids: list[Part]


def find_allowed(space: Space, policies: PolicySet, reading: Reading) -> Allowed:
    """The boxes of all rules.

    Raises:
        UndecidedError: it needs too much work.
    """
    is_now = reading is Reading.NOW
    boxes = RuleBoxes(space, policies)
    allows: list[Part] = []
    spent: list[Box] = []
    for rule in sorted(policies.rules, key=_burden):
        if rule.effect is not RuleEffect.ALLOW:
            continue
        granted = boxes.granted(rule)
        owed = _owed(space, rule, is_now=is_now)
        settled = intersect_all(granted, [space.box({}, owed)], space.work)
        allows.append(Part(rule, _without(space, settled, spent)))
        for variable in owed:
            short = space.box({}, {variable: space.variables.full[variable] & ~owed[variable]})
            spent += intersect_all(granted, [short], space.work)
    if is_now:
        watched = [rule for rule in policies.rules if rule.is_observed]
        allows += (
            Part(rule, _without(space, boxes.covered(rule), spent))
            for rule in watched
            if rule.effect is RuleEffect.ALLOW
        )
    forbids = [
        Part(rule, boxes.forbidden(rule))
        for rule in policies.rules
        if rule.effect is RuleEffect.FORBID and not (is_now and rule.is_observed)
    ]
    return Allowed(allows, forbids)


def is_observed(policies: PolicySet) -> bool:
    """Whether some of the rules are only observed."""
    return any(rule.is_observed for rule in policies.rules)


def _without(space: Space, boxes: list[Box], others: list[Box]) -> list[Box]:
    return subtract_all(boxes, others, space.variables.full, space.work)


def _owed(space: Space, rule: Rule, *, is_now: bool) -> dict[int, Mask]:
    """What must not be used up, by variable."""
    owed: dict[int, Mask] = {}
    budget = rule.budget
    variables = space.variables
    if budget is not None and not (is_now and rule.is_observed):
        count = variables.counts.find(rule.ref, budget)
        owed[variables.budget(count)] = count.below(budget.limit)
    if rule.approval is not None:
        approved = variables.counts.approved(rule.approval, may_be_used=False)
        owed[variables.approval()] = approved
    if rule.use_once:
        owed[variables.unused()] = YES
    return owed


def _burden(rule: Rule) -> tuple[int, str, str]:
    """The order in which rules that grant are taken, as `core/policy.py` has it."""
    owed = (rule.budget is not None) + (rule.approval is not None)
    return owed + rule.use_once, rule.ref.policy, rule.ref.rule
