"""The service's configuration as models: the only source of its JSON Schema and reference.

Rules of this file:
- Unknown keys are refused; types are strict (no text for a number).
- A key that limits something says its unit in its name; a default is the safe choice.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from deputize.config.issuer_schema import Algorithms, Issuer, KeySource
from deputize.config.model import Model
from deputize.config.texts import (
    Address,
    AddressOrSocket,
    AttributeName,
    HeaderName,
    HeaderPrefix,
    Name,
    SpiffeIdText,
    Text,
    TrustDomainText,
    UniqueTexts,
    Url,
)
from deputize.core.delegation import DEEPEST_CHAIN


class GrpcTls(Model):
    """TLS on the gRPC port. Files are read again when they change."""

    certificate_file: Text
    """PEM file with the certificate chain of this service."""
    private_key_file: Text
    """PEM file with its private key."""
    client_ca_file: Text | None = None
    """PEM file with the authorities of calling proxies; when set, callers need a certificate."""
    allowed_callers: Annotated[list[SpiffeIdText], UniqueTexts, Field(min_length=1)] | None = None
    """SPIFFE IDs of the proxies that may ask; needs `clientCaFile`."""

    @model_validator(mode="after")
    def _callers_need_authority(self) -> Self:
        if self.allowed_callers is not None and self.client_ca_file is None:
            raise ValueError("`allowedCallers` needs `clientCaFile`")
        return self


class Grpc(Model):
    """The port proxies ask on."""

    listen: Annotated[list[AddressOrSocket], UniqueTexts, Field(min_length=1)]
    """Addresses: `host:port`, or `unix:/path` for a Unix socket."""
    threads: Annotated[int, Field(ge=1, le=64)] | None = None
    """Threads that decide; 4 if not given, 2 with transport `native`. More bring nothing but
    patience with the few checks that wait for keys."""
    max_message_bytes: Annotated[int, Field(ge=65536, le=67108864)] = 8388608
    """Largest check accepted, in bytes. Keep it above the proxy's body and header limits: what
    is larger becomes an RPC error on `grpcio`, which a proxy with `failure_mode_allow` lets
    pass."""
    tls: GrpcTls | None = None
    """TLS settings; without them the port is plain text and must be loopback or a socket, or
    protected by the mesh."""


class Http(Model):
    """The port for `/healthz`, `/readyz` and `/metrics`."""

    listen: Address = "127.0.0.1:8080"
    """Address `host:port`."""


class Drain(Model):
    """What happens between SIGTERM and exit."""

    delay_seconds: Annotated[int, Field(ge=0, le=300)] = 5
    """Seconds to go on serving, but reported as not ready, so that proxies turn away first.
    Keep it above the proxy's health check interval plus one second: Envoy collects changes of
    health for that long."""
    grace_seconds: Annotated[int, Field(ge=1, le=300)] = 10
    """Seconds that running checks then have to finish."""


class Server(Model):
    """Ports and transport. A change here takes effect at the next start."""

    transport: Literal["grpcio", "native"] = "grpcio"
    """`grpcio`, or `native` (extra `deputize[native]`: less CPU per check, no TLS)."""
    grpc: Grpc
    """The port proxies ask on."""
    http: Http = Http()
    """The port for health and metrics."""
    decision_timeout_millis: Annotated[int, Field(ge=1, le=10000)] = 150
    """Longest time for one check, in milliseconds; keep it below the proxy's timeout."""
    drain: Drain = Drain()
    """What happens between SIGTERM and exit."""


