"""What may be delegated at all: the ceiling of an agent, and what a principal may hand on.

Effective scopes are those of the token AND those of every ceiling of the agent AND those its
principal may delegate AND those the rule needs (`policy.py`).

Rules of this file:
- Limits only take away. All ceilings that name an agent apply; an agent without one is not
  limited here.
- What several entries let a principal delegate adds up, as its groups do. Principals of an issuer
  that no entry names are not limited here; those of one that is named may delegate nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from deputize.core.matching import AgentPattern, PrincipalPattern
from deputize.core.model import Delegation, Principal, Scope
from deputize.core.pattern_trees import AgentTree, PrincipalKeys
from deputize.core.spiffe import SpiffeId


@dataclass(frozen=True, slots=True)
class AgentCeiling:
    """The most that these agents may have, whatever their tokens say."""

    agents: tuple[AgentPattern, ...]
    scopes: frozenset[Scope]


@dataclass(frozen=True, slots=True)
class PrincipalScopes:
    """Scopes that these principals may delegate."""

    principals: tuple[PrincipalPattern, ...]
    scopes: frozenset[Scope]


class Limits:
    """All limits, found by agent and principal without looking at the others."""

    __slots__ = (
        "_agent_scopes",
        "_agents",
        "_principal_scopes",
        "_principals",
        "agent_ceilings",
        "limited_issuers",
        "principal_scopes",
    )

    def __init__(
        self, ceilings: Iterable[AgentCeiling], delegable: Iterable[PrincipalScopes]
    ) -> None:
        self.agent_ceilings = tuple(ceilings)
        self.principal_scopes = tuple(delegable)
        self._agents = AgentTree()
        self._agent_scopes: dict[str, frozenset[Scope]] = {}
        for ceiling in self.agent_ceilings:
            for pattern in ceiling.agents:
                self._agents.add(pattern)
                known = self._agent_scopes.get(pattern.text, ceiling.scopes)
                self._agent_scopes[pattern.text] = known & ceiling.scopes
        self._principals = PrincipalKeys()
        self._principal_scopes: dict[str, list[tuple[PrincipalPattern, frozenset[Scope]]]] = {}
        for entry in self.principal_scopes:
            for principal in entry.principals:
                for key in self._principals.add(principal):
                    filed = self._principal_scopes.setdefault(key, [])
                    filed.append((principal, entry.scopes))
        self.limited_issuers = frozenset(
            principal.issuer for entry in self.principal_scopes for principal in entry.principals
        )

    def apply(self, delegation: Delegation) -> frozenset[Scope]:
        """The scopes of the delegation that its agent may have and its principal delegate."""
        scopes = delegation.scopes
        if not (self.agent_ceilings or self.limited_issuers):
            return scopes
        if self.agent_ceilings:
            scopes = self._within_ceilings(delegation.agent, scopes)
        if delegation.principal.issuer in self.limited_issuers:
            scopes &= self._delegable(delegation.principal)
        return scopes

    def _within_ceilings(self, agent: SpiffeId, scopes: frozenset[Scope]) -> frozenset[Scope]:
        for key in self._agents.keys(agent):
            ceiling = self._agent_scopes.get(key)
            if ceiling is not None:
                scopes &= ceiling
        return scopes

    def _delegable(self, principal: Principal) -> frozenset[Scope]:
        return frozenset[Scope]().union(
            *(
                scopes
                for key in self._principals.keys(principal)
                for pattern, scopes in self._principal_scopes.get(key, ())
                if pattern.matches(principal)
            )
        )


NO_LIMITS = Limits((), ())
