"""An issuer of delegation tokens, and the profile of how it writes them, as models.

Rules of this file:
- Every key of a profile may be left out: first the issuer's own, then those of the profile it
  names, then those of `rfc9068` count.
- A profile only says how tokens are written. What is trusted (audiences, keys, who may be named)
  is said for each issuer.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from deputize.config.model import Model
from deputize.config.texts import (
    AttributeName,
    ClaimText,
    KindWord,
    Name,
    ProfileText,
    ScopeClaimText,
    ScopeText,
    SpiffeIdText,
    StatusPrefix,
    Text,
    TokenType,
    TrustDomainText,
    UniqueTexts,
    Url,
)
from deputize.core.claims import parse_claim_path
from deputize.core.mandate import ACT

ProfileName = Literal[
    "rfc9068",
    "auth0",
    "authbridge",
    "entra",
    "entra-v1",
    "kagent",
    "keycloak",
    "keycloak-exchange",
    "okta",
    "solo",
    "toolhive",
    "wso2",
]
Texts = Annotated[list[Text], UniqueTexts, Field(min_length=1)]
Words = Annotated[list[KindWord], UniqueTexts, Field(min_length=1)]
Algorithms = Annotated[
    list[Literal["ES256", "ES384", "RS256", "PS256", "Ed25519"]], UniqueTexts, Field(min_length=1)
]


class Kinds(Model):
    """How an issuer says what somebody is.

    The claim holds words: a text with spaces, a number, or a list of those. `*` at one end of a
    word stands for any rest. Where several rules name several kinds, the one that lets less in
    counts.
    """

    claim: ClaimText
    """Where it stands, for example `act.sub_profile`."""
    user: Words | None = None
    """Words that mean a person."""
    agent: Words | None = None
    """Words that mean an agent."""
    service: Words | None = None
    """Words that mean another service."""
    other: Literal["user", "agent", "service", "unknown"] = "unknown"
    """What a claim means that has none of these words."""


class ProfileKeys(Model):
    """How an issuer writes its tokens."""

    algorithms: Algorithms | None = None
    """Allowed signature algorithms; a key is pinned to one of them."""
    token_types: Annotated[list[TokenType], UniqueTexts, Field(min_length=1)] | None = None
    """Accepted `typ` headers, without `application/`; `absent` for a token without one."""
    ignored_headers: Annotated[list[Literal["x5t", "x5t#S256"]], UniqueTexts] | None = None
    """Header members a token may have beside `alg`, `kid` and `typ`; they are not read."""
    max_lifetime_seconds: Annotated[int, Field(ge=1, le=172800)] | None = None
    """Longest `exp - iat`, in seconds."""
    required_claims: Annotated[list[ClaimText], UniqueTexts] | None = None
    """Claims a token must have, beside `iss`, `exp`, `iat`, `aud` and the principal's."""
    type_claims: dict[ClaimText, Texts] | None = None
    """Claims that tell an access token from the issuer's other tokens, with the values it may
    have there."""
    principal: Annotated[list[ClaimText], UniqueTexts, Field(min_length=1)] | None = None
    """Where the principal is; of several claims the texts are joined with `#`."""
    principal_kind: list[Kinds] | None = None
    """How it says whether the principal is a person."""
    client: Annotated[list[ClaimText], UniqueTexts] | None = None
    """Where the client is; the first claim that is there counts."""
    token_id: Annotated[list[ClaimText], UniqueTexts] | None = None
    """Where the token's identifier is; the first claim that is there counts."""
    scopes: Annotated[list[ScopeClaimText], UniqueTexts] | None = None
    """Where the scopes are: a text with spaces, with `[]` behind the claim also a list; the first
    claim that is there counts."""
    attributes: dict[AttributeName, ClaimText] | None = None
    """Names under which policy may ask for claims that lie deeper (`onBehalfOf.claims`)."""
    actor: Annotated[list[ClaimText], UniqueTexts, Field(min_length=1)] | None = None
    """Where the current actor is. One `act.` claim at most; it counts whenever `act` is there,
    else the first of the others that is."""
    actor_kind: list[Kinds] | None = None
    """How it says whether the actor is an agent."""
    actor_kinds: (
        Annotated[list[Literal["agent", "service", "unknown"]], UniqueTexts, Field(min_length=1)]
        | None
    ) = None
    """Kinds an actor may have. A person is never accepted as one."""
    actor_issuers: Annotated[list[Text], UniqueTexts] | None = None
    """Accepted values of `act.iss`, beside the issuer itself and `spiffe://<trust domain>`."""
    nameless_hops: bool | None = None
    """Whether hops behind the current actor may have no name."""
    styles: (
        Annotated[
            list[Literal["delegated", "impersonated", "autonomous"]],
            UniqueTexts,
            Field(min_length=1),
        ]
        | None
    ) = None
    """Accepted styles. `delegated`: principal and agent are both named. `impersonated`: of the
    agent only the client is. `autonomous`: there is no person behind it."""

    @model_validator(mode="after")
    def _one_chain(self) -> Self:
        paths = [parse_claim_path(text) for text in self.actor or ()]
        inside = [path[1:] for path in paths if path[0] == ACT]
        if len(inside) > 1:
            raise ValueError("`actor` has at most one claim in `act`")
        if any(not path or ACT in path for path in inside):
            raise ValueError("`actor` names a member of the outermost `act`, like `act.sub`")
        return self


