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
from deputize.analysis.variables import YES
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
            approved = variables.counts.approved(rule.approval, may_be_used=True)
            demands[variables.approval()] = approved
        masks = {DEPTH: space.depths.mask([rule.max_depth]), AGENT: self._within_ceilings(rule)}
        if rule.approval is not None:
            # What follows a change of protocol cannot be approved.
            masks[UPGRADE] = space.upgrades.mask([""])
        boxes = self._narrow(boxes, [space.box(masks, demands)])
        for condition in rule.conditions:
            boxes = self._narrow(boxes, self._where(rule, condition, may_be_unclear=False))
        for scope in sorted(rule.scopes):
            boxes = self._narrow(boxes, self._may_delegate(scope))
        return boxes

    def forbidden(self, rule: Rule) -> list[Box]:
        """Where a forbid fires."""
        boxes = self._matched(rule)
        for condition in rule.conditions:
            boxes = self._narrow(boxes, self._where(rule, condition, may_be_unclear=True))
        return boxes

    def _where(self, rule: Rule, condition: Condition, *, may_be_unclear: bool) -> list[Box]:
        space = self._space
        boxes: list[Box] = []
        for paths, variable, answers in find_places(space, condition, space.path_mask(rule.paths)):
            full = space.variables.full[variable]
            mask = (answers.holds | (answers.unclear if may_be_unclear else 0)) & full
            if mask:
                # What all values have is not asked for.
                boxes.append(space.box({PATH: paths}, {variable: mask} if mask != full else {}))
        return boxes

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
