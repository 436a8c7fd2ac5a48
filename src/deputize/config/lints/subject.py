"""What lints look at: every rule with its place, and the service that uses it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from deputize.config.issuer_schema import Issuer
from deputize.config.lints.table import Lint
from deputize.config.policy_compiler import CompiledPolicies, SourcedPolicies, compile_policies
from deputize.config.policy_schema import PolicyRule
from deputize.config.problems import Problem
from deputize.config.schema import ServiceSpec
from deputize.config.strict_yaml import Document, Location
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


@dataclass(frozen=True, slots=True)
class Subject:
    """All that lints may look at. `now` is in seconds since the epoch."""

    rules: tuple[PlacedRule, ...]
    policies: CompiledPolicies
    service: ServiceSpec
    issuers: Mapping[str, Issuer]
    now: float


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