class ProfileMetadata(Model):
    """The name of a profile."""

    name: Name
    """As `issuers[].profile` names it; that of an object behind its namespace and a dot."""


class ProfileSpec(ProfileKeys):
    """How one kind of issuer writes its tokens, and where that is known from."""

    title: Text
    """The issuer in words."""
    sources: Texts
    """Where what is said here can be read."""


class IssuerProfileFile(Model):
    """A profile: how one kind of issuer writes its tokens."""

    api_version: Literal["deputize.dev/v1alpha1"]
    """Always `deputize.dev/v1alpha1`."""
    kind: Literal["IssuerProfile"]
    """Always `IssuerProfile`."""
    metadata: ProfileMetadata
    """The name of the profile."""
    spec: ProfileSpec
    """How the issuer writes its tokens."""


class IdentityTemplate(Model):
    """Agents whose SPIFFE ID follows from their name."""

    name: Text
    """The name, with places like `<ns>`: `system:serviceaccount:<ns>:<sa>`."""
    spiffe_id: Text
    """The SPIFFE ID with the same places: `spiffe://prod.example.org/ns/<ns>/sa/<sa>`."""


class Identities(Model):
    """The SPIFFE IDs of agents the issuer knows by other names.

    A name that is a SPIFFE ID stands for itself; any other that is not found here is refused.
    """

    exact: dict[Text, SpiffeIdText] | None = None
    """SPIFFE IDs by name."""
    templates: Annotated[list[IdentityTemplate], Field(min_length=1)] | None = None
    """Templates for all other names; at most one may fit."""


