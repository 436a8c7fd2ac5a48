"""From checked models to the values of the core, with every check that spans files.

Rules of this file:
- All problems are collected, none stops the search for others.
- A rule that can never match because it names something unknown is a problem, not a no-op.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from deputize.config.issuer_compiler import compile_issuers
from deputize.config.problems import Problem, nearest
from deputize.config.schema import DelegationPolicy, OnBehalfOf, PolicyRule, ServiceSpec
from deputize.config.strict_yaml import Document, Location
from deputize.core.delegation import ChainRules
from deputize.core.matching import (
    PathPattern,
    PrincipalPattern,
    parse_agent_pattern,
    parse_path_pattern,
)
from deputize.core.model import PeerSource, RuleRef, Scope, UpstreamFact
from deputize.core.policy import Rule, RuleEffect
from deputize.core.request import RequestRules
from deputize.core.spiffe import SpiffeId, TrustDomain, parse_spiffe_id
from deputize.core.trust import TrustedIssuer

_DEFAULT_FACTS = (UpstreamFact.PRINCIPAL, UpstreamFact.AGENT, UpstreamFact.DECISION_ID)


@dataclass(frozen=True, slots=True)
class CompiledPeers:
    """Whom to believe as a peer; `bundled` are the domains that have a trust bundle."""

    trust_domains: frozenset[TrustDomain]
    require_certificate: bool
    source: PeerSource
    waypoints: frozenset[SpiffeId]
    metadata_namespace: str
    bundled: frozenset[TrustDomain]


@dataclass(frozen=True, slots=True)
class Compiled:
    """The core's rules for the four questions, without keys."""

    request_rules: RequestRules
    peers: CompiledPeers
    issuers: Mapping[str, TrustedIssuer]
    chain_rules: ChainRules
    rules: tuple[Rule, ...]


def compile_config(
    service: ServiceSpec,
    service_document: Document,
    policies: list[tuple[DelegationPolicy, Document]],
) -> tuple[Compiled, list[Problem]]:
    """Builds the values of the core and names every problem found on the way."""
    problems = _check_service(service, service_document)
    problems += _check_names(policies)
    issuers, found = compile_issuers(service, service_document)
    problems += found
    rules = tuple(
        _compile_rule(policy.metadata.name, rule)
        for policy, _document in policies
        for rule in policy.spec.rules
    )
    chain = service.delegation
    compiled = Compiled(
        RequestRules(service.token.header),
        _compile_peers(service),
        issuers,
        ChainRules(
            chain.max_chain_depth,
            frozenset(chain.forbidden_actors),
            frozenset(chain.required_actors),
        ),
        rules,
    )
    return compiled, problems


def _compile_peers(service: ServiceSpec) -> CompiledPeers:
    peer = service.peer
    return CompiledPeers(
        frozenset(map(TrustDomain, peer.trust_domains)),
        peer.require_certificate,
        PeerSource(peer.source),
        frozenset(map(parse_spiffe_id, peer.waypoints or ())),
        peer.metadata_namespace or "",
        frozenset(TrustDomain(bundle.trust_domain) for bundle in peer.bundles),
    )


def _compile_rule(policy: str, rule: PolicyRule) -> Rule:
    effect = RuleEffect(rule.effect)
    paths = tuple(parse_path_pattern(text) for text in rule.paths)
    return Rule(
        ref=RuleRef(policy, rule.name),
        effect=effect,
        agents=tuple(parse_agent_pattern(text) for text in rule.agents),
        principals=tuple(_compile_principal(entry) for entry in rule.on_behalf_of),
        hosts=tuple(rule.hosts),
        methods=tuple(rule.methods),
        paths=_with_trailing_slash(paths) if effect is RuleEffect.FORBID else paths,
        scopes=frozenset(Scope(scope) for scope in rule.scopes or ()),
        max_depth=rule.chain.max_depth if rule.chain else None,
        upstream_facts=_DEFAULT_FACTS
        if rule.obligations is None
        else tuple(UpstreamFact(name) for name in rule.obligations.upstream_headers),
        use_once=rule.obligations is not None and rule.obligations.use_token_once,
    )


def _compile_principal(entry: OnBehalfOf) -> PrincipalPattern:
    claims = {name: frozenset(values) for name, values in (entry.claims or {}).items()}
    return PrincipalPattern(entry.issuer, frozenset(entry.subjects or ()), MappingProxyType(claims))


def _with_trailing_slash(paths: tuple[PathPattern, ...]) -> tuple[PathPattern, ...]:
    """Many back ends serve `/admin/` as `/admin`; a forbid must not depend on it."""
    twins = {path.segments: path for path in paths if not path.has_tail}
    for path in paths:
        if not path.has_tail:
            slashed = path.segments[:-1] if path.segments[-1] == "" else (*path.segments, "")
            if slashed:
                twins.setdefault(slashed, PathPattern(path.text, slashed, has_tail=False))
    return (*(path for path in paths if path.has_tail), *twins.values())


def _check_service(service: ServiceSpec, document: Document) -> list[Problem]:
    problems: list[Problem] = []
    server = service.server
    if server.transport == "native" and server.grpc.tls is not None:
        problems.append(
            document.problem(
                ("spec", "server", "grpc", "tls"),
                "transport `native` has no TLS; use `grpcio`, or a Unix socket or loopback",
            )
        )
    if server.transport == "native" and len(server.grpc.listen) > 1:
        problems.append(
            document.problem(
                ("spec", "server", "grpc", "listen", 1),
                "transport `native` listens on one address only",
            )
        )
    problems += _check_headers(service, document)
    known = service.peer.trust_domains
    for position, bundle in enumerate(service.peer.bundles):
        if bundle.trust_domain not in known:
            near = nearest(bundle.trust_domain, known)
            place = ("spec", "peer", "bundles", position, "trustDomain")
            message = f"`{bundle.trust_domain}` is not in `peer.trustDomains`{near}"
            problems.append(document.problem(place, message))
    return problems


def _check_headers(service: ServiceSpec, document: Document) -> list[Problem]:
    """Headers with our prefix are ours alone."""
    named: list[tuple[Location, str | None]] = [
        (("spec", "token", "header"), service.token.header),
        (("spec", "token", "forwardHeader"), service.token.forward_header),
    ]
    named += [
        (("spec", "upstream", "removeHeaders", position), name)
        for position, name in enumerate(service.upstream.remove_headers)
    ]
    prefix = service.upstream.header_prefix
    return [
        document.problem(location, f"begins with `{prefix}`, which is kept for our own headers")
        for location, name in named
        if name is not None and name.startswith(prefix)
    ]


def _check_names(policies: list[tuple[DelegationPolicy, Document]]) -> list[Problem]:
    problems: list[Problem] = []
    first: dict[str, str] = {}
    for policy, document in policies:
        name = policy.metadata.name
        if name in first:
            problems.append(
                document.problem(
                    ("metadata", "name"), f"policy `{name}` stands in {first[name]} too"
                )
            )
        first.setdefault(name, document.file)
        seen: set[str] = set()
        for position, rule in enumerate(policy.spec.rules):
            if rule.name in seen:
                problems.append(
                    document.problem(
                        ("spec", "rules", position, "name"), f"rule `{rule.name}` stands twice"
                    )
                )
            seen.add(rule.name)
    return problems
