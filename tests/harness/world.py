"""A small world in which a call is allowed; each test changes the one thing it is about.

`decide(make_request(token), make_snapshot(issuer), NOW, no_recall)` allows, for a token that
`Issuer(ISSUER_URL).issue(now=NOW)` gives.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from types import MappingProxyType
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from deputize.core.decide import decide
from deputize.core.delegation import ChainRules
from deputize.core.keys import Algorithm, KeyRing, freeze_keys, parse_jwk_set
from deputize.core.matching import PrincipalPattern, parse_agent_pattern, parse_path_pattern
from deputize.core.model import AccessRequest, RuleRef, Scope, UpstreamFact
from deputize.core.peer import PeerRules
from deputize.core.policy import Rule, RuleEffect
from deputize.core.policy_index import PolicyIndex
from deputize.core.request import RequestRules
from deputize.core.snapshot import Snapshot
from deputize.core.spiffe import TrustDomain
from deputize.core.token import TrustedIssuer
from deputize.core.verdict import Decision
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


@cache
def shared_issuer(algorithm: str = "ES256", url: str = ISSUER_URL) -> Issuer:
    """One issuer per algorithm for all tests that do not rotate its keys."""
    return Issuer(url, algorithm=algorithm)


def no_recall(_text: str) -> None:
    """Nothing was verified before."""


def decide_now(request: AccessRequest, snapshot: Snapshot) -> Decision:
    """The decision at `NOW` with nothing remembered."""
    return decide(request, snapshot, NOW, no_recall)


def make_request(
    token: str | None = None,
    *,
    method: str = "GET",
    host: str = HOST,
    path: str = "/v1/orders/7",
    headers: Mapping[str, str] = MappingProxyType({}),
    peer: str = AGENT,
    certificate: str = "",
    proxies: tuple[str, ...] | None = None,
    defect: str = "",
    is_http: bool = True,
    decision_id: str = "decision-1",
) -> AccessRequest:
    """A check as the proxy sends it, with `token` as the bearer credential."""
    credential = {} if token is None else {"authorization": f"Bearer {token}"}
    return AccessRequest(
        decision_id=decision_id,
        defect=defect,
        is_http=is_http,
        method=method,
        host=host,
        path=path,
        headers={**credential, **headers},
        asserted_principal=peer,
        certificate=certificate,
        proxies=proxies,
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
        scopes=frozenset(Scope(scope) for scope in scopes),
        max_depth=max_depth,
        upstream_facts=tuple(upstream_facts),
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


def make_trusted_issuer(issuer: str = ISSUER_URL) -> TrustedIssuer:
    """Trust in an issuer whose tokens have our audience, with every algorithm."""
    return TrustedIssuer(
        issuer=issuer,
        audiences=frozenset({AUDIENCE}),
        algorithms=tuple(Algorithm),
        token_types=frozenset({"at+jwt"}),
        max_lifetime=MAX_LIFETIME,
        clock_skew=SKEW,
        digest=f"trust in {issuer}",
    )


def make_key_ring(issuer: Issuer, usable_until: float = NOW + MAX_LIFETIME) -> KeyRing:
    """The keys the issuer publishes now."""
    keys, _ = parse_jwk_set(issuer.jwks(), tuple(Algorithm))
    return freeze_keys(keys, usable_until)


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
) -> Snapshot:
    """Everything a decision is made under; `trusted` replaces trust in all the given issuers."""
    issuers = [issuer] if isinstance(issuer, Issuer) else list(issuer)
    if trusted is None:
        trusted = [make_trusted_issuer(each.url) for each in issuers]
    if key_rings is None:
        key_rings = {each.url: make_key_ring(each) for each in issuers}
    return Snapshot(
        request_rules=RequestRules(token_header),
        peer_rules=PeerRules(
            frozenset(TrustDomain(name) for name in trust_domains),
            require_certificate,
            None if allowed_proxies is None else frozenset(allowed_proxies),
        ),
        issuers={each.issuer: each for each in trusted},
        key_rings=key_rings,
        chain_rules=ChainRules(max_depth),
        policies=PolicyIndex(rules),
        digest="digest of the configuration",
    )


def with_rules(snapshot: Snapshot, rules: Iterable[Rule]) -> Snapshot:
    """The same world under other policies."""
    return replace(snapshot, policies=PolicyIndex(rules))


_KEY_USES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


@cache
def _certificate_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def make_svid(
    uris: Sequence[str] = (AGENT,),
    dns: Sequence[str] = (),
    *,
    is_authority: bool | None = False,
    key_uses: Collection[str] = ("digital_signature",),
    not_before: float = NOW - 60,
    not_after: float = NOW + 3600,
) -> str:
    """A peer certificate as Envoy sends it: PEM, URL-encoded.

    An extension is left out where there are no names, no key uses, or `is_authority` is None.
    """
    key, name = _certificate_key(), x509.Name([])
    names = [
        *(x509.UniformResourceIdentifier(uri) for uri in uris),
        *(x509.DNSName(text) for text in dns),
    ]
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.fromtimestamp(not_before, UTC))
        .not_valid_after(datetime.fromtimestamp(not_after, UTC))
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if is_authority is not None:
        constraints = x509.BasicConstraints(ca=is_authority, path_length=None)
        builder = builder.add_extension(constraints, critical=True)
    if key_uses:
        usage = x509.KeyUsage(**{use: use in key_uses for use in _KEY_USES})
        builder = builder.add_extension(usage, critical=True)
    return encode_pem(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))


def encode_pem(pem: bytes) -> str:
    """PEM as it stands in the check."""
    return quote(pem, safe="")
