"""A small world in which a call is allowed; each test changes the one thing it is about.

`decide(make_request(token), make_snapshot(issuer), NOW, no_recall)` allows, for a token that
`Issuer(ISSUER_URL).issue(now=NOW)` gives.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from types import MappingProxyType
from urllib.parse import quote

from cryptography import x509

from deputize.core.approval import ApprovalNeed, ApprovalService
from deputize.core.bundles import Bundle
from deputize.core.call_patterns import CallPattern
from deputize.core.claims import ScopeClaim
from deputize.core.conditions import Condition
from deputize.core.decide import decide
from deputize.core.delegation import ChainRules
from deputize.core.identities import IdentityMap, parse_template
from deputize.core.keys import Algorithm, KeyRing, freeze_keys, parse_jwk_set
from deputize.core.limits import NO_LIMITS, Limits
from deputize.core.mandate import MandateRules
from deputize.core.matching import PrincipalPattern, parse_agent_pattern, parse_path_pattern
from deputize.core.model import (
    AccessRequest,
    Credential,
    DelegationStyle,
    Json,
    Kind,
    PeerSource,
    Resource,
    RuleRef,
    Scope,
    StepUp,
    UpstreamFact,
)
from deputize.core.pattern_trees import RouteTree
from deputize.core.peer import PeerRules
from deputize.core.policy_index import PolicyIndex
from deputize.core.profiles import IssuerProfile
from deputize.core.request import RequestRules
from deputize.core.revocation import NOTHING_REVOKED, Revocations
from deputize.core.rules import Budget, Policies, Rule, RuleEffect
from deputize.core.snapshot import Snapshot
from deputize.core.spiffe import SpiffeId, TrustDomain, parse_spiffe_id
from deputize.core.token_use import StatusLists
from deputize.core.trust import TrustedIssuer
from deputize.core.verdict import Decision
from tests.harness.certificates import Authority, make_certificate, to_pem
from tests.harness.issuer import Issuer

NOW = 1_800_000_000.0
ISSUER_URL = "https://issuer.example"
AUDIENCE = "orders"
HOST = "orders.example"
TRUST_DOMAIN = "prod.example.org"
AGENT = f"spiffe://{TRUST_DOMAIN}/ns/agents/sa/research"
OTHER_AGENT = f"spiffe://{TRUST_DOMAIN}/ns/agents/sa/planner"
PROXY = f"spiffe://{TRUST_DOMAIN}/ns/edge/sa/gateway"
SKEW = 10.0
MAX_LIFETIME = 3600.0
PROOF_MAX_AGE = 60.0
APPROVAL_HEADER = "x-approval"


@cache
def shared_issuer(algorithm: str = "ES256", url: str = ISSUER_URL) -> Issuer:
    """One issuer per algorithm for all tests that do not rotate its keys."""
    return Issuer(url, algorithm=algorithm)


def no_recall(_text: str) -> None:
    """Nothing was verified before."""


def decide_now(request: AccessRequest, snapshot: Snapshot) -> Decision:
    """The decision at `NOW` with nothing remembered."""
    return decide(request, snapshot, NOW, no_recall)


def bearer(token: str) -> Credential:
    """The token as it stands after `Bearer`."""
    return Credential(token, is_dpop=False, proof="")


def make_request(
    token: str | None = None,
    *,
    method: str = "GET",
    host: str = HOST,
    path: str = "/v1/orders/7",
    headers: Mapping[str, str] = MappingProxyType({}),
    peer: str = AGENT,
    certificate: str = "",
    metadata: Mapping[str, Json] = MappingProxyType({}),
    is_internal: bool = False,
    proxies: tuple[str, ...] | None = None,
    scheme: str = "https",
    defect: str = "",
    is_http: bool = True,
    decision_id: str = "decision-1",
    body: bytes = b"",
) -> AccessRequest:
    """A check as the proxy sends it, with `token` as the bearer credential, and all of `body`."""
    credential = {} if token is None else {"authorization": f"Bearer {token}"}
    return AccessRequest(
        decision_id=decision_id,
        defect=defect,
        is_http=is_http,
        method=method,
        scheme=scheme,
        host=host,
        path=path,
        headers={**credential, **headers},
        asserted_principal=peer,
        certificate=certificate,
        metadata=metadata,
        is_internal=is_internal,
        proxies=proxies,
        body=body,
        body_size=len(body),
    )


def make_rule(
    name: str = "orders/read",
    *,
    effect: str = "allow",
    agents: Iterable[str] = (AGENT,),
    principals: Iterable[PrincipalPattern] | None = None,
    hosts: Iterable[str] = (HOST,),
    methods: Iterable[str] = ("GET",),
    paths: Iterable[str] = ("/v1/orders", "/v1/orders/{id}"),
    scopes: Iterable[str] = ("orders:read",),
    max_depth: int | None = None,
    upstream_facts: Iterable[UpstreamFact] = (UpstreamFact.PRINCIPAL, UpstreamFact.AGENT),
    use_once: bool = False,
    call: CallPattern | None = None,
    upgrades: Iterable[str] = (),
    conditions: Iterable[Condition] = (),
    step_up: StepUp | None = None,
    approval: ApprovalNeed | None = None,
    budget: Budget | None = None,
    is_observed: bool = False,
) -> Rule:
    """A rule named `<policy>/<rule>` for anyone of the default issuer."""
    policy, _, rule = name.partition("/")
    return Rule(
        ref=RuleRef(policy, rule),
        effect=RuleEffect(effect),
        agents=tuple(parse_agent_pattern(text) for text in agents),
        principals=(anyone(),) if principals is None else tuple(principals),
        hosts=tuple(hosts),
        methods=tuple(methods),
        paths=tuple(parse_path_pattern(text) for text in paths),
        call=call,
        upgrades=frozenset(upgrades),
        conditions=tuple(conditions),
        scopes=frozenset(Scope(scope) for scope in scopes),
        max_depth=max_depth,
        step_up=step_up,
        approval=approval,
        budget=budget,
        upstream_facts=tuple(upstream_facts),
        use_once=use_once,
        is_observed=is_observed,
    )


def make_forbid(name: str, *paths: str, methods: Iterable[str] = ("*",)) -> Rule:
    """A rule that forbids these paths to every agent of the trust domain."""
    agents = (f"spiffe://{TRUST_DOMAIN}/**",)
    return make_rule(
        name,
        effect="forbid",
        agents=agents,
        methods=methods,
        paths=paths,
        scopes=(),
        upstream_facts=(),
    )


def anyone(issuer: str = ISSUER_URL) -> PrincipalPattern:
    """Every principal of the issuer."""
    return make_principal(issuer)


def make_principal(
    issuer: str = ISSUER_URL,
    *,
    subjects: Iterable[str] = (),
    claims: Mapping[str, Iterable[str]] = MappingProxyType({}),
) -> PrincipalPattern:
    """Principals by subject and claim values."""
    wanted = {name: frozenset(values) for name, values in claims.items()}
    return PrincipalPattern(issuer, frozenset(subjects), MappingProxyType(wanted))


DEFAULT_RULES = (
    make_rule("orders/read"),
    make_rule("orders/write", methods=("POST",), scopes=("orders:write",)),
    make_forbid("guard/secret", "/v1/orders/secret/**"),
)


PROFILE = IssuerProfile(
    token_types=frozenset({"at+jwt"}),
    header_members=frozenset(),
    required_claims=(("client_id",), ("jti",)),
    type_claims=(),
    principal=(("sub",),),
    principal_kind=(),
    client=(("client_id",),),
    token_id=(("jti",),),
    scopes=(ScopeClaim(("scope",), is_list=False),),
    attributes=(),
    actor=(("act", "sub"),),
    actor_kind=(),
    actor_kinds=frozenset({Kind.AGENT, Kind.SERVICE, Kind.UNKNOWN}),
    actor_issuers=frozenset(),
    nameless_hops=False,
    styles=frozenset({DelegationStyle.DELEGATED}),
)
"""How `Issuer` writes its tokens: as RFC 9068 and RFC 8693 do."""


def make_identities(
    exact: Mapping[str, str] = MappingProxyType({}),
    templates: Mapping[str, str] = MappingProxyType({}),
) -> IdentityMap:
    """SPIFFE IDs by name, and templates by theirs."""
    return IdentityMap(
        {name: parse_spiffe_id(text) for name, text in exact.items()},
        tuple(parse_template(name, text) for name, text in templates.items()),
    )


def make_mandate_rules(
    issuer: str = ISSUER_URL,
    *,
    profile: IssuerProfile = PROFILE,
    identities: IdentityMap | None = None,
    agent_domains: Iterable[str] | None = None,
) -> MandateRules:
    """Agents are named by their SPIFFE IDs, and may be of any trust domain."""
    return MandateRules(
        issuer,
        profile,
        identities or make_identities(),
        None if agent_domains is None else frozenset(map(TrustDomain, agent_domains)),
    )


def make_trusted_issuer(
    issuer: str = ISSUER_URL, *, rules: MandateRules | None = None
) -> TrustedIssuer:
    """Trust in an issuer whose tokens have our audience, with every algorithm."""
    return TrustedIssuer(
        issuer=issuer,
        audiences=frozenset({AUDIENCE}),
        algorithms=tuple(Algorithm),
        max_lifetime=MAX_LIFETIME,
        clock_skew=SKEW,
        mandate_rules=rules or make_mandate_rules(issuer),
        use_once=False,
        introspected=False,
        binding_required=False,
        proof_max_age=PROOF_MAX_AGE,
        has_status_lists=False,
        status_required=False,
        digest=f"trust in {issuer}",
    )


def make_key_ring(issuer: Issuer, usable_until: float = NOW + MAX_LIFETIME) -> KeyRing:
    """The keys the issuer publishes now."""
    keys, _ = parse_jwk_set(issuer.jwks(), tuple(Algorithm))
    return freeze_keys(keys, usable_until)


def make_peer_rules(
    *,
    trust_domains: Iterable[str] = (TRUST_DOMAIN,),
    require_certificate: bool = False,
    allowed_proxies: Iterable[str] | None = None,
    source: PeerSource = PeerSource.PRINCIPAL,
    waypoints: Iterable[SpiffeId] = (),
    metadata_namespace: str = "",
    bundles: Mapping[TrustDomain, Bundle] = MappingProxyType({}),
) -> PeerRules:
    """Trust in the proxy's word about peers of our trust domain."""
    return PeerRules(
        trust_domains=frozenset(TrustDomain(name) for name in trust_domains),
        require_certificate=require_certificate,
        allowed_proxies=None if allowed_proxies is None else frozenset(allowed_proxies),
        source=source,
        waypoints=frozenset(waypoints),
        metadata_namespace=metadata_namespace,
        bundles=bundles,
    )


