"""Law: rules that lints call useless can be taken away, and the same calls are allowed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from deputize.config.lints.pairs import find_redundant, find_shadowed
from deputize.config.lints.reach import find_unreachable
from deputize.config.lints.subject import PlacedRule, Subject
from deputize.config.policy_compiler import CompiledPolicies
from deputize.config.policy_schema import PolicyRule
from deputize.config.resources import Resources
from deputize.config.strict_yaml import Document
from deputize.core.case import Case
from deputize.core.limits import Limits
from deputize.core.model import RuleRef, Scope
from deputize.core.rules import Rule
from deputize.core.verdict import Effect
from tests.harness.linted import complete, make_service
from tests.harness.policy_strategies import cases, conditions, limits, mixed_policies
from tests.harness.rulings import answer
from tests.harness.world import NOW, make_policies

THOROUGH = settings(max_examples=400, deadline=None)
WRITTEN = PolicyRule.model_validate(complete({}))


@st.composite
def near_policies(draw: st.DrawFn) -> list[Rule]:
    """Rules, with others that cover a part of one of them, or ask for more."""
    rules = draw(mixed_policies)
    if not rules:
        return rules
    near = []
    for number in range(draw(st.integers(1, 6))):
        rule = draw(st.sampled_from(rules))
        is_observed = draw(st.sampled_from([rule.is_observed, rule.is_observed, False]))
        needs_more = bool(rule.scopes) or draw(st.booleans())
        changed = replace(
            rule,
            # By its name before the other, or behind it.
            ref=RuleRef(rule.ref.policy, f"{draw(st.sampled_from(['a', 'z']))}{number}"),
            paths=rule.paths[: draw(st.integers(1, 4))],
            hosts=rule.hosts[: draw(st.integers(1, 2))],
            is_observed=is_observed,
            scopes=rule.scopes | {Scope("read")} if needs_more else rule.scopes,
        )
        if draw(st.booleans()):
            changed = replace(changed, conditions=(*rule.conditions, draw(conditions)))
        near.append(changed)
    return draw(st.permutations([*rules, *near]))


def subject(rules: Sequence[Rule], limited: Limits) -> Subject:
    """The rules as lints see them; the place of each is its position."""
    document = Document("policy.yaml", None, {})
    placed = tuple(
        PlacedRule(rule, WRITTEN, document, (number,)) for number, rule in enumerate(rules)
    )
    nothing = Resources([])
    compiled = CompiledPolicies(tuple(rules), nothing.tree, (), limited)
    return Subject(placed, compiled, make_service(), {}, NOW)


@THOROUGH
@given(near_policies(), limits, st.lists(cases, min_size=30, max_size=30))
def test_useless_rules_can_be_taken_away(
    rules: list[Rule], limited: Limits, asked: list[Case]
) -> None:
    seen = subject(rules, limited)
    found = [*find_shadowed(seen), *find_redundant(seen)]
    useless = {problem.pointer for problem in found}
    kept = [rule for number, rule in enumerate(rules) if f"[{number}]" not in useless]
    before, after = (make_policies(each, limits=limited) for each in (rules, kept))
    for case in asked:
        assert answer(case, before).effect is answer(case, after).effect


@THOROUGH
@given(near_policies(), limits, st.lists(cases, min_size=30, max_size=30))
def test_what_is_unreachable_never_grants(
    rules: list[Rule], limited: Limits, asked: list[Case]
) -> None:
    seen = subject(rules, limited)
    places = {problem.pointer.partition(".")[0] for problem in find_unreachable(seen)}
    dead = [rule for number, rule in enumerate(rules) if f"[{number}]" in places]
    enforced = [replace(rule, is_observed=False) for rule in dead]
    for case in asked:
        assert answer(case, make_policies(enforced, limits=limited)).effect is Effect.DENY
