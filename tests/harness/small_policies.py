"""Random policies over a small alphabet, in worlds whose requests can all be tried.

A world varies some dimensions widely and leaves the others nearly alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from random import Random
from typing import NamedTuple, TypeVar

from deputize.analysis.policy_set import PolicySet
from deputize.core.approval import ApprovalNeed
from deputize.core.call_patterns import CallPattern
from deputize.core.case import Fact, Source
from deputize.core.comparisons import Compares, Exists, Operator
from deputize.core.conditions import Condition
from deputize.core.limits import AgentCeiling, Limits, PrincipalScopes
from deputize.core.matching import (
    PathPattern,
    PrincipalPattern,
    find_parameter,
    parse_agent_pattern,
    parse_path_pattern,
)
from deputize.core.model import Binding, Protocol, Resource, RuleRef, Scope, StepUp
from deputize.core.rules import Budget, Rule
from tests.harness.small_requests import ISSUERS, SERVICES, Point, budget_names, every_request
from tests.harness.small_values import HEADER_TEXTS, OF_HEADERS, VALUES
from tests.harness.world import make_principal, make_rule

ValueT = TypeVar("ValueT")
AGENTS = ("td/x", "td/y", "td/*", "td/**", "td/x/*", "td/x/**", "td2/**")
PATHS = (
    "/a",
    "/a/",
    "/b",
    "/{id}",
    "/a/{id}",
    "/{x}/b",
    "/a/b",
    "/**",
    "/a/**",
    "/a/b/{id}",
    "/a/b/",
)
CALLS = (
    CallPattern(Protocol.MCP, ("tools/call",), ("get",)),
    CallPattern(Protocol.MCP, ("tools/call",), ("get*", "put")),
    CallPattern(Protocol.MCP, ("tools/*",), ()),
    CallPattern(Protocol.MCP, ("*",), ("get_*",)),
    CallPattern(Protocol.GRPC, ("a/b",), ()),
    CallPattern(Protocol.GRPC, ("a/*",), ()),
    CallPattern(Protocol.GRPC, ("*",), ()),
    CallPattern(Protocol.A2A, ("SendMessage",), ()),
    CallPattern(Protocol.A2A, ("*",), ()),
)
RESOURCES = (
    Resource(Protocol.MCP, Binding.BODY, 0, ""),
    Resource(Protocol.GRPC, None, 0, ""),
    Resource(Protocol.A2A, Binding.JSON_RPC, 0, ""),
    Resource(None, None, 0, "https://a.t/metadata"),
)
WORLDS = (
    ("agents", "hosts", "paths"),
    ("agents", "people", "methods", "upgrades"),
    ("people", "claims", "scopes"),
    ("scopes", "depths", "logins"),
    ("calls", "methods", "paths"),
    ("claims", "x-a", "x-b", "agents"),
    ("x-a", "budgets", "unused"),
    ("paths", "path condition", "x-a"),
    ("approval", "budgets", "x-b", "upgrades"),
    ("mixed", "x-b"),
)


class Route(NamedTuple):
    """As in `config/resources.py`."""

    host: str
    path: PathPattern
    resource: Resource


class World:
    """Policies and requests that differ in a few dimensions."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)  # noqa: S311 - a fixed pool of examples
        self.wide = frozenset(WORLDS[seed % len(WORLDS)])

    def requests(self, *sets: PolicySet) -> Iterator[Point]:
        """Every request of this world."""
        return every_request(self.wide, budget_names(*sets))

    def policies(self) -> PolicySet:
        """Random rules, routes and limits."""
        count = self._random.randint(1, 3 if "budgets" in self.wide else 5)
        rules = tuple(self._rule(number) for number in range(count))
        return PolicySet(rules, self._routes(), self._limits())

    def changed(self, policies: PolicySet) -> PolicySet:
        """The same with some rules taken, added or changed."""
        rules = [rule for rule in policies.rules if self._is_drawn(3 / 4)]
        rules += [self._rule(number + 10) for number in range(self._random.randint(0, 2))]
        rules = [self._with_other_numbers(rule) for rule in rules]
        if self._is_drawn(1 / 4) and rules:
            rules[0] = replace(rules[0], is_observed=not rules[0].is_observed)
        return PolicySet(
            tuple(rules),
            policies.routes if self._is_drawn(3 / 4) else self._routes(),
            policies.limits if self._is_drawn(3 / 4) else self._limits(),
        )

    def _rule(self, number: int) -> Rule:
        effect = "forbid" if self._is_drawn(1 / 3) else "allow"
        paths: Sequence[str] = self._some("paths", PATHS, "/**")
        if "calls" in self.wide:
            paths = self._pick(["/**"], ["/a"], ["/a/{id}", "/a"], ["/{x}/{y}"])
        if "path condition" in self.wide:
            paths = self._pick(["/{id}"], ["/a/{id}"], ["/{id}/b", "/a/{id}"], ["/{id}/{x}"])
        rule = make_rule(
            f"p/{effect}{number}",
            effect=effect,
            agents=[f"spiffe://{agent}" for agent in self._some("agents", AGENTS, "td/**")],
            principals=[self._principal() for _ in range(self._random.randint(1, 2))],
            hosts=self._some("hosts", ("a.t", "b.t", "*.t", "*", "*.b.t"), "*"),
            methods=self._some("methods", ("GET", "POST", "*"), "*"),
            paths=paths,
            scopes=(),
            call=self._pick(None, *CALLS) if "calls" in self.wide else None,
            conditions=self._conditions(paths),
            is_observed=self._is_drawn(1 / 5),
        )
        return rule if effect == "forbid" else self._with_demands(rule, number)

    def _with_demands(self, rule: Rule, number: int) -> Rule:
        contexts: tuple[str, ...] = self._pick(("gold",), ("gold", "silver"), ())
        age = self._pick(None, 100) if contexts else 100
        return replace(
            rule,
            scopes=self._scopes(),
            max_depth=self._pick(None, 1, 2, 3) if "depths" in self.wide else None,
            upgrades=frozenset(self._some("upgrades", ("websocket", "other"), "other")),
            step_up=StepUp(contexts, age) if self._has("logins", 1 / 2) else None,
            approval=self._approval() if self._has("approval", 1 / 2) else None,
            budget=Budget(1 + number % 2, 60, frozenset()) if self._has("budgets", 1 / 2) else None,
            use_once=self._has("unused", 1 / 4),
        )

    def _conditions(self, paths: Sequence[str]) -> list[Condition]:
        found: list[Condition] = [
            self._header_condition(name) for name in ("x-a", "x-b") if self._has(name, 1 / 2)
        ]
        if "mixed" in self.wide:
            found += (self._mixed_condition() for _ in range(self._random.randint(0, 2)))
        if self._has("path condition", 2 / 3):
            patterns = [parse_path_pattern(path) for path in paths]
            positions = [(path, find_parameter(path, "id") or 0) for path in patterns]
            fact = Fact(Source.PATH, ("id",), tuple(positions))
            operator = self._pick(Operator.EQUALS, Operator.NONE_OF)
            found.append(Compares(fact, operator, ("a",)))
        self._random.shuffle(found)
        return found

    def _header_condition(self, name: str) -> Condition:
        fact = Fact(Source.HEADER, (name,))
        if self._is_drawn(1 / 6):
            return Exists(fact, self._is_drawn(1 / 2))
        return Compares(fact, self._pick(*OF_HEADERS), self._pick(*HEADER_TEXTS))

    def _mixed_condition(self) -> Condition:
        fact = Fact(Source.CLAIM, ("mixed",))
        if self._is_drawn(1 / 10):
            return Exists(fact, self._is_drawn(1 / 2))
        operator = self._pick(*VALUES)
        return Compares(fact, operator, self._pick(*VALUES[operator]))

    def _approval(self) -> ApprovalNeed:
        services = self._random.sample(SERVICES, self._random.randint(1, 2))
        return ApprovalNeed(frozenset(services), approver_not_principal=self._is_drawn(1 / 3))

    def _with_other_numbers(self, rule: Rule) -> Rule:
        """The same rule with another budget, approval or condition, sometimes."""
        if rule.budget is not None and self._is_drawn(1 / 2):
            budget = replace(rule.budget, limit=self._pick(1, 2))
            rule = replace(
                rule, budget=budget, ref=self._pick(rule.ref, RuleRef("q", rule.ref.rule))
            )
        if rule.approval is not None and self._is_drawn(1 / 2):
            rule = replace(rule, approval=self._approval())
        if rule.conditions and "mixed" in self.wide and self._is_drawn(1 / 2):
            rule = replace(rule, conditions=(*rule.conditions[1:], self._mixed_condition()))
        return rule

    def _principal(self) -> PrincipalPattern:
        issuer = self._pick(*ISSUERS) if "people" in self.wide else ISSUERS[0]
        subjects = (
            self._some("people", ("alice", "bob"), "alice") if self._has("people", 1 / 3) else ()
        )
        claims = {
            name: self._some("claims", values, values[0])
            for name, values in (("groups", ("sales", "staff")), ("level", ("1", "2")))
            if self._has("claims", 1 / 2)
        }
        return make_principal(issuer, subjects=subjects, claims=claims)

    def _routes(self) -> tuple[Route, ...]:
        if "calls" not in self.wide or self._is_drawn(1 / 6):
            return ()
        paths = self._pick(("/a", "/b/**"), ("/**",), ("/a/{id}",), ("/a/b", "/a/c", "/b"))
        resource = self._pick(*RESOURCES)
        return tuple(Route("a.t", parse_path_pattern(path), resource) for path in paths)

    def _limits(self) -> Limits:
        ceilings = [
            AgentCeiling((parse_agent_pattern(f"spiffe://{self._pick(*AGENTS)}"),), self._scopes())
            for _ in range(self._random.randint(0, 2))
        ]
        delegable = [
            PrincipalScopes((self._principal(),), self._scopes())
            for _ in range(self._pick(0, 0, 1, 2))
        ]
        return Limits(ceilings, delegable)

    def _scopes(self) -> frozenset[Scope]:
        if "scopes" in self.wide:
            return frozenset(
                map(Scope, self._random.sample(("read", "write"), self._pick(0, 1, 2)))
            )
        return frozenset(map(Scope, self._pick((), ("read",), ("read",))))

    def _has(self, name: str, chance: float) -> bool:
        return name in self.wide and self._is_drawn(chance)

    def _is_drawn(self, chance: float) -> bool:
        return self._random.random() < chance

    def _pick(self, *values: ValueT) -> ValueT:
        return self._random.choice(values)

    def _some(self, name: str, values: Sequence[str], otherwise: str) -> list[str]:
        if name not in self.wide:
            return [otherwise]
        return self._random.sample(values, self._random.randint(1, 2))
