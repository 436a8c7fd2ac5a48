"""From checked models to the values of the core, with every check that spans files.

Rules of this file:
- All problems are collected, none stops the search for others.
- A rule that can never match because it names something unknown is a problem, not a no-op.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from deputize.config.problems import Problem, show_found
from deputize.config.schema import DelegationPolicy, Issuer, OnBehalfOf, PolicyRule, ServiceSpec
from deputize.config.strict_yaml import Document, Location
from deputize.core.delegation import ChainRules
from deputize.core.keys import Algorithm
from deputize.core.matching import (
    PathPattern,
    PrincipalPattern,
    parse_agent_pattern,
    parse_path_pattern,
)
from deputize.core.model import RuleRef, Scope, UpstreamFact
from deputize.core.policy import Rule, RuleEffect
from deputize.core.request import RequestRules
from deputize.core.spiffe import TrustDomain
from deputize.core.token import TrustedIssuer, normalize_type

_DEFAULT_FACTS = (UpstreamFact.PRINCIPAL, UpstreamFact.AGENT, UpstreamFact.DECISION_ID)


@dataclass(frozen=True, slots=True)
class Compiled:
    """The core's rules for the four questions, without keys."""

    request_rules: RequestRules
    trust_domains: frozenset[TrustDomain]
    require_certificate: bool
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
    issuers = {entry.issuer: _compile_issuer(entry, service) for entry in service.issuers}
    domains = frozenset(TrustDomain(name) for name in service.peer.trust_domains)
    rules = tuple(
        _compile_rule(policy.metadata.name, rule)
        for policy, _document in policies
        for rule in policy.spec.rules
    )
    compiled = Compiled(
        RequestRules(service.token.header),
        domains,
        service.peer.require_certificate,
        MappingProxyType(issuers),
        ChainRules(service.delegation.max_chain_depth),
        rules,
    )
    return compiled, problems


def _compile_issuer(entry: Issuer, service: ServiceSpec) -> TrustedIssuer:
    skew = service.token.clock_skew_seconds
    settings = f"{entry.model_dump_json(exclude={'keys'})} {skew}"
    return TrustedIssuer(
        issuer=entry.issuer,
        audiences=frozenset(entry.audiences),
        algorithms=tuple(Algorithm(name) for name in entry.algorithms),
        token_types=frozenset(normalize_type(name) for name in entry.token_types),
        max_lifetime=float(entry.max_lifetime_seconds),
        clock_skew=float(skew),
        digest=hashlib.sha256(settings.encode()).hexdigest(),
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
    seen: set[str] = set()
    for position, entry in enumerate(service.issuers):
        if entry.issuer in seen:
            problems.append(
                document.problem(
                    ("spec", "issuers", position, "issuer"),
                    f"issuer {show_found(entry.issuer)} stands twice",
                )
            )
        seen.add(entry.issuer)
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