def make_snapshot(
    issuer: Issuer | Sequence[Issuer],
    *,
    rules: Iterable[Rule] = DEFAULT_RULES,
    trusted: Iterable[TrustedIssuer] | None = None,
    key_rings: Mapping[str, KeyRing] | None = None,
    token_header: str = "authorization",
    trust_domains: Iterable[str] = (TRUST_DOMAIN,),
    require_certificate: bool = False,
    allowed_proxies: Iterable[str] | None = None,
    max_depth: int = 4,
    forbidden: Iterable[str] = (),
    required: Iterable[str] = (),
    revocations: Revocations = NOTHING_REVOKED,
    status_lists: StatusLists = MappingProxyType({}),
    policies: Policies | None = None,
) -> Snapshot:
    """Everything a decision is made under; `trusted` replaces trust in all the given issuers."""
    issuers = [issuer] if isinstance(issuer, Issuer) else list(issuer)
    if trusted is None:
        trusted = [make_trusted_issuer(each.url) for each in issuers]
    if key_rings is None:
        key_rings = {each.url: make_key_ring(each) for each in issuers}
    return Snapshot(
        request_rules=RequestRules(token_header),
        peer_rules=make_peer_rules(
            trust_domains=trust_domains,
            require_certificate=require_certificate,
            allowed_proxies=allowed_proxies,
        ),
        issuers={each.issuer: each for each in trusted},
        key_rings=key_rings,
        revocations=revocations,
        status_lists=status_lists,
        chain_rules=ChainRules(max_depth, frozenset(forbidden), frozenset(required)),
        policies=policies or make_policies(rules),
        digest="digest of the configuration",
    )


