"""All lints over all policies."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from deputize.config.lints.broad import find_broad
from deputize.config.lints.pairs import find_overlaps, find_redundant, find_shadowed
from deputize.config.lints.reach import find_unreachable
from deputize.config.lints.scopes import find_scopes_never_issued
from deputize.config.lints.subject import Subject, read_subject
from deputize.config.lints.surroundings import (
    find_budgets_in_memory,
    find_header_conditions,
    find_pointless,
)
from deputize.config.lints.table import Lint
from deputize.config.policy_compiler import SourcedPolicies
from deputize.config.problems import Problem
from deputize.config.schema import ServiceSpec

_FINDERS: Mapping[Lint, Callable[[Subject], Iterable[Problem]]] = {
    Lint.SHADOWED: find_shadowed,
    Lint.UNREACHABLE: find_unreachable,
    Lint.REDUNDANT: find_redundant,
    Lint.OVERLAP: find_overlaps,
    Lint.BROAD: find_broad,
    Lint.SCOPE_NEVER_ISSUED: find_scopes_never_issued,
    Lint.HEADER_CONDITION: find_header_conditions,
    Lint.BUDGET_MEMORY: find_budgets_in_memory,
    Lint.POINTLESS: find_pointless,
}


def lint(
    sources: SourcedPolicies, service: ServiceSpec, now: float, ignored: Collection[Lint] = ()
) -> list[Problem]:
    """What lints find in policies that are valid, by file and line; each names its lint first."""
    subject = read_subject(sources, service, now)
    found = {
        problem
        for code, find in _FINDERS.items()
        if code not in ignored
        for problem in find(subject)
    }
    return sorted(found)
