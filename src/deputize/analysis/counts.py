"""Budgets as counts and approvals as what they can be, over all policies that are compared.

Rules of this file:
- The service counts by the name of a rule. Here the count of a rule that was renamed goes on, so
  that a new name is no change; that it begins anew is told beside the answer.
- A call carries one approval at most: of one service, by the principal or by somebody else, used
  before or not.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from deputize.analysis.boxes import Mask
from deputize.analysis.policy_set import PolicySet
from deputize.core.approval import ApprovalNeed
from deputize.core.model import RuleRef
from deputize.core.rules import Budget, Rule

_Sort = tuple[int, frozenset[str]]


class Count(NamedTuple):
    """How often a budget was used: below the first of `limits`, below the next one, and so on.

    `is_tied` where a rule counts in another way than before: the two counts are of the same calls.
    """

    ref: RuleRef
    window: int
    per: frozenset[str]
    limits: tuple[int, ...]
    is_tied: bool

    def below(self, limit: int) -> Mask:
        """The values that leave something of this limit."""
        return (1 << self.limits.index(limit) + 1) - 1


class Renamed(NamedTuple):
    """A rule with a budget that has another name now."""

    old: RuleRef
    new: RuleRef


class Approval(NamedTuple):
    """An approval that a call may carry."""

    service: str
    is_by_principal: bool
    is_used: bool


class Counts:
    """The counts of all budgets, and all approvals there can be."""

    def __init__(self, sets: Sequence[PolicySet]) -> None:
        rules = [rule for each in sets for rule in each.rules]
        needs = [rule.approval for rule in rules if rule.approval is not None]
        services = sorted({service for need in needs for service in need.services})
        self.approvals: Final[tuple[Approval | None, ...]] = (
            None,
            *(
                Approval(service, is_by_principal, is_used)
                for is_used in (False, True)
                for service in services
                for is_by_principal in (False, True)
            ),
        )
        self.renamed: Final = _renamed(sets)
        self._named = {each.new: each.old for each in self.renamed}
        sorts: dict[RuleRef, set[_Sort]] = {}
        limits: dict[tuple[RuleRef, _Sort], set[int]] = {}
        for rule in rules:
            if rule.budget is not None:
                ref, sort = self._named.get(rule.ref, rule.ref), _sort(rule.budget)
                sorts.setdefault(ref, set()).add(sort)
                limits.setdefault((ref, sort), set()).add(rule.budget.limit)
        self._counts = {
            (ref, sort): Count(ref, *sort, tuple(sorted(found)), len(sorts[ref]) > 1)
            for (ref, sort), found in limits.items()
        }

    def find(self, ref: RuleRef, budget: Budget) -> Count:
        """The count of this rule's budget."""
        return self._counts[self._named.get(ref, ref), _sort(budget)]

    def approved(self, need: ApprovalNeed, *, may_be_used: bool) -> Mask:
        """The approvals that are good for it."""
        return sum(
            1 << at
            for at, each in enumerate(self.approvals)
            if each is not None
            and each.service in need.services
            and not (need.approver_not_principal and each.is_by_principal)
            and (may_be_used or not each.is_used)
        )


def _sort(budget: Budget) -> _Sort:
    return budget.window, frozenset(budget.per)


def _renamed(sets: Sequence[PolicySet]) -> list[Renamed]:
    """Rules that only one of two sets has, in pairs: the likeliest first, each once."""
    if len(sets) != 2:  # noqa: PLR2004 - old and new
        return []
    old, new = ({rule.ref: rule for rule in each.rules} for each in sets)
    gone = [rule for ref, rule in old.items() if rule.budget and ref not in new]
    come = [rule for ref, rule in new.items() if rule.budget and ref not in old]
    pairs: list[Renamed] = []
    for likeness in (_all_but_limit, _patterns, _who):
        waiting: dict[Hashable, list[Rule]] = {}
        for rule in gone:
            waiting.setdefault(likeness(rule), []).append(rule)
        for rule in list(come):
            found = waiting.get(likeness(rule))
            if found:
                before = found.pop(0)
                gone.remove(before)
                come.remove(rule)
                pairs.append(Renamed(before.ref, rule.ref))
    return pairs


def _all_but_limit(rule: Rule) -> Hashable:
    return _counted(rule), repr(replace(rule, ref=RuleRef("", ""), budget=None))


def _patterns(rule: Rule) -> Hashable:
    return _who(rule), repr((rule.hosts, rule.methods, rule.paths))


def _who(rule: Rule) -> Hashable:
    return _counted(rule), repr((rule.agents, rule.call))


def _counted(rule: Rule) -> Hashable:
    return None if rule.budget is None else _sort(rule.budget)
