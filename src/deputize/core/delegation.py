"""Stage 3: show the mandate. The token's current actor must be the very peer.

Rules of this file:
- Only the current actor and the top-level claims may let a call in. Deeper hops are history: they
  can restrict (depth, members, cycle), never grant (RFC 8693 section 4.1).
- A chain that is too deep is refused, never cut off.
- What the mandate says is read in `mandate.py`; here is what becomes of it.

Sources: RFC 8693 sections 1.1, 4.1 and appendix A.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from deputize.core.model import Delegation, Flaw, FlawedMandate, Mandate, Peer, VerifiedToken
from deputize.core.reasons import Reason
from deputize.core.verdict import Denied

DEEPEST_CHAIN = 12
"""No configuration allows more hops."""

_REASONS: Mapping[Flaw, Reason] = {
    Flaw.ABSENT: Reason.DELEGATION_ABSENT,
    Flaw.MALFORMED: Reason.DELEGATION_MALFORMED,
    Flaw.ACTOR_UNMAPPED: Reason.DELEGATION_ACTOR_UNMAPPED,
    Flaw.ACTOR_MISMATCH: Reason.DELEGATION_ACTOR_MISMATCH,
    Flaw.ACTOR_NOT_AGENT: Reason.DELEGATION_ACTOR_NOT_AGENT,
    Flaw.CYCLE: Reason.DELEGATION_CYCLE,
}


@dataclass(frozen=True, slots=True)
class ChainRules:
    """What a chain may be: these rules only restrict.

    `max_depth` counts hops, the current actor included. Actors are named as the token names them
    or by their SPIFFE IDs: none of `forbidden` may stand in a chain, each of `required` must.
    """

    max_depth: int
    forbidden: frozenset[str]
    required: frozenset[str]


def bind(
    token: VerifiedToken, peer: Peer, rules: ChainRules, stopped: frozenset[str]
) -> Delegation:
    """Binds the token's mandate to the peer.

    `stopped` are the SPIFFE IDs of agents an operator has stopped.

    Raises:
        Denied: any `delegation.*` code.
    """
    mandate = token.mandate
    if isinstance(mandate, FlawedMandate):
        _check_depth(mandate.depth, rules)
        raise Denied(_REASONS[mandate.flaw], mandate.detail)
    _check_depth(len(mandate.chain), rules)
    if mandate.agent != peer.id:
        raise Denied(
            Reason.DELEGATION_ACTOR_MISMATCH,
            f"the token was given to {mandate.agent}, not to the peer",
        )
    _check_members(mandate, rules, stopped)
    return Delegation(token.principal, mandate.agent, mandate.chain, token.scopes, mandate.style)


def _check_depth(depth: int, rules: ChainRules) -> None:
    if depth > rules.max_depth:
        raise Denied(Reason.DELEGATION_TOO_DEEP, f"more than {rules.max_depth} hops")


def _check_members(mandate: Mandate, rules: ChainRules, stopped: frozenset[str]) -> None:
    names = mandate.names
    if not rules.forbidden.isdisjoint(names):
        raise Denied(Reason.DELEGATION_MEMBER_REFUSED, "a forbidden actor stands in the chain")
    if not stopped.isdisjoint(names):
        raise Denied(Reason.DELEGATION_MEMBER_REFUSED, "a stopped agent stands in the chain")
    if not rules.required <= mandate.vouched_names:
        missing = ", ".join(sorted(rules.required - mandate.vouched_names))
        raise Denied(Reason.DELEGATION_MEMBER_REFUSED, f"not in the chain: {missing}")