class KeySource(Model):
    """Where an issuer's JWK Set comes from: exactly one of the three."""

    file: Text | None = None
    """A JWKS file; read again when it changes."""
    url: Url | None = None
    """A JWKS URL; `https`, or `http` on loopback."""
    discovery: Literal[True] | None = None
    """Find it by OpenID Connect discovery below the issuer."""
    ca_file: Text | None = None
    """PEM file with the authorities to trust for `url` or `discovery` instead of the system's."""
    refresh_seconds: Annotated[int, Field(ge=10, le=86400)] = 300
    """Seconds between fetches."""
    refetch_cooldown_seconds: Annotated[int, Field(ge=1, le=3600)] = 30
    """Least seconds between two fetches caused by unknown keys."""
    stale_after_seconds: Annotated[int, Field(ge=60, le=604800)] = 86400
    """Seconds the last good set is used when fetching fails."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        given = [self.file, self.url, self.discovery]
        if sum(source is not None for source in given) != 1:
            raise ValueError("give exactly one of `file`, `url`, `discovery`")
        if self.file is not None and self.ca_file is not None:
            raise ValueError("`caFile` goes with `url` or `discovery`")
        return self


class StatusListSource(Model):
    """Token Status Lists of an issuer (draft-ietf-oauth-status-list)."""

    uri_prefixes: Annotated[list[StatusPrefix], UniqueTexts] = []
    """Where lists may be fetched from: an origin with the beginning of a path."""
    files: dict[Text, Text] | None = None
    """Lists in files, by their URI."""
    required: bool = False
    """Refuse tokens that name no list."""
    ca_file: Text | None = None
    """PEM file with the authorities to trust instead of the system's."""
    max_lists: Annotated[int, Field(ge=1, le=64)] = 16
    """Most lists that are kept, 8 MiB each at the most; the oldest makes room for another."""
    max_age_seconds: Annotated[int, Field(ge=10, le=86400)] = 300
    """Longest time a list is used without being fetched again: how late a revocation may take
    effect."""

    @model_validator(mode="after")
    def _has_a_source(self) -> Self:
        if not self.uri_prefixes and not self.files:
            raise ValueError("give `uriPrefixes`, `files` or both")
        return self


class IntrospectionSource(Model):
    """Asking the issuer whether a token is active (RFC 7662)."""

    url: Url
    """The endpoint."""
    client_id: Text
    """Our name there (HTTP Basic)."""
    client_secret_file: Text
    """File with our secret; read again when it changes."""
    ca_file: Text | None = None
    """PEM file with the authorities to trust instead of the system's."""
    cache_seconds: Annotated[int, Field(ge=0, le=3600)] = 30
    """Seconds a good answer is used again: how late a revocation may take effect."""
    cache_entries: Annotated[int, Field(ge=0, le=1000000)] = 10000
    """Answers to remember."""
    timeout_millis: Annotated[int, Field(ge=1, le=5000)] = 100
    """Longest time for one answer, in milliseconds; keep it below `decisionTimeoutMillis`."""
    max_concurrent: Annotated[int, Field(ge=1, le=64)] = 2
    """Most questions at once; beyond it checks are refused rather than made to wait."""


class Binding(Model):
    """Proof of possession.

    A token that says it is bound (`cnf`) must always be shown with its proof.
    """

    required: bool = False
    """Refuse tokens that are bound to nothing."""
    proof_max_age_seconds: Annotated[int, Field(ge=1, le=300)] = 60
    """Oldest DPoP proof accepted, in seconds."""


class Issuer(ProfileKeys):
    """An issuer of delegation tokens. Keys of its profile may be given here too."""

    issuer: Text
    """Compared exactly with `iss`; it need not be a URL."""
    profile: ProfileText = "rfc9068"
    """How its tokens are written: one of the [issuer profiles](issuer-profiles.md), one of
    `profiles`, or an `IssuerProfile` object as `<namespace>.<name>`."""
    audiences: Texts
    """A token must be issued for one of these."""
    keys: KeySource
    """Where its keys come from."""
    identities: Identities = Identities()
    """SPIFFE IDs of agents it knows by other names."""
    agent_trust_domains: (
        Annotated[list[TrustDomainText], UniqueTexts, Field(min_length=1)] | None
    ) = None
    """Trust domains whose agents it may name; all of `peer.trustDomains` unless given."""
    issued_scopes: Annotated[list[ScopeText], UniqueTexts] | None = None
    """Scopes it issues. Only read by `deputize validate --strict`, which then names the rules that
    need others."""
    use_once: bool = False
    """Whether each token is good for one call; needs a token identifier."""
    binding: Binding = Binding()
    """Proof of possession."""
    status_lists: StatusListSource | None = None
    """Its Token Status Lists. A token that names one is refused where this is not given."""
    introspection: IntrospectionSource | None = None
    """Ask the issuer about each token."""