class TrustBundle(Model):
    """The authorities of one trust domain (SPIFFE trust bundle).

    A peer certificate of this domain must then be there, and issued by one of them.
    """

    trust_domain: TrustDomainText
    """One of `trustDomains`."""
    file: Text | None = None
    """A bundle file; read again when it changes."""
    url: Url | None = None
    """A bundle endpoint (profile `https_web`)."""
    ca_file: Text | None = None
    """PEM file with the authorities to trust for `url` instead of the system's."""
    refresh_seconds: Annotated[int, Field(ge=10, le=86400)] = 300
    """Seconds between fetches."""
    stale_after_seconds: Annotated[int, Field(ge=60, le=604800)] = 86400
    """Seconds the last good bundle is used when fetching fails."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.file is None) == (self.url is None):
            raise ValueError("give exactly one of `file`, `url`")
        return self


class PeerSettings(Model):
    """Which workloads may be peers."""

    trust_domains: Annotated[list[TrustDomainText], UniqueTexts, Field(min_length=1)]
    """Trust domains whose workloads may act here."""
    require_certificate: bool = False
    """Refuse checks without the peer's certificate (Envoy: `include_peer_certificate`). Only
    the certificate shows a second identity or a DNS name that looks like a SPIFFE ID."""
    source: Literal["principal", "waypoint-xfcc", "metadata"] = "principal"
    """The one place the identity is read from: the connection's principal, the client certificate
    header of an Istio waypoint, or the metadata of agentgateway."""
    waypoints: Annotated[list[SpiffeIdText], UniqueTexts, Field(min_length=1)] | None = None
    """SPIFFE IDs of the waypoints that may name peers, with `source: waypoint-xfcc`."""
    metadata_namespace: Text | None = None
    """The namespace that holds `sans` and `cert`, with `source: metadata`."""
    bundles: list[TrustBundle] = []
    """Trust bundles to check peer certificates with, by trust domain."""

    @model_validator(mode="after")
    def _source_is_complete(self) -> Self:
        if (self.source == "waypoint-xfcc") != (self.waypoints is not None):
            raise ValueError("`waypoints` goes with `source: waypoint-xfcc`, and only with it")
        if (self.source == "metadata") != (self.metadata_namespace is not None):
            raise ValueError("`metadataNamespace` goes with `source: metadata`, and only with it")
        return self


class TokenSettings(Model):
    """Where the delegation token is, and what becomes of it."""

    header: HeaderName = "authorization"
    """The one header that carries it: `authorization` (as `Bearer` or `DPoP`), or one with the bare
    token."""
    upstream: Literal["keep", "remove", "forward"] = "remove"
    """Leave it in its header, remove it, or move it to `forwardHeader`."""
    forward_header: HeaderName | None = None
    """The header the upstream gets it in, with `upstream: forward`."""
    clock_skew_seconds: Annotated[int, Field(ge=0, le=300)] = 10
    """Tolerated difference of clocks, in seconds."""
    cache_entries: Annotated[int, Field(ge=0, le=1000000)] = 10000
    """Verified tokens to remember; about 4.5 kB each."""

    @model_validator(mode="after")
    def _forward_has_header(self) -> Self:
        if (self.upstream == "forward") != (self.forward_header is not None):
            raise ValueError("`forwardHeader` goes with `upstream: forward`, and only with it")
        if self.forward_header == self.header:
            raise ValueError("`forwardHeader` is `header`; use `upstream: keep`")
        return self


class DelegationSettings(Model):
    """Bounds on delegation chains."""

    max_chain_depth: Annotated[int, Field(ge=1, le=DEEPEST_CHAIN)] = 4
    """Most hops in a chain, the current actor included."""
    forbidden_actors: Annotated[list[Text], UniqueTexts] = []
    """Actors that may not stand in a chain, by SPIFFE ID or as their issuer names them."""
    required_actors: Annotated[list[Text], UniqueTexts] = []
    """Actors that must all stand in every chain."""


class DenyListSource(Model):
    """Where a deny list comes from: exactly one of the two."""

    file: Text | None = None
    """A file of kind `DenyList`; read again when it changes."""
    url: Url | None = None
    """A URL of one; `https`, or `http` on loopback."""
    ca_file: Text | None = None
    """PEM file with the authorities to trust for `url` instead of the system's."""
    refresh_seconds: Annotated[int, Field(ge=1, le=86400)] = 30
    """Seconds between fetches: how late a revocation may take effect."""
    stale_after_seconds: Annotated[int, Field(ge=10, le=604800)] = 3600
    """Seconds the last good list is used when fetching fails; then every call is refused. Of a
    file the last good one is used until there is another."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.file is None) == (self.url is None):
            raise ValueError("give exactly one of `file`, `url`")
        return self


class Replay(Model):
    """Where it is kept what was used.

    Tokens, proofs and approvals that may be used once, and how far budgets are used up.
    """

    store: Literal["memory", "redis"] = "memory"
    """`memory`: each process knows only its own. `redis`: shared by all (Redis or Valkey, extra
    `deputize[redis]`)."""
    entries: Annotated[int, Field(ge=1, le=10000000)] = 100000
    """Most identifiers kept in memory, and most counts of budgets; when all are still good, calls
    that need another are refused."""
    url_file: Text | None = None
    """File with the URL of the server, `redis://` or `rediss://`, with `store: redis`."""
    ca_file: Text | None = None
    """PEM file with the authorities to trust for `rediss://` instead of the system's."""
    timeout_millis: Annotated[int, Field(ge=1, le=5000)] = 50
    """Longest time for one answer of the server, in milliseconds."""

    @model_validator(mode="after")
    def _server_has_url(self) -> Self:
        if (self.store == "redis") != (self.url_file is not None):
            raise ValueError("`urlFile` goes with `store: redis`, and only with it")
        return self


