"""What one rule covers, and what it grants, as boxes.

Rules of this file:
- A rule about calls covers only routes where those are read (`core/request_calls.py`).
- What a request may not be on a route that speaks a protocol is never granted.
- A forbid fires unless one of its conditions is known not to hold.
"""

from __future__ import annotations

from itertools import product

from deputize.analysis.boxes import Box, Mask, intersect_all, subtract_all
from deputize.analysis.condition_keys import find_places
from deputize.analysis.policy_set import PolicySet
from deputize.analysis.routes import ReadRoutes
from deputize.analysis.space import (
    AGENT,
    DEPTH,
    HOST,
    METHOD,
    PATH,
    PRINCIPAL,
    UPGRADE,
    Space,
)
from deputize.analysis.variables import ERROR, GIVEN_AGAIN, GIVEN_ONCE, YES
from deputize.core.approval import ApprovalNeed
from deputize.core.conditions import Condition
from deputize.core.matching import PrincipalPattern
from deputize.core.model import Scope, StepUp
from deputize.core.rules import Rule, RuleEffect


class RuleBoxes:
    """The boxes of the rules of one set of policies."""

    def __init__(self, space: Space, policies: PolicySet) -> None:
        self._space = space
        self._limits = policies.limits
        self._routes = ReadRoutes(space, policies.routes)
        self._delegable: dict[Scope, list[Box]] = {}

    def covered(self, rule: Rule) -> list[Box]:
        """Where all patterns of the rule match, of what can be asked at all."""
        return self._readable(self._matched(rule))

    def granted(self, rule: Rule) -> list[Box]:
        """Where an allow grants, before forbids and before anything is used up."""
        space, variables = self._space, self._space.variables
        boxes = self.covered(rule)
        demands: dict[int, Mask] = {}
        for scope in rule.scopes:
            demands[variables.scope(scope)] = YES
        if rule.step_up is not None:
            demands |= self._login(rule.step_up)
        if rule.approval is not None:
            demands[approval_variable(space, rule.approval)] = GIVEN_ONCE | GIVEN_AGAIN
        masks = {DEPTH: space.depths.mask([rule.max_depth]), AGENT: self._within_ceilings(rule)}
        boxes = self._narrow(boxes, [space.box(masks, demands)])
        for condition in rule.conditions:
            places = find_places(space, condition, space.path_mask(rule.paths))
            boxes = self._narrow(
                boxes, [space.box({PATH: each.paths}, {each.variable: YES}) for each in places]
            )
        for scope in sorted(rule.scopes):
            boxes = self._narrow(boxes, self._may_delegate(scope))
        return boxes

    def forbidden(self, rule: Rule) -> list[Box]:
        """Where a forbid fires."""
        boxes = self._matched(rule)
        for condition in rule.conditions:
            boxes = self._narrow(boxes, self._where(rule, condition, YES | ERROR))
        return boxes

    def _where(self, rule: Rule, condition: Condition, value: Mask) -> list[Box]:
        space = self._space
        places = find_places(space, condition, space.path_mask(rule.paths))
        return [
            space.box({PATH: each.paths}, {each.variable: value})
            for each in places
            if value & space.variables.full[each.variable]
        ]

    def _matched(self, rule: Rule) -> list[Box]:
        space = self._space
        masks = {
            AGENT: space.agent_mask(rule.agents),
            HOST: space.hosts.mask(rule.hosts),
            METHOD: space.methods.full if "*" in rule.methods else space.methods.mask(rule.methods),
            PATH: space.path_mask(rule.paths),
        }
        if rule.effect is RuleEffect.ALLOW:
            masks[UPGRADE] = space.upgrades.mask(("", *rule.upgrades))
        boxes = self._narrow([space.box(masks)], principal_boxes(space, rule.principals))
        if rule.call is None:
            return boxes
        return self._narrow(boxes, self._routes.reading(rule.call))

    def _readable(self, boxes: list[Box]) -> list[Box]:
        space = self._space
        return subtract_all(boxes, self._routes.unreadable, space.variables.full, space.work)

    def _narrow(self, boxes: list[Box], others: list[Box]) -> list[Box]:
        return intersect_all(boxes, others, self._space.work)

    def _login(self, need: StepUp) -> dict[int, Mask]:
        variables = self._space.variables
        demands: dict[int, Mask] = {}
        if need.acr_values:
            wanted = sum(1 << variables.contexts.index(value) for value in set(need.acr_values))
            demands[variables.context()] = wanted << 1
        if need.max_age is not None:
            recent = (1 << variables.login_ages.index(need.max_age) + 1) - 1
            demands[variables.login_age()] = recent << 1
        return demands

    def _within_ceilings(self, rule: Rule) -> Mask:
        agents = self._space.agents.full
        for ceiling in self._limits.agent_ceilings:
            if not rule.scopes <= ceiling.scopes:
                agents &= ~self._space.agent_mask(ceiling.agents)
        return agents

    def _may_delegate(self, scope: Scope) -> list[Box]:
        if scope not in self._delegable:
            space = self._space
            limited = 0
            for issuer in self._limits.limited_issuers:
                limited |= space.principal_mask(PrincipalPattern(issuer, frozenset(), {}))
            boxes = [space.box({PRINCIPAL: space.principals.full & ~limited})]
            for entry in self._limits.principal_scopes:
                if scope in entry.scopes:
                    boxes += principal_boxes(space, entry.principals)
            self._delegable[scope] = [box for box in boxes if box.dense[PRINCIPAL]]
        return self._delegable[scope]


def principal_boxes(space: Space, patterns: tuple[PrincipalPattern, ...]) -> list[Box]:
    """The principals that one of the patterns covers."""
    plain: Mask = 0
    boxes: list[Box] = []
    for pattern in patterns:
        mask = space.principal_mask(pattern)
        if not pattern.claims:
            plain |= mask
            continue
        named = [
            [space.variables.claim(name, value) for value in sorted(pattern.claims[name])]
            for name in sorted(pattern.claims)
        ]
        for chosen in product(*named):
            space.work.spend(1)
            boxes.append(space.box({PRINCIPAL: mask}, dict.fromkeys(chosen, YES)))
    return [space.box({PRINCIPAL: plain}), *boxes] if plain else boxes


def approval_variable(space: Space, need: ApprovalNeed) -> int:
    """The variable of an approval: by these services, and by whom not."""
    text = f"an approval of {' or '.join(sorted(need.services))}"
    if need.approver_not_principal:
        text += ", not by the principal"
    return space.variables.approval(need, text)
