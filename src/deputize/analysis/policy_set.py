"""What a question is asked of: rules, routes and limits, as the compiled policies have them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from deputize.core.call_patterns import CallPattern
from deputize.core.limits import NO_LIMITS, Limits
from deputize.core.matching import AgentPattern, PathPattern, PrincipalPattern
from deputize.core.model import Resource
from deputize.core.rules import Rule


class RouteLike(Protocol):
    """A host and a path pattern with what stands behind them."""

    @property
    def host(self) -> str: ...  # noqa: D102
    @property
    def path(self) -> PathPattern: ...  # noqa: D102
    @property
    def resource(self) -> Resource: ...  # noqa: D102


class PolicySet(NamedTuple):
    """All policies in use together."""

    rules: tuple[Rule, ...]
    routes: tuple[RouteLike, ...] = ()
    limits: Limits = NO_LIMITS


class Asked(NamedTuple):
    """What a question names. Its patterns are told apart from all others; empty asks for all."""

    agents: tuple[AgentPattern, ...] = ()
    principals: tuple[PrincipalPattern, ...] = ()
    hosts: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    paths: tuple[PathPattern, ...] = ()
    calls: tuple[CallPattern, ...] = ()


NOTHING = Asked()


def call_patterns(sets: Iterable[PolicySet], asked: Asked) -> tuple[CallPattern, ...]:
    """Every pattern of calls, each once."""
    listed = [rule.call for policies in sets for rule in policies.rules if rule.call is not None]
    return tuple(dict.fromkeys((*listed, *asked.calls)))