class Upstream(Model):
    """What the upstream gets on an allow."""

    header_prefix: HeaderPrefix = "x-deputize-"
    """Prefix of our headers; inbound ones with it, or that a server could mistake for it, are
    removed."""
    remove_headers: Annotated[list[HeaderName], UniqueTexts] = []
    """Further headers the upstream must not get."""


class Audit(Model):
    """Where audit events go."""

    sink: Literal["stdout", "file"] = "stdout"
    """One JSON line per decision, to standard output or to `file`."""
    file: Text | None = None
    """The file, with `sink: file`; reopened when it is moved away."""
    claims: Annotated[list[AttributeName], UniqueTexts] = []
    """Claims of the token, or attributes of its issuer's profile, that events record, so that
    `deputize policy replay` can ask new policies about them. They may be personal data."""
    queue_size: Annotated[int, Field(ge=1, le=1000000)] = 10000
    """Events that may wait for the sink."""
    on_failure: Literal["deny", "count"] = "deny"
    """When the queue is full or the sink fails: refuse requests, or only count lost events."""

    @model_validator(mode="after")
    def _file_has_path(self) -> Self:
        if (self.sink == "file") != (self.file is not None):
            raise ValueError("`file` goes with `sink: file`, and only with it")
        return self


class ApprovalServiceSettings(Model):
    """A service whose signed approvals rules may ask for."""

    issuer: Text
    """The `iss` of its approvals, spelled exactly so; no issuer of tokens."""
    keys: KeySource
    """Where its keys come from; `discovery` is for issuers of tokens only."""
    algorithms: Algorithms = ["ES256"]
    """Signature algorithms its approvals may have."""
    max_lifetime_seconds: Annotated[int, Field(ge=1, le=86400)] = 300
    """Longest life of an approval, in seconds."""


class Approvals(Model):
    """Approvals of single calls, for rules that ask for one."""

    header: HeaderName = "x-approval"
    """The header that carries the approval; the upstream never gets it."""
    services: Annotated[list[ApprovalServiceSettings], Field(min_length=1)]
    """Services whose approvals are accepted."""


class KubernetesSettings(Model):
    """Policies and issuer profiles that are Kubernetes objects (extra `deputize[kubernetes]`)."""

    namespaces: Annotated[list[Name], UniqueTexts, Field(min_length=1, max_length=32)]
    """Namespaces whose `DelegationPolicy` objects are policies, and whose `IssuerProfile` objects
    issuers may name. Whoever may write such objects there decides."""


class ServiceSpec(Model):
    """All settings of the service. Relative paths start at the configuration file."""

    server: Server
    """Ports and transport."""
    peer: PeerSettings
    """Which workloads may be peers."""
    token: TokenSettings = TokenSettings()
    """Where the delegation token is, and what becomes of it."""
    delegation: DelegationSettings = DelegationSettings()
    """Bounds on delegation chains."""
    issuers: Annotated[list[Issuer], Field(min_length=1)]
    """Issuers whose tokens are accepted."""
    deny_lists: list[DenyListSource] = []
    """Lists of what is revoked: tokens, principals, agents, issuers."""
    replay: Replay = Replay()
    """Where it is kept what was used."""
    profiles: Annotated[list[Text], UniqueTexts] = []
    """Files of kind `IssuerProfile`, or directories of them, beside the profiles that come with
    deputize."""
    policies: Annotated[list[Text], UniqueTexts, Field(min_length=1)] = []
    """Policy files, or directories whose `*.yaml` and `*.yml` files are all read."""
    kubernetes: KubernetesSettings | None = None
    """Policies and issuer profiles that are Kubernetes objects."""
    policy_mode: Literal["enforce", "observe"] = "enforce"
    """`observe` lets pass what policies would refuse, and records it; who calls and for whom is
    still proven as ever."""
    approvals: Approvals | None = None
    """Approvals of single calls, for rules that ask for one."""
    upstream: Upstream = Upstream()
    """What the upstream gets on an allow."""
    audit: Audit = Audit()
    """Where audit events go."""

    @model_validator(mode="after")
    def _has_policies(self) -> Self:
        if not self.policies and self.kubernetes is None:
            raise ValueError("give `policies`, `kubernetes`, or both")
        return self


class ServiceConfig(Model):
    """The service's configuration file."""

    api_version: Literal["deputize.dev/v1alpha1"]
    """Always `deputize.dev/v1alpha1`."""
    kind: Literal["ServiceConfig"]
    """Always `ServiceConfig`."""
    spec: ServiceSpec
    """All settings of the service."""
