"""Finds the rules that cover a call without looking at the others.

The index is a tree per host, one level per path segment; a leaf leads by method, agent and
principal to its rules. A lookup costs a few steps per path segment and per claim value, however
many rules, agents, hosts or users there are.

Rules of this file:
- `covering` gives exactly the rules whose patterns all match (tests compare it with a scan).
- Built once, then never changed; it decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, Protocol, TypeVar

from deputize.core.matching import (
    ANY,
    AgentPattern,
    PathPattern,
    PrincipalPattern,
    claim_values,
)
from deputize.core.model import Action, Principal
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


RuleT = TypeVar("RuleT", bound=Indexed)
Entry = tuple[PrincipalPattern, RuleT]
Bucket = dict[str, list[Entry[RuleT]]]
Leaf = dict[str, dict[str, Bucket[RuleT]]]
"""method -> agent pattern -> principal key -> rules."""


class _Node(Generic[RuleT]):
    __slots__ = ("exact", "literal", "parameter", "tail")

    def __init__(self) -> None:
        self.literal: dict[str, _Node[RuleT]] = {}
        self.parameter: _Node[RuleT] | None = None
        self.exact: Leaf[RuleT] = {}
        self.tail: Leaf[RuleT] = {}


class _AgentNode:
    __slots__ = ("children", "exact", "tail")

    def __init__(self) -> None:
        self.children: dict[str, _AgentNode] = {}
        self.exact: list[str] = []
        self.tail: list[str] = []


class PolicyIndex(Generic[RuleT]):
    """All rules of all policies, found by call."""

    __slots__ = ("_agents", "_claims", "_hosts", "rules")

    def __init__(self, rules: Iterable[RuleT]) -> None:
        self.rules = tuple(rules)
        self._hosts: dict[str, _Node[RuleT]] = {}
        self._agents = _AgentNode()
        self._claims: dict[str, set[str]] = {}
        for pattern in {pattern for rule in self.rules for pattern in rule.agents}:
            if not pattern.is_exact:
                self._add_agent(pattern)
        for rule in self.rules:
            self._add(rule)

    def covering(self, agent: SpiffeId, principal: Principal, action: Action) -> list[RuleT]:
        """The rules that cover the call, each once, in no particular order."""
        leaves = self._leaves(action)
        if not leaves:
            return []
        agent_keys = self._agent_keys(agent)
        principal_keys = self._principal_keys(principal)
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
                    for principal_key in principal_keys:
                        for pattern, rule in bucket.get(principal_key, ()):
                            if pattern.matches(principal):
                                found[id(rule)] = rule
        return list(found.values())

    def _leaves(self, action: Action) -> list[Leaf[RuleT]]:
        host, segments = action.host, action.segments
        found: list[Leaf[RuleT]] = []
        for key in (host, "*." + host.partition(".")[2], ANY):
            root = self._hosts.get(key)
            if root is not None:
                _walk(root, segments, found)
        return found

    def _agent_keys(self, agent: SpiffeId) -> list[str]:
        """The agent's own ID and every wildcard pattern that covers it."""
        keys = [agent.text]
        if not self._agents.children:
            return keys
        nodes = [self._agents]
        for segment in (agent.trust_domain.name, *agent.path[1:].split("/")):
            reached = [
                child
                for node in nodes
                for key in (segment, ANY)
                if (child := node.children.get(key)) is not None
            ]
            for node in nodes:
                keys.extend(node.tail)
            nodes = reached
        for node in nodes:
            keys.extend(node.exact)
        return keys

    def _principal_keys(self, principal: Principal) -> list[str]:
        issuer = principal.issuer
        keys = [_any_key(issuer), _subject_key(issuer, principal.subject)]
        for name in self._claims.get(issuer, ()):
            keys.extend(
                _claim_key(issuer, name, value)
                for value in set(claim_values(principal.claims.get(name)))
            )
        return keys

    def _add_agent(self, pattern: AgentPattern) -> None:
        node = self._agents
        for segment in pattern.segments:
            node = node.children.setdefault(segment, _AgentNode())
        (node.tail if pattern.has_tail else node.exact).append(pattern.text)

    def _add(self, rule: RuleT) -> None:
        for host in rule.hosts:
            root = self._hosts.setdefault(host, _Node())
            for path in rule.paths:
                leaf = _leaf_for(root, path)
                for method in rule.methods:
                    by_agent = leaf.setdefault(method, {})
                    for agent in rule.agents:
                        self._fill(by_agent.setdefault(agent.text, {}), rule)

    def _fill(self, bucket: Bucket[RuleT], rule: RuleT) -> None:
        for pattern in rule.principals:
            for key in self._keys_of(pattern):
                bucket.setdefault(key, []).append((pattern, rule))

    def _keys_of(self, pattern: PrincipalPattern) -> list[str]:
        """The keys a principal can be found by: its most telling dimension."""
        if pattern.subjects:
            return [_subject_key(pattern.issuer, subject) for subject in pattern.subjects]
        if pattern.claims:
            name = min(pattern.claims)
            self._claims.setdefault(pattern.issuer, set()).add(name)
            return [_claim_key(pattern.issuer, name, value) for value in pattern.claims[name]]
        return [_any_key(pattern.issuer)]


def _walk(root: _Node[RuleT], segments: tuple[str, ...], found: list[Leaf[RuleT]]) -> None:
    nodes = [root]
    for segment in segments:
        reached: list[_Node[RuleT]] = []
        for node in nodes:
            if node.tail:
                found.append(node.tail)
            child = node.literal.get(segment)
            if child is not None:
                reached.append(child)
            if node.parameter is not None and segment:
                reached.append(node.parameter)
        if not reached:
            return
        nodes = reached
    for node in nodes:
        if node.exact:
            found.append(node.exact)
        if node.tail:
            found.append(node.tail)


def _leaf_for(root: _Node[RuleT], path: PathPattern) -> Leaf[RuleT]:
    node = root
    for segment in path.segments:
        if segment == ANY:
            if node.parameter is None:
                node.parameter = _Node()
            node = node.parameter
        else:
            node = node.literal.setdefault(segment, _Node())
    return node.tail if path.has_tail else node.exact


def _any_key(issuer: str) -> str:
    return f"any\n{issuer}"


def _subject_key(issuer: str, subject: str) -> str:
    return f"sub\n{issuer}\n{subject}"


def _claim_key(issuer: str, name: str, value: str) -> str:
    return f"claim\n{issuer}\n{name}\n{value}"
