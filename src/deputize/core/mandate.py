"""The mandate: who acts for whom, as a verified token shows it under its issuer's profile.

Read once for each token and kept with it; `delegation.py` decides about it and binds it to the
peer.

Rules of this file:
- The outermost `act` is the current actor; deeper hops are history. Members of `act` that are not
  identities (`exp`, `aud`, `scope`) are never read.
- An `act` that is there counts, whatever else could name an actor; one that the profile does not
  read is a flaw, never passed over.
- Nothing here refuses: what is wrong becomes a `Flaw`, in the order the checks stand.

Sources: RFC 8693 sections 1.1 and 4.1; draft-mcguinness-oauth-actor-profile (`act.iss`,
`sub_profile`, no `client_profile` inside `act`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from deputize.core.claims import ClaimPath, find_claim
from deputize.core.identities import IdentityError, IdentityMap
from deputize.core.model import Actor, DelegationStyle, Flaw, FlawedMandate, Json, Kind, Mandate
from deputize.core.profiles import ACTOR_KINDS, IssuerProfile, find_kind
from deputize.core.spiffe import SpiffeId, TrustDomain

MAX_ACTOR_TEXT = 2048
_MAX_SHOWN = 100
ACT = "act"


class MandateRules(NamedTuple):
    """How one issuer names agents. `agent_domains` are those it may name; None for all."""

    issuer: str
    profile: IssuerProfile
    identities: IdentityMap
    agent_domains: frozenset[TrustDomain] | None


class _FlawError(Exception):
    def __init__(self, flaw: Flaw, detail: str, depth: int = 0) -> None:
        super().__init__(detail)
        self.flawed = FlawedMandate(flaw, detail, depth)


def read_mandate(
    claims: Mapping[str, Json], subject: str, principal_kind: Kind, rules: MandateRules
) -> Mandate | FlawedMandate:
    """Reads the mandate of a token for the principal `subject`."""
    try:
        return _read(claims, subject, principal_kind, rules)
    except _FlawError as error:
        return error.flawed


def _read(
    claims: Mapping[str, Json], subject: str, principal_kind: Kind, rules: MandateRules
) -> Mandate:
    profile = rules.profile
    chain = _read_act(claims, rules) if ACT in claims else _read_client(claims, rules)
    current, depth = chain[0], len(chain)
    style = _style(claims, current, subject, principal_kind)
    if style not in profile.styles:
        raise _FlawError(Flaw.ABSENT, f"the token is {style.value}, which is not allowed", depth)
    _check_kind(current.kind, profile, depth)
    agent = _agent(current, rules, depth)
    # A tuple, because a `sub` that the profile does not read may be anything.
    principal = (subject, claims.get("sub"))
    itself = current.subject in principal or any(
        isinstance(name, str) and _spiffe_id(name, rules) == agent.text for name in principal
    )
    if itself and style is not DelegationStyle.AUTONOMOUS:
        raise _FlawError(Flaw.ABSENT, "the actor is the principal itself", depth)
    # The same name under a foreign namespace is another actor. A SPIFFE ID is issued by its
    # trust domain; an issuer may also write itself, as the one who vouches for the name.
    known = {"", rules.issuer, f"spiffe://{agent.trust_domain}", *profile.actor_issuers}
    if current.issuer not in known:
        raise _FlawError(Flaw.ACTOR_MISMATCH, "act.iss is not one who may name the agent", depth)
    known_names = [_known_name(hop, rules) for hop in chain if hop.subject]
    if len({*map(_unique, known_names)}) != len(known_names):
        raise _FlawError(Flaw.CYCLE, "an actor stands twice in the chain", depth)
    names = frozenset(text for _namer, text in known_names) | {hop.subject for hop in chain}
    # What another issuer calls somebody says nothing of whom we require.
    vouched = frozenset(
        text
        for hop in chain
        if hop.issuer in known
        for text in (hop.subject, _spiffe_id(hop.subject, rules))
    )
    return Mandate(agent, chain, names - {""}, vouched - {""}, style)


def _unique(known: tuple[str, str]) -> tuple[str, str]:
    """What tells actors apart: a SPIFFE ID alone, another name together with who gave it."""
    return ("", known[1]) if known[1].startswith("spiffe://") else known


def _read_act(claims: Mapping[str, Json], rules: MandateRules) -> tuple[Actor, ...]:
    profile = rules.profile
    path = next((path for path in profile.actor if path[0] == ACT), None)
    if path is None:
        raise _FlawError(Flaw.MALFORMED, "an act claim that the issuer's profile does not read")
    chain: list[Actor] = []
    holder: Mapping[str, Json] = claims
    while ACT in holder:
        hop = holder[ACT]
        depth = len(chain) + 1
        if not isinstance(hop, dict):
            raise _FlawError(Flaw.MALFORMED, "act is not an object", depth)
        if "client_profile" in hop:
            raise _FlawError(Flaw.MALFORMED, "act has a client_profile, which says nothing", depth)
        chain.append(_hop(hop, path[1:], profile, depth))
        holder = hop
    return tuple(chain)


def _hop(hop: dict[str, Json], path: ClaimPath, profile: IssuerProfile, depth: int) -> Actor:
    kind = find_kind(profile.actor_kind, {ACT: hop}, ACTOR_KINDS)
    value = find_claim(hop, path)
    if depth == 1:
        _check_kind(kind, profile, depth)
    elif value is None:
        value = hop.get("sub")
    if value is None and depth > 1 and profile.nameless_hops:
        name = ""
    else:
        name = _name(value, "the name in act", depth)
    issuer = _name(hop["iss"], "act.iss", depth) if "iss" in hop else ""
    return Actor(name, issuer, kind)


def _check_kind(kind: Kind, profile: IssuerProfile, depth: int) -> None:
    if kind not in profile.actor_kinds:
        raise _FlawError(Flaw.ACTOR_NOT_AGENT, f"the actor's kind is {kind.value}", depth)


def _read_client(claims: Mapping[str, Json], rules: MandateRules) -> tuple[Actor, ...]:
    profile = rules.profile
    paths = [path for path in profile.actor if path[0] != ACT]
    value = next((found for path in paths if (found := find_claim(claims, path)) is not None), None)
    if value is None:
        raise _FlawError(Flaw.ABSENT, "no claim names an actor")
    kind = find_kind(profile.actor_kind, claims, ACTOR_KINDS)
    return (Actor(_name(value, "the actor's claim", 1), "", kind),)


def _style(
    claims: Mapping[str, Json], current: Actor, subject: str, principal_kind: Kind
) -> DelegationStyle:
    if principal_kind in {Kind.AGENT, Kind.SERVICE}:
        return DelegationStyle.AUTONOMOUS
    if ACT in claims:
        return DelegationStyle.DELEGATED
    if current.subject in (subject, claims.get("sub")):
        return DelegationStyle.AUTONOMOUS
    # An issuer that marks its agents says by the mark that the client acts for the user.
    agent = current.kind is Kind.AGENT
    return DelegationStyle.DELEGATED if agent else DelegationStyle.IMPERSONATED


def _agent(current: Actor, rules: MandateRules, depth: int) -> SpiffeId:
    try:
        agent = rules.identities.find(current.subject)
    except IdentityError as error:
        shown = current.subject[:_MAX_SHOWN]
        raise _FlawError(
            Flaw.ACTOR_UNMAPPED, f"the actor's name `{shown}` {error}", depth
        ) from None
    if rules.agent_domains is not None and agent.trust_domain not in rules.agent_domains:
        detail = f"the issuer may not name agents of {agent.trust_domain}"
        raise _FlawError(Flaw.ACTOR_UNMAPPED, detail, depth)
    return agent


def _known_name(hop: Actor, rules: MandateRules) -> tuple[str, str]:
    """Who named a hop, and its SPIFFE ID or own name: earlier hops need not be agents."""
    return hop.issuer or rules.issuer, _spiffe_id(hop.subject, rules) or hop.subject


def _spiffe_id(name: str, rules: MandateRules) -> str:
    """The SPIFFE ID of somebody with this name; empty where there is none."""
    try:
        return rules.identities.find(name).text
    except IdentityError:
        return ""


def _name(value: Json, what: str, depth: int) -> str:
    if not isinstance(value, str) or not value:
        raise _FlawError(Flaw.MALFORMED, f"{what} is not a text", depth)
    if len(value) > MAX_ACTOR_TEXT or not value.isprintable():
        raise _FlawError(Flaw.MALFORMED, f"{what} is too long or not printable", depth)
    return value
