"""Finds the rules that cover a call without looking at the others.

The index is a tree per host, one level per path segment; a leaf leads by method, agent,
call and principal to its rules. A look-up costs a few steps per path segment and per claim value,
however many rules, agents, hosts, users or tools there are.

Rules of this file:
- `covering` gives exactly the rules whose patterns all match (tests compare it with a scan).
- Built once, then never changed; it decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, Protocol, TypeVar

from deputize.core.call_patterns import CallKeys, CallPattern
from deputize.core.matching import ANY, AgentPattern, PathPattern, PrincipalPattern
from deputize.core.model import Action, Call, Principal
from deputize.core.pattern_trees import AgentTree, PrincipalKeys, RouteTree
from deputize.core.spiffe import SpiffeId


class Indexed(Protocol):
    """The dimensions a rule is found by."""

    @property
    def agents(self) -> tuple[AgentPattern, ...]: ...  # noqa: D102
    @property
    def principals(self) -> tuple[PrincipalPattern, ...]: ...  # noqa: D102
    @property
    def hosts(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def methods(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def paths(self) -> tuple[PathPattern, ...]: ...  # noqa: D102
    @property
    def call(self) -> CallPattern | None: ...  # noqa: D102


RuleT = TypeVar("RuleT", bound=Indexed)
Entry = tuple[PrincipalPattern, RuleT]
Bucket = dict[str, dict[str, list[Entry[RuleT]]]]
Leaf = dict[str, dict[str, Bucket[RuleT]]]
"""method -> agent pattern -> key of call -> key of principal -> rules. One key of both would make
as many as their product, which a token with many groups and a batch of calls make large."""


class PolicyIndex(Generic[RuleT]):
    """All rules of all policies, found by call."""

    __slots__ = ("_agents", "_calls", "_principals", "_routes", "rules")

    def __init__(self, rules: Iterable[RuleT]) -> None:
        self.rules = tuple(rules)
        self._routes: RouteTree[Leaf[RuleT]] = RouteTree(dict)
        self._agents = AgentTree()
        self._principals = PrincipalKeys()
        self._calls = CallKeys()
        for rule in self.rules:
            self._add(rule)

    def covering(
        self, agent: SpiffeId, principal: Principal, action: Action, call: Call | None
    ) -> list[RuleT]:
        """The rules that cover the call, each once, in no particular order.

        `call` is one of those of the action, None for a request that has none.
        """
        leaves = self._routes.find(action.host, action.segments)
        if not leaves:
            return []
        agent_keys = self._agents.keys(agent)
        principal_keys = set(self._principals.keys(principal))
        call_keys = self._calls.keys(call)
        found: dict[int, RuleT] = {}
        for leaf in leaves:
            for method in (action.method, ANY):
                by_agent = leaf.get(method)
                if by_agent is None:
                    continue
                for agent_key in agent_keys:
                    bucket = by_agent.get(agent_key)
                    if bucket is None:
                        continue
                    for call_key in call_keys:
                        entries = bucket.get(call_key)
                        if entries is not None:
                            _collect(entries, principal_keys, principal, call, found)
        return list(found.values())

    def _add(self, rule: RuleT) -> None:
        call_keys = self._calls.add(rule.call)
        entries = [
            (key, (pattern, rule))
            for pattern in rule.principals
            for key in self._principals.add(pattern)
        ]
        for agent in rule.agents:
            self._agents.add(agent)
        for host in rule.hosts:
            for path in rule.paths:
                leaf = self._routes.leaf(host, path)
                for method in rule.methods:
                    by_agent = leaf.setdefault(method, {})
                    for agent in rule.agents:
                        bucket = by_agent.setdefault(agent.text, {})
                        for call_key in call_keys:
                            by_principal = bucket.setdefault(call_key, {})
                            for key, entry in entries:
                                by_principal.setdefault(key, []).append(entry)


def _collect(
    entries: dict[str, list[Entry[RuleT]]],
    keys: set[str],
    principal: Principal,
    call: Call | None,
    found: dict[int, RuleT],
) -> None:
    # As many steps as there are in the smaller of the two.
    few = keys if len(keys) <= len(entries) else [key for key in entries if key in keys]
    for key in few:
        for pattern, rule in entries.get(key, ()):
            if pattern.matches(principal) and (rule.call is None or rule.call.matches(call)):
                found[id(rule)] = rule
