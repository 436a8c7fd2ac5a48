"""Trees that find what was filed under patterns without looking at all of it.

A look-up costs a few steps per path segment or claim value, however much was filed.

Rules of this file:
- A look-up gives everything filed under a pattern that matches, and may give more only where
  it says so: then the caller asks the pattern itself.
- Filled once, then never changed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from deputize.core.matching import (
    ANY,
    AgentPattern,
    PathPattern,
    PrincipalPattern,
    claim_values,
)
from deputize.core.model import Principal
from deputize.core.spiffe import SpiffeId

LeafT = TypeVar("LeafT")


class _Node(Generic[LeafT]):
    __slots__ = ("exact", "literal", "parameter", "tail")

    def __init__(self) -> None:
        self.literal: dict[str, _Node[LeafT]] = {}
        self.parameter: _Node[LeafT] | None = None
        self.exact: LeafT | None = None
        self.tail: LeafT | None = None


class RouteTree(Generic[LeafT]):
    """Leaves by host and path pattern: a tree per host, one level per path segment."""

    __slots__ = ("_hosts", "_make_leaf")

    def __init__(self, make_leaf: Callable[[], LeafT]) -> None:
        self._hosts: dict[str, _Node[LeafT]] = {}
        self._make_leaf = make_leaf

    def leaf(self, host: str, path: PathPattern) -> LeafT:
        """The leaf of exactly these patterns, made where there was none."""
        node = self._hosts.setdefault(host, _Node())
        for segment in path.segments:
            if segment == ANY:
                if node.parameter is None:
                    node.parameter = _Node()
                node = node.parameter
            else:
                node = node.literal.setdefault(segment, _Node())
        if path.has_tail:
            if node.tail is None:
                node.tail = self._make_leaf()
            return node.tail
        if node.exact is None:
            node.exact = self._make_leaf()
        return node.exact

    def find(self, host: str, segments: tuple[str, ...]) -> list[LeafT]:
        """The leaves whose patterns match this host and decoded path."""
        found: list[LeafT] = []
        if not self._hosts:
            return found
        for key in (host, "*." + host.partition(".")[2], ANY):
            root = self._hosts.get(key)
            if root is not None:
                _walk(root, segments, found)
        return found


def _walk(root: _Node[LeafT], segments: tuple[str, ...], found: list[LeafT]) -> None:
    nodes = [root]
    for segment in segments:
        reached: list[_Node[LeafT]] = []
        for node in nodes:
            if node.tail is not None:
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
        if node.exact is not None:
            found.append(node.exact)
        if node.tail is not None:
            found.append(node.tail)


class _AgentNode:
    __slots__ = ("children", "exact", "tail")

    def __init__(self) -> None:
        self.children: dict[str, _AgentNode] = {}
        self.exact: list[str] = []
        self.tail: list[str] = []


class AgentTree:
    """The texts of agent patterns."""

    __slots__ = ("_root", "_texts")

    def __init__(self) -> None:
        self._root = _AgentNode()
        self._texts: set[str] = set()

    def add(self, pattern: AgentPattern) -> None:
        """Files the pattern."""
        if pattern.is_exact or pattern.text in self._texts:
            return
        self._texts.add(pattern.text)
        node = self._root
        for segment in pattern.segments:
            node = node.children.setdefault(segment, _AgentNode())
        (node.tail if pattern.has_tail else node.exact).append(pattern.text)

    def keys(self, agent: SpiffeId) -> list[str]:
        """The agent's own ID and the text of every filed wildcard pattern that covers it."""
        keys = [agent.text]
        if not self._root.children:
            return keys
        nodes = [self._root]
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


class PrincipalKeys:
    """Keys of principal patterns: each leads by its most telling dimension only.

    So what is found under a key must still be asked whether it matches.
    """

    __slots__ = ("_claims",)

    def __init__(self) -> None:
        self._claims: dict[str, set[str]] = {}

    def add(self, pattern: PrincipalPattern) -> list[str]:
        """The keys to file the pattern under."""
        if pattern.subjects:
            return [_subject_key(pattern.issuer, subject) for subject in pattern.subjects]
        if pattern.claims:
            name = min(pattern.claims)
            self._claims.setdefault(pattern.issuer, set()).add(name)
            return [_claim_key(pattern.issuer, name, value) for value in pattern.claims[name]]
        return [_any_key(pattern.issuer)]

    def keys(self, principal: Principal) -> list[str]:
        """The keys under which every filed pattern that matches stands."""
        issuer = principal.issuer
        keys = [_any_key(issuer), _subject_key(issuer, principal.subject)]
        for name in self._claims.get(issuer, ()):
            keys.extend(
                _claim_key(issuer, name, value)
                for value in set(claim_values(principal.claims.get(name)))
            )
        return keys


def _any_key(issuer: str) -> str:
    return f"any\n{issuer}"


def _subject_key(issuer: str, subject: str) -> str:
    return f"sub\n{issuer}\n{subject}"


def _claim_key(issuer: str, name: str, value: str) -> str:
    return f"claim\n{issuer}\n{name}\n{value}"
