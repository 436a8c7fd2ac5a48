"""A law: to tighten one number or one list of a rule never allows more, and is never said to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

import pytest

from deputize.analysis.policy_set import PolicySet
from deputize.analysis.questions import compare
from deputize.core.approval import ApprovalNeed
from deputize.core.case import Fact, Source
from deputize.core.comparisons import Compares, Operator, Scalar
from deputize.core.model import RuleRef
from deputize.core.rules import Budget, Rule, RuleEffect
from tests.harness.small_policies import WORLDS, World
from tests.harness.small_requests import SERVICES

SEEDS = range(600)
_FACTS = (
    Fact(Source.CLAIM, ("mixed",)),
    Fact(Source.CLAIM, ("mixed", "inner")),
    Fact(Source.CLAIM, ("groups",)),
    Fact(Source.HEADER, ("x-a",)),
    Fact(Source.ARGUMENT, ("amount",)),
    Fact(Source.PEER, ("namespace",)),
    Fact(Source.PEER, ("trustDomain",)),
    Fact(Source.PEER, ("assurance",)),
    Fact(Source.CHAIN, ("actors",)),
    Fact(Source.CHAIN, ("depth",)),
    Fact(Source.PRINCIPAL, ("kind",)),
    Fact(Source.PRINCIPAL, ("subject",)),
    Fact(Source.TOKEN, ("ageSeconds",)),
    Fact(Source.TOKEN, ("binding",)),
)
_TEXTS: Sequence[Scalar] = (
    "EU",
    "US",
    "E",
    "a/",
    "a/b",
    "user",
    "certificate",
    "",
    "EU/..",
    "a,b",
    "/",
)
_NUMBERS: Sequence[int | float] = (0, 1, 2, 1.5, -3, 1e300, 2**60, 2**60 + 1)
_OF_TEXTS = (Operator.STARTS_WITH, Operator.ENDS_WITH)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_tightened_is_never_widened(seed: int) -> None:
    random = Random(seed)  # noqa: S311 - a fixed pool of examples
    old = _without_burden(World(seed % 97 * len(WORLDS) + seed % len(WORLDS)).policies())
    wide, narrow = _pair(random)
    chosen = random.randrange(len(old.rules))
    before, after = (_with(old.rules[chosen], each) for each in (wide, narrow))
    if before.effect is RuleEffect.FORBID:
        before, after = after, before
    else:
        before = replace(before, budget=_budget(random), approval=_approval(random))
        after = _tighter(random, before, after)
    new = _replaced(old, chosen, after)
    assert compare(_replaced(old, chosen, before), new).widened == []


def _pair(random: Random) -> tuple[Compares, Compares]:
    """A condition, and one that holds for less."""
    fact = random.choice(_FACTS)
    operator = random.choice(list(Operator))
    if operator in {Operator.AT_LEAST, Operator.AT_MOST}:
        low, high = sorted(random.sample(_NUMBERS, 2))
        loose, tight = (low, high) if operator is Operator.AT_LEAST else (high, low)
        return Compares(fact, operator, (loose,)), Compares(fact, operator, (tight,))
    alphabet: Sequence[Scalar] = random.choice((_TEXTS, _NUMBERS))
    if operator in _OF_TEXTS:
        # A path refuses texts that go up; without it they are texts like others.
        is_path = random.random() < 1 / 2
        alphabet = [text for text in _TEXTS if ("/" in str(text)) == is_path]
    many = tuple(random.sample(list(alphabet), random.randint(2, 4)))
    few = tuple(random.sample(many, random.randint(1, len(many))))
    if operator is Operator.NONE_OF:
        many, few = few, many
    if operator is Operator.EQUALS:
        return Compares(fact, Operator.ONE_OF, many), Compares(fact, operator, few[:1])
    return Compares(fact, operator, many), Compares(fact, operator, few)


def _with(rule: Rule, condition: Compares) -> Rule:
    return replace(rule, conditions=(condition, *rule.conditions))


def _budget(random: Random) -> Budget | None:
    return random.choice((None, Budget(random.randint(5, 20), 60, frozenset())))


def _approval(random: Random) -> ApprovalNeed | None:
    four_eyes = random.random() < 1 / 2
    return random.choice((None, ApprovalNeed(frozenset(SERVICES), four_eyes)))


def _tighter(random: Random, before: Rule, after: Rule) -> Rule:
    """What `before` has beside its conditions, as it is or tightened; its name may change."""
    budget, approval = before.budget, before.approval
    if budget is not None:
        budget = replace(budget, limit=budget.limit - random.randint(0, 4))
    if approval is not None and random.random() < 2 / 3:
        services = frozenset(random.sample(SERVICES, random.randint(1, 2)))
        approval = ApprovalNeed(services, approver_not_principal=True)
    ref = random.choice((before.ref, RuleRef("renamed", before.ref.rule)))
    return replace(after, budget=budget, approval=approval, ref=ref)


def _without_burden(policies: PolicySet) -> PolicySet:
    """All other rules cost nothing and are enforced.

    Of several rules the one with the least burden is asked, and of what is only observed a demand
    that is not met lets pass what one that cannot be met again would refuse.
    """
    free = (
        replace(rule, budget=None, approval=None, use_once=False, is_observed=False)
        for rule in policies.rules
    )
    return PolicySet(tuple(free), policies.routes, policies.limits)


def _replaced(policies: PolicySet, at: int, rule: Rule) -> PolicySet:
    rules = (*policies.rules[:at], rule, *policies.rules[at + 1 :])
    return PolicySet(rules, policies.routes, policies.limits)
