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
from deputize.config.issuer_profiles import known_profiles
from deputize.config.issuer_schema import ProfileSpec
from deputize.config.policy_compiler import (
    CompiledPolicies,
    SourcedPolicies,
    compile_policies,
)
from deputize.config.problems import Problem, nearest
from deputize.config.schema import ServiceSpec
from deputize.config.strict_yaml import Document, Location
from deputize.core.approval import ApprovalService
from deputize.core.delegation import ChainRules
from deputize.core.keys import Algorithm
from deputize.core.model import PeerSource
from deputize.core.request import RequestRules
from deputize.core.spiffe import SpiffeId, TrustDomain, parse_spiffe_id
from deputize.core.trust import TrustedIssuer


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
    """The core's rules for the four questions, without keys.

    `approval_services` are by their issuer; with `is_observed` no refusal of policies is enforced.
    """

    request_rules: RequestRules
    peers: CompiledPeers
    issuers: Mapping[str, TrustedIssuer]
    chain_rules: ChainRules
    policies: CompiledPolicies
    approval_header: str
    approval_services: Mapping[str, ApprovalService]
    is_observed: bool


def compile_config(
    service: ServiceSpec,
    service_document: Document,
    policies: SourcedPolicies,
    profiles: Mapping[str, ProfileSpec] | None = None,
) -> tuple[Compiled, list[Problem]]:
    """Builds the values of the core and names every problem found on the way.

    `profiles` are those that issuers may name beside those that come with deputize.
    """
    problems = _check_service(service, service_document)
    named = {**(profiles or {}), **known_profiles()}
    issuers, found = compile_issuers(service, service_document, named)
    problems += found
    compiled_policies, found = compile_policies(policies)
    problems += found
    services = _approval_services(service)
    problems += _check_approvals(service, service_document, policies)
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
        compiled_policies,
        service.approvals.header if service.approvals else "",
        services,
        service.policy_mode == "observe",
    )
    return compiled, problems


def _approval_services(service: ServiceSpec) -> Mapping[str, ApprovalService]:
    entries = service.approvals.services if service.approvals else []
    return MappingProxyType(
        {
            entry.issuer: ApprovalService(
                entry.issuer,
                tuple(map(Algorithm, entry.algorithms)),
                float(entry.max_lifetime_seconds),
                float(service.token.clock_skew_seconds),
            )
            for entry in entries
        }
    )


def _check_approvals(
    service: ServiceSpec, document: Document, policies: SourcedPolicies
) -> list[Problem]:
    """Services that are known once, apart from issuers of tokens, and rules that name them."""
    problems: list[Problem] = []
    entries = service.approvals.services if service.approvals else []
    known = {entry.issuer for entry in service.issuers}
    for position, entry in enumerate(entries):
        place: Location = ("spec", "approvals", "services", position)
        if entry.issuer in known:
            message = "stands twice, or is an issuer of tokens: its tokens would be approvals"
            problems.append(document.problem((*place, "issuer"), message))
        if entry.keys.discovery:
            message = "`discovery` is for issuers of tokens; give `file` or `url`"
            problems.append(document.problem((*place, "keys", "discovery"), message))
        known.add(entry.issuer)
    services = {entry.issuer for entry in entries}
    for policy, source in policies:
        for number, rule in enumerate(policy.spec.rules):
            for position, name in enumerate(rule.approval.services if rule.approval else ()):
                if name not in services:
                    near = nearest(name, services) if services else ""
                    at = ("spec", "rules", number, "approval", "services", position)
                    message = f"`{name}` is not in `approvals.services`{near}"
                    problems.append(source.problem(at, message))
    return problems


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
    approvals = service.approvals
    named: list[tuple[Location, str | None]] = [
        (("spec", "approvals", "header"), approvals.header if approvals else None),
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
