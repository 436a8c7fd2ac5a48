"""How large policies of a cluster may be: what many may write must not use up what all decide with.

Rules of this file:
- Counted is what the index of rules holds, and what is compared with each other: both grow with
  the product of lists, so a small object can be large.
- Files have no such bounds: whoever writes them writes the configuration, too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from deputize.config.policy_schema import DelegationPolicy, OnBehalfOf, PolicyRule
from deputize.config.problems import ConfigError, Problem
from deputize.config.strict_yaml import MAX_DEPTH, Document, Value


class Size(NamedTuple):
    """How large something is.

    `entries` are combinations of hosts, paths, methods, agents, principals and calls in rules,
    `routes` those of hosts and paths in resources.
    """

    entries: int
    routes: int


MOST_OF_ONE = Size(20_000, 1_000)
MOST_OF_ALL = Size(200_000, 4_000)
"""A service with these stays within the memory and the seconds that the chart gives it."""


def check_depth(document: Document) -> None:
    """Files are not deeper either.

    Raises:
        ConfigError: it nests deeper than `MAX_DEPTH`.
    """
    level: list[Value] = [document.value]
    for _depth in range(MAX_DEPTH + 1):
        level = [inner for each in level for inner in _inside(each)]
        if not level:
            return
    raise ConfigError([document.problem(("spec",), f"nested deeper than {MAX_DEPTH}")])


def check_size(policy: DelegationPolicy, document: Document) -> None:
    """Whether one policy is small enough.

    Raises:
        ConfigError: it is not.
    """
    problems = _above(_size_of(policy), MOST_OF_ONE, document, "")
    if problems:
        raise ConfigError(problems)


def check_sizes(policies: Sequence[tuple[DelegationPolicy, Document]]) -> None:
    """Whether all of them together are; those are too many with which it is no more so.

    Raises:
        ConfigError: they are not.
    """
    problems: list[Problem] = []
    total = Size(0, 0)
    for policy, document in policies:
        size = _size_of(policy)
        with_it = Size(*(map(sum, zip(total, size, strict=True))))
        found = _above(with_it, MOST_OF_ALL, document, " of all objects together")
        problems += found
        total = total if found else with_it
    if problems:
        raise ConfigError(problems)


def _above(size: Size, most: Size, document: Document, whose: str) -> list[Problem]:
    return [
        document.problem(("spec", key), f"{count} {what}{whose}, at most {bound} are allowed")
        for key, what, count, bound in (
            ("rules", "combinations of hosts, paths and so on", size.entries, most.entries),
            ("resources", "combinations of hosts and paths", size.routes, most.routes),
        )
        if count > bound
    ]


def _size_of(policy: DelegationPolicy) -> Size:
    spec = policy.spec
    routes = sum(len(each.hosts) * len(each.paths) for each in spec.resources)
    return Size(sum(map(_entries, spec.rules)), routes)


def _entries(rule: PolicyRule) -> int:
    lists = (rule.hosts, rule.paths, rule.methods, rule.agents)
    return math.prod(map(len, lists)) * sum(map(_principals, rule.on_behalf_of)) * _calls(rule)


def _principals(entry: OnBehalfOf) -> int:
    if entry.subjects:
        return len(entry.subjects)
    return sum(map(len, (entry.claims or {"": []}).values())) or 1


def _calls(rule: PolicyRule) -> int:
    if rule.mcp is not None:
        return len(rule.mcp.methods) * len(rule.mcp.names or [""])
    if rule.a2a is not None:
        return len(rule.a2a.operations)
    return len(rule.grpc.methods) if rule.grpc is not None else 1


def _inside(value: Value) -> Sequence[Value]:
    if isinstance(value, dict):
        return tuple(value.values())
    return value if isinstance(value, list) else ()
