"""Lints about two rules: `shadowed`, `redundant`, `overlap`.

Rules of this file:
- A rule covers more where its patterns do, and what it says beside them (conditions, depth of the
  chain) leaves no less. It asks for less where a call that meets the other's demands meets its own.
- A narrow rule that asks for less than a wide one is an exception, and meant. One that asks for
  more is not: the wide rule lets in whoever does not meet it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from deputize.config.containment import principal_covers, rule_covers
from deputize.config.lints.subject import PlacedRule, Subject
from deputize.config.lints.table import Lint
from deputize.config.problems import Problem
from deputize.core.conditions import Condition, Expression
from deputize.core.delegation import DEEPEST_CHAIN
from deputize.core.rules import Rule


def find_shadowed(subject: Subject) -> Iterator[Problem]:
    """Allow rules all of whose calls one forbid refuses."""
    for placed, others in subject.meetings:
        if not placed.is_allow:
            continue
        for other in others:
            is_enforced = not (other.rule.conditions or other.rule.is_observed)
            if not other.is_allow and is_enforced and rule_covers(other.rule, placed.rule):
                message = f"never grants: forbid `{other.rule.ref}` refuses every call it covers"
                yield placed.finding(Lint.SHADOWED, message)
                break


def find_redundant(subject: Subject) -> Iterator[Problem]:
    """Allow rules that let nobody in whom another one does not let in."""
    for placed, others in subject.meetings:
        other = _better(placed.rule, others) if placed.is_allow else None
        if other is not None:
            message = f"adds nothing: `{other.ref}` covers all its calls and asks for no more"
            yield placed.finding(Lint.REDUNDANT, message)


def find_overlaps(subject: Subject) -> Iterator[Problem]:
    """Allow rules for the same calls that differ in what they ask for, or in what they send."""
    for placed, others in subject.meetings:
        rule = placed.rule
        for other in others:
            if placed.is_allow and other.is_allow and rule.ref < other.rule.ref:
                keys = _disagreement(rule, other.rule)
                if keys:
                    message = (
                        f"covers some of the calls of `{other.rule.ref}`, but says something else "
                        f"in {', '.join(f'`{key}`' for key in keys)}: either lets them in"
                    )
                    yield placed.finding(Lint.OVERLAP, message)


def _better(rule: Rule, others: Iterable[PlacedRule]) -> Rule | None:
    """An allow that makes the rule needless; of two alike the first by name stays."""
    for placed in others:
        other = placed.rule
        if placed.is_allow and _makes_needless(other, rule):
            is_alike = _makes_needless(rule, other)
            if not is_alike or other.ref < rule.ref:
                return other
    return None


def _makes_needless(first: Rule, second: Rule) -> bool:
    return (
        first.is_observed == second.is_observed
        and first.upstream_facts == second.upstream_facts
        and _asks_no_more(first, second)
        and _is_wider(first, second)
    )


def _is_wider(first: Rule, second: Rule) -> bool:
    return (
        (first.max_depth or DEEPEST_CHAIN) >= (second.max_depth or DEEPEST_CHAIN)
        and second.upgrades <= first.upgrades
        and _conditions(first) <= _conditions(second)
        and rule_covers(first, second)
    )


def _asks_no_more(first: Rule, second: Rule) -> bool:
    # Two budgets that say the same are counted apart.
    return (
        first.budget is None
        and first.use_once <= second.use_once
        and first.scopes <= second.scopes
        and first.step_up in (None, second.step_up)
        and first.approval in (None, second.approval)
    )


def _disagreement(first: Rule, second: Rule) -> list[str]:
    """The keys in which two rules for the same calls differ; none where that is meant or unsure."""
    keys = _different_keys(first, second)
    if not keys or first.is_observed != second.is_observed:
        return []
    one, other = _conditions(first), _conditions(second)
    if not (one <= other or other <= one) or not _are_alike(first, second):
        return []
    if _makes_needless(first, second) or _makes_needless(second, first):
        return []
    if _is_exception(first, second) or _is_exception(second, first):
        return []
    return keys


def _are_alike(first: Rule, second: Rule) -> bool:
    """Who has two groups may be covered by two rules, each for one; that is no overlap yet."""
    return any(
        principal_covers(one, other) or principal_covers(other, one)
        for one in first.principals
        for other in second.principals
    )


def _is_exception(narrow: Rule, wide: Rule) -> bool:
    is_settled = narrow.upstream_facts == wide.upstream_facts or _burden(narrow) < _burden(wide)
    return is_settled and _asks_no_more(narrow, wide) and _is_wider(wide, narrow)


def _burden(rule: Rule) -> int:
    """As the law counts it, to choose which of two grants answers."""
    return (rule.budget is not None) + (rule.approval is not None) + rule.use_once


def _different_keys(first: Rule, second: Rule) -> list[str]:
    pairs = {
        "scopes": (first.scopes, second.scopes),
        "stepUp": (first.step_up, second.step_up),
        "approval": (first.approval, second.approval),
        "budget": (first.budget, second.budget),
        "obligations": (
            (first.use_once, set(first.upstream_facts)),
            (second.use_once, set(second.upstream_facts)),
        ),
    }
    return [key for key, (one, other) in pairs.items() if one != other]


def _conditions(rule: Rule) -> frozenset[Condition | str]:
    """Conditions that can be compared; of an expression its text."""
    return frozenset(
        each.text if isinstance(each, Expression) else each for each in rule.conditions
    )
