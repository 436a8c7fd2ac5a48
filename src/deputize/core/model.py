"""The values that flow between the stages of a decision.

Rules of this file:
- Everything is immutable.
- `Peer`, `VerifiedToken`, `Delegation` and `Grant` are the four proofs. Each is built by one
  stage only (a test lists who calls their constructors), and a `Permit` needs them all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, NewType

from deputize.core.spiffe import SpiffeId

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
Scope = NewType("Scope", str)


class Assurance(StrEnum):
    """How far the peer's identity could be checked here."""

    CERTIFICATE_CHECKED = "certificate-checked"
    ASSERTED_BY_PROXY = "asserted-by-proxy"


class PeerSource(StrEnum):
    """Where the peer's identity is read from: one place per deployment, never a second choice."""

    PRINCIPAL = "principal"
    WAYPOINT_XFCC = "waypoint-xfcc"
    METADATA = "metadata"


class Kind(StrEnum):
    """What a principal or an actor is, as far as its issuer says so."""

    USER = "user"
    AGENT = "agent"
    SERVICE = "service"
    UNKNOWN = "unknown"


class DelegationStyle(StrEnum):
    """How the token speaks of the one who acts.

    Delegated: it names the principal and, apart from it, the agent. Impersonated: it names the
    principal, and of the agent no more than the client it was issued to. Autonomous: there is no
    person behind it, the principal is an agent or another service.
    """

    DELEGATED = "delegated"
    IMPERSONATED = "impersonated"
    AUTONOMOUS = "autonomous"


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


class Protocol(StrEnum):
    """An agent protocol a resource may speak."""

    MCP = "mcp"
    A2A = "a2a"
    GRPC = "grpc"


@dataclass(frozen=True, slots=True, order=True)
class RuleRef:
    """The name of a rule: `<policy>/<rule>`."""

    policy: str
    rule: str

    def __str__(self) -> str:
        return f"{self.policy}/{self.rule}"


class Binding(StrEnum):
    """Where the calls of a protocol are read from."""

    BODY = "body"
    HEADERS = "headers"
    JSON_RPC = "json-rpc"
    REST = "rest"
    GRPC = "grpc"


class Resource(NamedTuple):
    """What stands behind some routes: the protocol it speaks (None for plain HTTP), and how.

    `base` is the number of path segments before those that the protocol reads. `metadata_url` is
    where clients find its metadata (RFC 9728 section 3), empty where it has none.
    """

    protocol: Protocol | None
    binding: Binding | None
    base: int
    metadata_url: str


class AccessRequest(NamedTuple):
    """One check as received: nothing in it is believed yet.

    `headers` has lower-case names as the proxy spells them; repeated headers are joined with `,`
    as Envoy does it. `path` is the undecoded path with query. `asserted_principal` and
    `certificate` (URL-encoded PEM) are empty when the proxy sent none. `metadata` is the filter
    metadata of the request by namespace. `is_internal` is true where the proxy reports a
    connection from inside itself, as an Istio waypoint does. `proxies` are the SPIFFE
    IDs in the client certificate of the proxy itself, None where no list of proxies is kept.
    `defect` says why the message cannot be read at all; `is_http` is false for a TCP check.
    `body` is as much of the body as the proxy sent, `body_size` the number of bytes the proxy
    reports, -1 where it says that it cut the body; `body_defect` says why `body` may not be what
    the caller sent.
    """

    decision_id: str
    defect: str
    is_http: bool
    method: str
    scheme: str
    host: str
    path: str
    headers: Mapping[str, str]
    asserted_principal: str
    certificate: str
    metadata: Mapping[str, Json]
    is_internal: bool
    proxies: tuple[str, ...] | None
    body: bytes = b""
    body_size: int = 0
    body_defect: str = ""


class Credential(NamedTuple):
    """The one credential of a request; nothing in it is proven. Without one `token` is empty.

    `is_dpop` is true for the scheme `DPoP` (RFC 9449 section 7.1); `proof` is the value of the
    `DPoP` header, empty where there is none.
    """

    token: str
    is_dpop: bool
    proof: str


class Call(NamedTuple):
    """One call of an agent protocol inside a request.

    `method` is the JSON-RPC method (MCP), the operation (A2A v1, for example `SendMessage`) or
    `package.Service/Method` (gRPC). `name` is the tool, prompt or resource URI, the task of an
    A2A operation, and empty where there is none. `arguments` is None where they are not known:
    only headers were read, or the protocol's binding has none. `id` is that of JSON-RPC. `has_more`
    is true where the caller says more to the tool than its arguments: answers to its questions.
    """

    protocol: Protocol
    method: str
    name: str
    arguments: Mapping[str, Json] | None
    id: str | int | None
    has_more: bool = False


class Action(NamedTuple):
    """What is asked, with exactly one reading: host in lower case without port, decoded path.

    `upgrade` is the protocol the connection shall change to, in lower case, empty for none.
    `calls` are those of an agent protocol in the body, once they were read.
    """

    method: str
    host: str
    segments: tuple[str, ...]
    upgrade: str = ""
    calls: tuple[Call, ...] = ()


class Peer(NamedTuple):
    """Proof 1: the workload at the other end of the connection.

    `certificate_sha256` is the thumbprint of its certificate as `x5t#S256` writes it (RFC 8705
    section 3.1), empty where the proxy sent none.
    """

    id: SpiffeId
    assurance: Assurance
    source: PeerSource
    certificate_sha256: str


