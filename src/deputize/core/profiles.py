"""How one issuer writes its tokens: where user, actor and scopes stand, and what they must be.

A profile is plain data, made from configuration. Reading by it is for `token.py` (what the token
is) and `mandate.py` (who acts for whom).

Rules of this file:
- What a profile does not name is not read; nothing is guessed from what a token looks like.
- Tokens of other kinds are told by type and by shape, whatever a profile says.

Sources: RFC 9068 sections 2 and 4; RFC 8725 sections 3.11 and 3.12 (types, and rules that cannot
both hold); OpenID Connect Core 1.0 sections 2 and 3.1.3.6 (ID token); SPIFFE JWT-SVID.md section
3; RFC 8417 section 2.2 and OpenID Connect Back-Channel Logout 1.0 section 2.4 (`events`); RFC 9449
section 4.2; RFC 9701 section 5; draft-ietf-oauth-transaction-tokens section 9;
draft-ietf-oauth-status-list section 5.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from deputize.core.claims import ClaimPath, ScopeClaim, find_claim
from deputize.core.model import DelegationStyle, Json, Kind

ACCESS_TOKEN_TYPE = "at+jwt"  # noqa: S105 - a media type
ABSENT_TYPE = "absent"
"""Stands for a token without a `typ` header in a profile's list of types."""

FOREIGN_TYPES = frozenset(
    {
        "client-authentication+jwt",
        "deputize-approval+jwt",
        "dpop+jwt",
        "id_token+jwt",
        "jose",
        "logout+jwt",
        "oauth-authz-req+jwt",
        "oauth-id-jag+jwt",
        "secevent+jwt",
        "statuslist+jwt",
        "token-introspection+jwt",
        "txntoken+jwt",
        "wit+jwt",
        "wpt+jwt",
    }
)
"""Types of tokens that are no access tokens. A profile cannot list them."""

_FOREIGN_CLAIMS: Mapping[str, str] = {
    "at_hash": "an ID token",
    "c_hash": "an ID token",
    "nonce": "an ID token",
    "s_hash": "an ID token",
    "events": "a logout or event token",
    "htm": "a DPoP proof",
    "htu": "a DPoP proof",
    "req_wl": "a transaction token",
    "rctx": "a transaction token",
    "tctx": "a transaction token",
    "status_list": "a status list",
    "token_introspection": "an introspection answer",
    "vc": "a credential",
    "vp": "a presentation",
}


PRINCIPAL_KINDS = (Kind.AGENT, Kind.SERVICE, Kind.USER, Kind.UNKNOWN)
ACTOR_KINDS = (Kind.USER, Kind.AGENT, Kind.SERVICE, Kind.UNKNOWN)
"""Which kind counts where several are named: the one that lets less in."""


@dataclass(frozen=True, slots=True)
class KindRule:
    """How an issuer says what somebody is.

    The claim holds words: a text with spaces between them, a number, or a list of those. `marks`
    are words and what they mean, with `*` at one end for any rest; `other` is the kind of a claim
    in which none of them stands.
    """

    claim: ClaimPath
    marks: tuple[tuple[str, Kind], ...]
    other: Kind


@dataclass(frozen=True, slots=True)
class IssuerProfile:
    """How one issuer writes its tokens.

    `token_types` are lower-case without the prefix `application/`. `header_members` are those a
    token may have beside `alg`, `kid` and `typ`; they are not read. `type_claims` must hold one
    of their values each: they tell an access token from the issuer's other tokens. `principal`
    are joined with `#`. `client`, `token_id`, `actor` and `scopes` are tried in order, the first
    that is there counts. `attributes` are what policy may ask for under a name of its own, beside
    the claims themselves. `actor_issuers` may stand as `act.iss` beside the issuer itself.
    """

    token_types: frozenset[str]
    header_members: frozenset[str]
    required_claims: tuple[ClaimPath, ...]
    type_claims: tuple[tuple[ClaimPath, frozenset[str]], ...]
    principal: tuple[ClaimPath, ...]
    principal_kind: tuple[KindRule, ...]
    client: tuple[ClaimPath, ...]
    token_id: tuple[ClaimPath, ...]
    scopes: tuple[ScopeClaim, ...]
    attributes: tuple[tuple[str, ClaimPath], ...]
    actor: tuple[ClaimPath, ...]
    actor_kind: tuple[KindRule, ...]
    actor_kinds: frozenset[Kind]
    actor_issuers: frozenset[str]
    nameless_hops: bool
    styles: frozenset[DelegationStyle]


def normalize_type(token_type: str) -> str:
    """A `typ` value for comparing: RFC 7515 section 4.1.9 lets `application/` be left out."""
    if not token_type:
        return ABSENT_TYPE
    named = token_type.lower().removeprefix("application/")
    # Nobody may write down that nothing is written there.
    return f"application/{named}" if named in {"", ABSENT_TYPE} else named


def find_kind(
    rules: tuple[KindRule, ...], claims: Mapping[str, Json], order: tuple[Kind, ...]
) -> Kind:
    """What somebody is by these rules; where they name several kinds the first of `order`."""
    kinds: set[Kind] = set()
    for rule in rules:
        value = find_claim(claims, rule.claim)
        if value is not None:
            words = _words(value)
            marked = {kind for word in words for mark, kind in rule.marks if _fits(mark, word)}
            kinds |= marked or {rule.other}
    return next((kind for kind in order if kind in kinds), Kind.UNKNOWN)


def foreign_kind(claims: Mapping[str, Json], client: str, token_type: str) -> str:
    """What else the token is by its shape, for example `an ID token`; empty for none.

    `client` is the client it was issued to, empty where it names none. A `typ` of its own already
    tells an access token from an ID token, whose audience is its client (RFC 9068 section 5).
    """
    # A set operation first: nearly every token has none of them.
    marks = _FOREIGN_CLAIMS.keys() & claims.keys()
    if marks:
        return _FOREIGN_CLAIMS[min(marks)]
    subject, audience = claims.get("sub"), claims.get("aud")
    if client and token_type != ACCESS_TOKEN_TYPE and audience in (client, [client]):
        return "an ID token: its audience is its own client"
    if subject is not None and subject == claims.get("iss"):
        return "a client assertion"
    if (
        isinstance(subject, str)
        and subject.startswith("spiffe://")
        and not client
        and "act" not in claims
    ):
        return "a JWT-SVID"
    return ""


def _words(value: Json) -> list[str]:
    entries = value if isinstance(value, list) else [value]
    words: list[str] = []
    for entry in entries:
        words += str(entry).split(" ") if isinstance(entry, str | int) else [""]
    return words


def _fits(mark: str, word: str) -> bool:
    if mark.endswith("*"):
        return word.startswith(mark[:-1])
    return word.endswith(mark[1:]) if mark.startswith("*") else word == mark
