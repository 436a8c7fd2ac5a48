"""The values that flow between the stages of a decision.

Rules of this file:
- Everything is immutable but `Proven`, which only records how far a decision came.
- `Peer`, `VerifiedToken`, `Delegation` and `Grant` are the four proofs. Each is built by one
  stage only (a test lists who calls their constructors), and a `Permit` needs them all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, NewType

from deputize.core.reasons import Reason
from deputize.core.spiffe import SpiffeId

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
Scope = NewType("Scope", str)


class Effect(StrEnum):
    """The answer to the proxy."""

    ALLOW = "allow"
    DENY = "deny"


class Assurance(StrEnum):
    """How far the peer's identity could be checked here."""

    CERTIFICATE_CHECKED = "certificate-checked"
    ASSERTED_BY_PROXY = "asserted-by-proxy"


class UpstreamFact(StrEnum):
    """A fact a grant may oblige the proxy to tell the upstream, as a header of ours."""

    PRINCIPAL = "principal"
    ISSUER = "issuer"
    AGENT = "agent"
    CHAIN = "chain"
    SCOPES = "scopes"
    TOKEN_ID = "token-id"
    RULE = "rule"
    DECISION_ID = "decision-id"


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """One check as received: nothing in it is believed yet.

    `headers` has lower-case names as the proxy spells them; repeated headers are joined with `,`
    as Envoy does it. `path` is the undecoded path with query. `asserted_principal` and
    `certificate` (URL-encoded PEM) are empty when the proxy sent none. `proxies` are the SPIFFE
    IDs in the client certificate of the proxy itself, None where its connection has no mTLS.
    `defect` says why the message cannot be read at all; `is_http` is false for a TCP check.
    """

    decision_id: str
    defect: str
    is_http: bool
    method: str
    host: str
    path: str
    headers: Mapping[str, str]
    asserted_principal: str
    certificate: str
    proxies: tuple[str, ...] | None


class Action(NamedTuple):
    """What is asked, with exactly one reading: host in lower case without port, decoded path."""

    method: str
    host: str
    segments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Peer:
    """Proof 1: the workload at the other end of the connection."""

    id: SpiffeId
    assurance: Assurance


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """Proof 2: a token whose signature and claims hold.

    Times are seconds since the epoch. `digest` is the hex SHA-256 of the compact token;
    `key_thumbprint` names the key that verified it and `trust_digest` the issuer settings
    it was checked against.
    """

    issuer: str
    subject: str
    audience: tuple[str, ...]
    client_id: str
    token_id: str
    scopes: frozenset[Scope]
    issued_at: float
    not_before: float
    expires_at: float
    key_id: str
    key_thumbprint: str
    trust_digest: str
    digest: str
    claims: Mapping[str, Json]


class Principal(NamedTuple):
    """The person or service on whose behalf the call is made."""

    issuer: str
    subject: str
    claims: Mapping[str, Json]


class Actor(NamedTuple):
    """One hop of the chain: `act.sub`, and `act.iss` where the issuer writes it (else empty)."""

    subject: str
    issuer: str


@dataclass(frozen=True, slots=True)
class Delegation:
    """Proof 3: the principal's mandate, bound to the peer.

    `chain` has the current actor first, as RFC 8693 section 4.1 nests them; `agent` is that
    current actor, equal to the peer.
    """

    principal: Principal
    agent: SpiffeId
    chain: tuple[Actor, ...]
    scopes: frozenset[Scope]


@dataclass(frozen=True, slots=True, order=True)
class RuleRef:
    """The name of a rule: `<policy>/<rule>`."""

    policy: str
    rule: str

    def __str__(self) -> str:
        return f"{self.policy}/{self.rule}"


@dataclass(frozen=True, slots=True)
class Grant:
    """Proof 4: the rule that grants the call.

    `scopes` are the effective scopes: those of the token that the rule needs, no others.
    `upstream_facts` is the obligation of the grant: what the upstream must be told.
    """

    rule: RuleRef
    scopes: frozenset[Scope]
    upstream_facts: tuple[UpstreamFact, ...]


@dataclass(frozen=True, slots=True)
class Permit:
    """An allow. It cannot be built with a proof missing, whatever a caller passes."""

    peer: Peer
    token: VerifiedToken
    delegation: Delegation
    action: Action
    grant: Grant

    def __post_init__(self) -> None:
        given = (
            type(self.peer),
            type(self.token),
            type(self.delegation),
            type(self.action),
            type(self.grant),
        )
        if given != (Peer, VerifiedToken, Delegation, Action, Grant):
            raise TypeError("a permit needs all four proofs and the action")


@dataclass(frozen=True, slots=True)
class KeyWanted:
    """The key that was missing. Unproven: it may only choose which key set to fetch again."""

    issuer: str
    key_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Denial:
    """A refusal. `detail` is for audit and log, never for the caller.

    `rule` is the rule that decided, where one did; `needed_scopes` are all scopes the nearest
    rule needs (RFC 6750 section 3); `key_wanted` is set when another key set might help.
    """

    reason: Reason
    detail: str
    rule: RuleRef | None = None
    needed_scopes: frozenset[Scope] = frozenset()
    key_wanted: KeyWanted | None = None

    def __post_init__(self) -> None:
        if self.reason is Reason.POLICY_ALLOWED:
            raise TypeError("a denial cannot carry the reason of an allow")


class Denied(Exception):  # noqa: N818 - the word of the field; it is an answer, not a fault
    """Ends a decision with a refusal. The only exception that means one."""

    def __init__(
        self,
        reason: Reason,
        detail: str,
        *,
        rule: RuleRef | None = None,
        needed_scopes: frozenset[Scope] = frozenset(),
        key_wanted: KeyWanted | None = None,
    ) -> None:
        super().__init__(reason.value, detail)
        self.denial = Denial(
            reason=reason,
            detail=detail,
            rule=rule,
            needed_scopes=needed_scopes,
            key_wanted=key_wanted,
        )


@dataclass(slots=True)
class Proven:
    """What had been proved when the decision ended, so that a refusal is audited by name."""

    action: Action | None = None
    peer: Peer | None = None
    token: VerifiedToken | None = None
    delegation: Delegation | None = None
    grant: Grant | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer with its reason, what was proven on the way, and under which configuration."""

    decision_id: str
    verdict: Permit | Denial
    proven: Proven
    policy_digest: str
    decided_at: float

    @property
    def effect(self) -> Effect:
        """Allow exactly when the verdict is a permit."""
        return Effect.ALLOW if isinstance(self.verdict, Permit) else Effect.DENY

    @property
    def reason(self) -> Reason:
        """The stable code of this decision."""
        if isinstance(self.verdict, Permit):
            return Reason.POLICY_ALLOWED
        return self.verdict.reason

    @property
    def rule(self) -> RuleRef | None:
        """The rule that determined the answer, if one did."""
        return self.verdict.grant.rule if isinstance(self.verdict, Permit) else self.verdict.rule
