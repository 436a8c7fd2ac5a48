"""Whether one pattern covers all that another one covers, and whether two can cover the same.

Rules of this file:
- `covers` is never true where something is covered by the second and not by the first. Of several
  patterns one must cover a pattern alone: what two cover together is not seen.
- `overlap` is never false where something is covered by both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from deputize.config.resources import hosts_overlap, paths_overlap
from deputize.core.call_patterns import CallPattern
from deputize.core.matching import ANY, AgentPattern, PathPattern, PrincipalPattern, host_matches
from deputize.core.rules import Rule

PatternT = TypeVar("PatternT")


def rule_covers(first: Rule, second: Rule) -> bool:
    """Whether the patterns of the first cover every call that those of the second cover.

    Upgrades of the connection, conditions and demands are not looked at.
    """
    return (
        _each(first.principals, second.principals, principal_covers)
        and _each(first.hosts, second.hosts, host_covers)
        and _each(first.methods, second.methods, method_covers)
        and _each(first.agents, second.agents, agent_covers)
        and _each(first.paths, second.paths, path_covers)
        and call_covers(first.call, second.call)
    )


def rules_overlap(first: Rule, second: Rule) -> bool:
    """Whether one call can be covered by the patterns of both."""
    return (
        _some(first.agents, second.agents, agents_overlap)
        and _some(first.paths, second.paths, paths_overlap)
        and _some(first.hosts, second.hosts, hosts_overlap)
        and _some(first.methods, second.methods, methods_overlap)
        and _some(first.principals, second.principals, principals_overlap)
        and calls_overlap(first.call, second.call)
    )


def agent_covers(first: AgentPattern, second: AgentPattern) -> bool:
    """Whether the first covers every agent that the second covers."""
    if first.has_tail:
        # A tail stands for one further segment at least.
        shortest = len(second.segments) + second.has_tail
        if shortest <= len(first.segments):
            return False
    elif second.has_tail or len(first.segments) != len(second.segments):
        return False
    return all(
        one in {ANY, other} for one, other in zip(first.segments, second.segments, strict=False)
    )


def agents_overlap(first: AgentPattern, second: AgentPattern) -> bool:
    """Whether both can cover one agent."""
    lengths = (len(first.segments), len(second.segments))
    if lengths[0] < lengths[1] and not first.has_tail:
        return False
    if lengths[1] < lengths[0] and not second.has_tail:
        return False
    if lengths[0] == lengths[1] and first.has_tail != second.has_tail:
        return False
    return all(
        one == other or ANY in (one, other)
        for one, other in zip(first.segments, second.segments, strict=False)
    )


def principal_covers(first: PrincipalPattern, second: PrincipalPattern) -> bool:
    """Whether the first covers every principal that the second covers."""
    if first.issuer != second.issuer:
        return False
    if first.subjects and not (second.subjects and second.subjects <= first.subjects):
        return False
    return all(
        name in second.claims and second.claims[name] <= values
        for name, values in first.claims.items()
    )


def principals_overlap(first: PrincipalPattern, second: PrincipalPattern) -> bool:
    """Whether both can cover one principal; a claim may have many values."""
    if first.issuer != second.issuer:
        return False
    return not (first.subjects and second.subjects) or not first.subjects.isdisjoint(
        second.subjects
    )


def host_covers(first: str, second: str) -> bool:
    """Whether the first covers every host that the second covers."""
    if second == ANY:
        return first == ANY
    return first == second or host_matches(first, second)


def method_covers(first: str, second: str) -> bool:
    """Whether the first is every method, or the second."""
    return first in {ANY, second}


def methods_overlap(first: str, second: str) -> bool:
    """Whether both can be one method."""
    return first == second or ANY in (first, second)


def path_covers(first: PathPattern, second: PathPattern) -> bool:
    """Whether the first covers every path that the second covers."""
    if first.has_tail:
        if len(second.segments) < len(first.segments):
            return False
    elif second.has_tail or len(first.segments) != len(second.segments):
        return False
    return all(
        other != "" if one == ANY else one == other
        for one, other in zip(first.segments, second.segments, strict=False)
    )


def call_covers(first: CallPattern | None, second: CallPattern | None) -> bool:
    """Whether the first covers every call, and request without one, that the second covers."""
    if first is None:
        return True
    return (
        second is not None
        and first.protocol is second.protocol
        and _each(first.methods, second.methods, text_covers)
        and (not first.names or _each(first.names, second.names or (ANY,), text_covers))
    )


def calls_overlap(first: CallPattern | None, second: CallPattern | None) -> bool:
    """Whether both can cover one call."""
    if first is None or second is None:
        return True
    return (
        first.protocol is second.protocol
        and _some(first.methods, second.methods, texts_overlap)
        and _some(first.names or (ANY,), second.names or (ANY,), texts_overlap)
    )


def text_covers(first: str, second: str) -> bool:
    """Whether the first covers every text that the second covers."""
    if not first.endswith(ANY):
        return first == second
    return second.removesuffix(ANY).startswith(first[:-1])


def texts_overlap(first: str, second: str) -> bool:
    """Whether both can cover one text."""
    return text_covers(first, second) or text_covers(second, first)


def _each(
    first: Iterable[PatternT],
    second: Iterable[PatternT],
    covers: Callable[[PatternT, PatternT], bool],
) -> bool:
    known = tuple(first)
    return all(any(covers(one, other) for one in known) for other in second)


def _some(
    first: Iterable[PatternT],
    second: Iterable[PatternT],
    overlap: Callable[[PatternT, PatternT], bool],
) -> bool:
    known = tuple(second)
    return any(overlap(one, other) for one in first for other in known)