class Confirmation(NamedTuple):
    """What a token is bound to (`cnf`, RFC 7800): thumbprints in base64url, empty where absent.

    `certificate` is `x5t#S256` (RFC 8705 section 3.1), `key` is `jkt` (RFC 9449 section 6.1).
    """

    certificate: str
    key: str


class StatusReference(NamedTuple):
    """Where a token's status stands: the position (`idx`) in a Token Status List."""

    uri: str
    position: int


class UseOnce(NamedTuple):
    """Obligation: this identifier must not have been used before `until` (epoch seconds).

    `key` is printable ASCII of bounded length and gives nothing of a token away.
    """

    key: str
    until: float


class Approved(NamedTuple):
    """An approval that holds: who gave it, through which service (`iss`), by which id (`jti`).

    `use` is the obligation to use it once only.
    """

    service: str
    approver: str
    id: str
    use: UseOnce


class Introspect(NamedTuple):
    """Obligation: this issuer must say that the token is active (RFC 7662)."""

    issuer: str


class Spend(NamedTuple):
    """Obligation: one more use of a budget of `limit` uses in each window of `window` seconds.

    Windows begin at multiples of their length since the epoch. `key` is printable ASCII of bounded
    length; what stands before a `.` in it is the same for all tools that are counted apart. Where
    the budget is only observed, one that is used up refuses nothing.
    """

    key: str
    limit: int
    window: int
    rule: RuleRef
    is_enforced: bool


Obligation = UseOnce | Introspect | Spend
"""What the shell must have done before an allow leaves it; what fails refuses."""


class Actor(NamedTuple):
    """One hop of the chain: its name, who gave it that (`act.iss`, else empty), and its kind.

    The name is empty where the issuer's profile tolerates hops without one.
    """

    subject: str
    issuer: str
    kind: Kind


class Mandate(NamedTuple):
    """Who acts for whom, as a token shows it.

    `agent` is the current actor, `chain` has it first, as RFC 8693 section 4.1 nests actors.
    `names` are those of all hops as the token spells them, and their SPIFFE IDs where known;
    `vouched_names` only of hops that were named by one who may name the agent.
    """

    agent: SpiffeId
    chain: tuple[Actor, ...]
    names: frozenset[str]
    vouched_names: frozenset[str]
    style: DelegationStyle


class Flaw(StrEnum):
    """Why a token is no mandate of any agent."""

    ABSENT = "absent"
    MALFORMED = "malformed"
    ACTOR_UNMAPPED = "actor-unmapped"
    ACTOR_MISMATCH = "actor-mismatch"
    ACTOR_NOT_AGENT = "actor-not-agent"
    CYCLE = "cycle"


class FlawedMandate(NamedTuple):
    """A mandate that does not hold; `depth` is the number of hops, as far as they were read."""

    flaw: Flaw
    detail: str
    depth: int


class Principal(NamedTuple):
    """The person or service on whose behalf the call is made, and what policy may ask about it."""

    issuer: str
    subject: str
    kind: Kind
    claims: Mapping[str, Json]


@dataclass(frozen=True, slots=True, eq=False)
class VerifiedToken:
    """Proof 2: a token whose signature and claims hold.

    Times are seconds since the epoch. `token_id` and `client_id` are empty where the issuer's
    profile lets them be absent. `use_key` names issuer and `token_id` where uses are kept, empty
    without the latter; the same token signed anew has the same. `digest` is the hex SHA-256 of
    the compact token; `key_thumbprint` names the key that verified it, with `algorithm`, and
    `trust_digest` the issuer settings it was checked against. `confirmation` is what it is bound
    to, `status` where its revocation stands; None for nothing. `mandate` is not yet bound to any
    peer.
    """

    principal: Principal
    audience: tuple[str, ...]
    client_id: str
    token_id: str
    use_key: str
    scopes: frozenset[Scope]
    issued_at: float
    not_before: float
    expires_at: float
    confirmation: Confirmation | None
    status: StatusReference | None
    mandate: Mandate | FlawedMandate
    key_id: str
    algorithm: str
    key_thumbprint: str
    trust_digest: str
    digest: str

    @property
    def issuer(self) -> str:
        """Who issued it."""
        return self.principal.issuer

    @property
    def subject(self) -> str:
        """The principal's name."""
        return self.principal.subject


class Delegation(NamedTuple):
    """Proof 3: the principal's mandate, bound to the peer.

    `chain` has the current actor first, as RFC 8693 section 4.1 nests them; `agent` is that
    current actor, equal to the peer.
    """

    principal: Principal
    agent: SpiffeId
    chain: tuple[Actor, ...]
    scopes: frozenset[Scope]
    style: DelegationStyle


class StepUp(NamedTuple):
    """The login a rule asks for (RFC 9470): one of these `acr`, at most `max_age` seconds ago.

    Empty and None ask for nothing.
    """

    acr_values: tuple[str, ...]
    max_age: int | None


class Grant(NamedTuple):
    """Proof 4: the rule that grants the call, or None where policies are only observed.

    `scopes` are the effective scopes: those of the token that the rule needs, no others.
    The obligations of the grant: `upstream_facts` is what the upstream must be told, `use_once`
    asks that the token was never used before, `owed` are those that the rule asks for.
    `approvals` are those it was given on.
    """

    rule: RuleRef | None
    scopes: frozenset[Scope]
    upstream_facts: tuple[UpstreamFact, ...]
    use_once: bool
    owed: tuple[Obligation, ...]
    approvals: tuple[Approved, ...] = ()
