"""Stage 3: show the mandate. The token's current actor must be the very peer.

Rules of this file:
- The outermost `act` is the current actor; only it and the top-level claims may let a call in.
  Deeper hops are history: they can restrict (depth, cycle), never grant (RFC 8693 section 4.1).
- Members of `act` that are not identities (`exp`, `aud`, `scope`) are never read.
- A chain that is too deep is refused, never cut off.

Sources: RFC 8693 sections 1.1, 4.1 and appendix A.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from deputize.core.model import Actor, Delegation, Json, Peer, Principal, VerifiedToken
from deputize.core.reasons import Reason
from deputize.core.spiffe import SpiffeIdError, parse_spiffe_id
from deputize.core.verdict import Denied

MAX_ACTOR_TEXT = 2048


@dataclass(frozen=True, slots=True)
class ChainRules:
    """How many hops a chain may have, the current actor included."""

    max_depth: int


def bind(token: VerifiedToken, peer: Peer, rules: ChainRules) -> Delegation:
    """Reads the chain and binds it to the peer.

    Raises:
        Denied: any `delegation.*` code.
    """
    chain = _read_chain(token.claims, rules)
    current = chain[0]
    if current.subject == token.subject:
        raise Denied(Reason.DELEGATION_ABSENT, "the actor is the principal itself")
    try:
        agent = parse_spiffe_id(current.subject)
    except SpiffeIdError as error:
        raise Denied(Reason.DELEGATION_ACTOR_UNMAPPED, f"act.sub: {error}") from None
    if agent != peer.id:
        raise Denied(
            Reason.DELEGATION_ACTOR_MISMATCH, f"the token was given to {agent}, not to the peer"
        )
    # The same name under a foreign namespace is another actor. A SPIFFE ID is issued by its
    # trust domain; an issuer may also write itself, as the one who vouches for the name.
    if current.issuer and current.issuer not in {token.issuer, f"spiffe://{agent.trust_domain}"}:
        raise Denied(Reason.DELEGATION_ACTOR_MISMATCH, "act.iss is not the agent's trust domain")
    if len(chain) > 1 and len({actor.subject for actor in chain}) != len(chain):
        raise Denied(Reason.DELEGATION_CYCLE, "an actor stands twice in the chain")
    principal = Principal(token.issuer, token.subject, token.claims)
    return Delegation(principal, agent, chain, token.scopes)


def _read_chain(claims: Mapping[str, Json], rules: ChainRules) -> tuple[Actor, ...]:
    if "act" not in claims:
        raise Denied(Reason.DELEGATION_ABSENT, "no act claim")
    chain: list[Actor] = []
    holder = claims
    while "act" in holder:
        if len(chain) == rules.max_depth:
            raise Denied(Reason.DELEGATION_TOO_DEEP, f"more than {rules.max_depth} hops")
        hop = holder["act"]
        if not isinstance(hop, dict):
            raise Denied(Reason.DELEGATION_MALFORMED, "act is not an object")
        chain.append(Actor(_name(hop, "sub"), _name(hop, "iss") if "iss" in hop else ""))
        holder = hop
    return tuple(chain)


def _name(hop: dict[str, Json], member: str) -> str:
    value = hop.get(member)
    if not isinstance(value, str) or not value:
        raise Denied(Reason.DELEGATION_MALFORMED, f"act.{member} is not a text")
    if len(value) > MAX_ACTOR_TEXT or not value.isprintable():
        raise Denied(Reason.DELEGATION_MALFORMED, f"act.{member} is too long or not printable")
    return value
