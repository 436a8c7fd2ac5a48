"""Lints about what a rule relies on around it: `header-condition`, `budget-memory`, `pointless`."""

from __future__ import annotations

from collections.abc import Iterator

from deputize.config.lints.subject import Subject
from deputize.config.lints.table import Lint
from deputize.config.problems import Problem


def find_header_conditions(subject: Subject) -> Iterator[Problem]:
    """Conditions on headers, which the agent writes."""
    for placed in subject.rules:
        for position, when in enumerate(placed.written.when or ()):
            if when.header is not None:
                message = (
                    f"the agent chooses `{when.header}` unless the proxy sets or removes it: see "
                    "that yours does"
                )
                yield placed.finding(Lint.HEADER_CONDITION, message, "when", position, "header")


def find_budgets_in_memory(subject: Subject) -> Iterator[Problem]:
    """Budgets where each process counts for itself."""
    if subject.service.replay.store != "memory":
        return
    for placed in subject.rules:
        if placed.written.budget is not None:
            message = (
                "counted by each replica for itself, and anew after a start: `replay.store` is "
                "`memory`"
            )
            yield placed.finding(Lint.BUDGET_MEMORY, message, "budget")


def find_pointless(subject: Subject) -> Iterator[Problem]:
    """Bounds on chains that the service's own bound is below."""
    deepest = subject.service.delegation.max_chain_depth
    for placed in subject.rules:
        chain = placed.written.chain
        if chain is not None and chain.max_depth > deepest:
            message = f"bounds nothing: `delegation.maxChainDepth` is {deepest} already"
            yield placed.finding(Lint.POINTLESS, message, "chain", "maxDepth")
