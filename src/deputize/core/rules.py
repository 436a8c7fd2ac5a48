"""What a policy consists of, as values: rules, and all that belongs to them.

Rules of this file:
- Only data. The law is in `policy.py`, what a rule asks of a call it would grant in
  `policy_demands.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from deputize.core.approval import ApprovalNeed, ApprovalService
from deputize.core.call_patterns import CallPattern
from deputize.core.conditions import Condition
from deputize.core.limits import Limits
from deputize.core.matching import AgentPattern, PathPattern, PrincipalPattern
from deputize.core.model import Resource, RuleRef, Scope, StepUp, UpstreamFact
from deputize.core.pattern_trees import RouteTree
from deputize.core.policy_index import PolicyIndex


class RuleEffect(StrEnum):
    """What a rule does when it covers a call."""

    ALLOW = "allow"
    FORBID = "forbid"


class BudgetPart(StrEnum):
    """What a budget is counted apart for."""

    AGENT = "agent"
    PRINCIPAL = "principal"
    TOOL = "tool"


@dataclass(frozen=True, slots=True)
class Budget:
    """So many calls in each window of so many seconds, counted apart for each of `per`."""

    limit: int
    window: int
    per: frozenset[BudgetPart]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. It covers a call when each of its dimensions has a matching pattern.

    `call` is None for a rule that covers every call and requests without one. An allow covers an
    upgrade of the connection only to one of `upgrades`, a forbid to any. `conditions` must all
    hold. `scopes`, `max_depth` (hops, None for no limit of its own), `step_up`, `approval`,
    `budget`, `upstream_facts` and `use_once` belong to allow rules only. A refusal by a rule that
    `is_observed` is only recorded.
    """

    ref: RuleRef
    effect: RuleEffect
    agents: tuple[AgentPattern, ...]
    principals: tuple[PrincipalPattern, ...]
    hosts: tuple[str, ...]
    methods: tuple[str, ...]
    paths: tuple[PathPattern, ...]
    call: CallPattern | None
    upgrades: frozenset[str]
    conditions: tuple[Condition, ...]
    scopes: frozenset[Scope]
    max_depth: int | None
    step_up: StepUp | None
    approval: ApprovalNeed | None
    budget: Budget | None
    upstream_facts: tuple[UpstreamFact, ...]
    use_once: bool
    is_observed: bool


@dataclass(frozen=True, slots=True)
class Policies:
    """All policies in use. Where they are `is_observed`, no refusal of theirs is enforced.

    Approvals are read from the header of that lower-case name.
    """

    index: PolicyIndex[Rule]
    resources: RouteTree[list[Resource]]
    limits: Limits
    approval_header: str
    approval_services: Mapping[str, ApprovalService]
    is_observed: bool
