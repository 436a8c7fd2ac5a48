"""What is revoked, as one value: tokens, principals, agents and issuers in deny lists.

Rules of this file:
- Lists are only ever added up: what one of them revokes is revoked.
- A look-up costs the same however long the lists are.

Sources: RFC 7519 sections 4.1.2 and 4.1.7; RFC 9700 section 4.14 (revocation); OpenID CAEP 1.0
(what is revoked: sessions, principals, everything before a moment).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeVar

KeyT = TypeVar("KeyT")


@dataclass(frozen=True, slots=True)
class Revocations:
    """Deny lists put together. Times are seconds since the epoch.

    `tokens` are issuer and token identifier, `principals` issuer and subject, `agents` SPIFFE IDs
    of agents that are stopped. Of a cut-off all tokens issued before it are revoked. After
    `usable_until` nobody knows what is revoked.
    """

    tokens: frozenset[tuple[str, str]]
    principals: frozenset[tuple[str, str]]
    agents: frozenset[str]
    issuers: frozenset[str]
    issuer_cutoffs: Mapping[str, float]
    principal_cutoffs: Mapping[tuple[str, str], float]
    agent_cutoffs: Mapping[str, float]
    usable_until: float

    @property
    def is_empty(self) -> bool:
        """No token is revoked by any list."""
        return not (
            self.tokens
            or self.principals
            or self.issuers
            or self.issuer_cutoffs
            or self.principal_cutoffs
            or self.agent_cutoffs
        )

    def why_token_revoked(self, issuer: str, token_id: str, subject: str, issued_at: float) -> str:
        """Why the token is revoked; empty where it is not."""
        if (issuer, token_id) in self.tokens:
            return "the token stands in a deny list"
        if (issuer, subject) in self.principals:
            return "its principal stands in a deny list"
        if issuer in self.issuers:
            return "its issuer stands in a deny list"
        if issued_at < self.issuer_cutoffs.get(issuer, 0.0):
            return "issued before a cut-off of its issuer"
        if issued_at < self.principal_cutoffs.get((issuer, subject), 0.0):
            return "issued before a cut-off of its principal"
        return ""


NOTHING_REVOKED = Revocations(
    frozenset(), frozenset(), frozenset(), frozenset(), {}, {}, {}, math.inf
)


def merge(parts: Iterable[Revocations]) -> Revocations:
    """All of them at once: every entry, the latest of cut-offs, the earliest end."""
    lists = list(parts)
    return Revocations(
        tokens=frozenset().union(*(part.tokens for part in lists)),
        principals=frozenset().union(*(part.principals for part in lists)),
        agents=frozenset().union(*(part.agents for part in lists)),
        issuers=frozenset().union(*(part.issuers for part in lists)),
        issuer_cutoffs=_latest(part.issuer_cutoffs for part in lists),
        principal_cutoffs=_latest(part.principal_cutoffs for part in lists),
        agent_cutoffs=_latest(part.agent_cutoffs for part in lists),
        usable_until=min((part.usable_until for part in lists), default=math.inf),
    )


def _latest(parts: Iterable[Mapping[KeyT, float]]) -> Mapping[KeyT, float]:
    latest: dict[KeyT, float] = {}
    for part in parts:
        for key, moment in part.items():
            latest[key] = max(moment, latest.get(key, moment))
    return MappingProxyType(latest)
