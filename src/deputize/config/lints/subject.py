"""What lints look at: every rule with its place, and the service that uses it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from deputize.config.containment import rules_overlap
from deputize.config.issuer_schema import Issuer
from deputize.config.lints.table import Lint
from deputize.config.policy_compiler import CompiledPolicies, SourcedPolicies, compile_policies
from deputize.config.policy_schema import PolicyRule
from deputize.config.problems import Problem
from deputize.config.schema import ServiceSpec
from deputize.config.strict_yaml import Document, Location
from deputize.core.matching import ANY
from deputize.core.rules import Rule, RuleEffect


@dataclass(frozen=True, slots=True)
class PlacedRule:
    """A rule, as the core has it and as somebody wrote it, and where it stands."""

    rule: Rule
    written: PolicyRule
    document: Document
    place: Location

    @property
    def is_allow(self) -> bool:
        """Whether it grants."""
        return self.rule.effect is RuleEffect.ALLOW

    def finding(self, lint: Lint, message: str, *where: str | int) -> Problem:
        """What a lint has to say of the rule, or of a part of it."""
        return self.document.problem((*self.place, *where), f"[{lint.value}] {message}")


@dataclass(frozen=True)
class Subject:
    """All that lints may look at. `now` is in seconds since the epoch."""

    rules: tuple[PlacedRule, ...]
    policies: CompiledPolicies
    service: ServiceSpec
    issuers: Mapping[str, Issuer]
    now: float

    @cached_property
    def meetings(self) -> list[tuple[PlacedRule, list[PlacedRule]]]:
        """Each rule with the others that cover some of the same calls."""
        met: list[list[int]] = [[] for _ in self.rules]
        for first, second in self._at_one_host():
            if rules_overlap(self.rules[first].rule, self.rules[second].rule):
                met[first].append(second)
                met[second].append(first)
        return [
            (placed, [self.rules[other] for other in others])
            for placed, others in zip(self.rules, met, strict=True)
        ]

    def _at_one_host(self) -> Iterator[tuple[int, int]]:
        """Pairs of positions; all of those whose rules cover one host are among them."""
        at_host: dict[str, set[int]] = defaultdict(set)
        wild: set[int] = set()
        for second, placed in enumerate(self.rules):
            is_wild = any(ANY in host for host in placed.rule.hosts)
            near = set(range(second)) if is_wild else set(wild)
            for host in placed.rule.hosts:
                near |= at_host[host]
                at_host[host].add(second)
            near.discard(second)
            if is_wild:
                wild.add(second)
            for first in sorted(near):
                yield first, second


def read_subject(sources: SourcedPolicies, service: ServiceSpec, now: float) -> Subject:
    """The same policies compiled again, each rule with its place."""
    compiled, _ = compile_policies(sources)
    written = [
        (rule, document, ("spec", "rules", position))
        for policy, document in sources
        for position, rule in enumerate(policy.spec.rules)
    ]
    placed = (PlacedRule(rule, *where) for rule, where in zip(compiled.rules, written, strict=True))
    issuers = {entry.issuer: entry for entry in service.issuers}
    return Subject(tuple(placed), compiled, service, issuers, now)