def with_rules(snapshot: Snapshot, rules: Iterable[Rule]) -> Snapshot:
    """The same world under other policies."""
    return replace(snapshot, policies=make_policies(rules))


def make_policies(
    rules: Iterable[Rule],
    *,
    resources: Iterable[tuple[str, str, Resource]] = (),
    limits: Limits = NO_LIMITS,
    services: Iterable[ApprovalService] = (),
    is_observed: bool = False,
) -> Policies:
    """These rules in use; `resources` are hosts and path patterns with what stands behind them."""
    tree: RouteTree[list[Resource]] = RouteTree(list)
    for host, path, resource in resources:
        tree.leaf(host, parse_path_pattern(path)).append(resource)
    return Policies(
        index=PolicyIndex(rules),
        resources=tree,
        limits=limits,
        approval_header=APPROVAL_HEADER,
        approval_services={service.issuer: service for service in services},
        is_observed=is_observed,
    )


def make_svid(
    uris: Sequence[str] = (AGENT,),
    dns: Sequence[str] = (),
    *,
    issuer: Authority | None = None,
    is_authority: bool | None = False,
    key_uses: Collection[str] = ("digital_signature",),
    purposes: Collection[x509.ObjectIdentifier] = (),
    not_before: float = NOW - 60,
    not_after: float = NOW + 3600,
) -> str:
    """A peer certificate as Envoy sends it: PEM, URL-encoded. Without an issuer it signs itself.

    An extension is left out where there are no names, uses or purposes, or `is_authority` is
    None.
    """
    certificate = make_certificate(
        issuer,
        uris=uris,
        dns=dns,
        is_authority=is_authority,
        key_uses=key_uses,
        purposes=purposes,
        not_before=not_before,
        not_after=not_after,
    )
    return encode_pem(to_pem(certificate))


def encode_pem(pem: bytes) -> str:
    """PEM as it stands in the check."""
    return quote(pem, safe="")
