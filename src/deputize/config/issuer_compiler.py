"""From configured issuers to what the core trusts of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from types import MappingProxyType

from deputize.config.issuer_profiles import compile_profile, effective_keys
from deputize.config.issuer_schema import Identities, Issuer, ProfileKeys, ProfileSpec
from deputize.config.problems import Problem, nearest, show_found
from deputize.config.schema import ServiceSpec
from deputize.config.strict_yaml import Document, Location
from deputize.core.identities import IdentityError, IdentityMap, Template, parse_template
from deputize.core.keys import Algorithm
from deputize.core.mandate import MandateRules
from deputize.core.spiffe import TrustDomain, parse_spiffe_id
from deputize.core.trust import TrustedIssuer


def compile_issuers(
    service: ServiceSpec, document: Document, profiles: Mapping[str, ProfileSpec]
) -> tuple[Mapping[str, TrustedIssuer], list[Problem]]:
    """The issuers by name, and every problem with them; `profiles` are all that may be named."""
    problems: list[Problem] = []
    issuers: dict[str, TrustedIssuer] = {}
    for position, entry in enumerate(service.issuers):
        place: Location = ("spec", "issuers", position)
        if entry.issuer in issuers:
            message = f"issuer {show_found(entry.issuer)} stands twice"
            problems.append(document.problem((*place, "issuer"), message))
        keys = effective_keys(entry, profiles)
        if entry.profile not in profiles:
            message = f"no profile {show_found(entry.profile)}{nearest(entry.profile, profiles)}"
            problems.append(document.problem((*place, "profile"), message))
        else:
            problems += _check_keys(entry, keys, document, place)
        problems += _check(entry, service, document, place)
        identities, found = _compile_identities(entry.identities, document, place)
        problems += found
        issuers[entry.issuer] = _compile(entry, keys, service, identities)
    return MappingProxyType(issuers), problems


def allowed_algorithms(keys: ProfileKeys) -> tuple[Algorithm, ...]:
    """The algorithms an issuer's keys may be pinned to, from its effective keys."""
    return tuple(map(Algorithm, keys.algorithms or ()))


def _compile(
    entry: Issuer, keys: ProfileKeys, service: ServiceSpec, identities: IdentityMap
) -> TrustedIssuer:
    domains = entry.agent_trust_domains
    lists = entry.status_lists
    skew = service.token.clock_skew_seconds
    return TrustedIssuer(
        issuer=entry.issuer,
        audiences=frozenset(entry.audiences),
        algorithms=allowed_algorithms(keys),
        max_lifetime=float(keys.max_lifetime_seconds or 0),
        clock_skew=float(skew),
        mandate_rules=MandateRules(
            entry.issuer,
            compile_profile(keys),
            identities,
            None if domains is None else frozenset(map(TrustDomain, domains)),
        ),
        use_once=entry.use_once,
        introspected=entry.introspection is not None,
        binding_required=entry.binding.required,
        proof_max_age=float(entry.binding.proof_max_age_seconds),
        has_status_lists=lists is not None,
        status_required=lists is not None and lists.required,
        digest=_digest(entry, keys, skew),
    )


def _digest(entry: Issuer, keys: ProfileKeys, skew: int) -> str:
    """Names what a remembered token was verified under; where keys come from is no part of it."""
    own = entry.model_dump(mode="json", exclude={"keys"})
    settings = [own, keys.model_dump(mode="json"), skew]
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def _compile_identities(
    entry: Identities, document: Document, place: Location
) -> tuple[IdentityMap, list[Problem]]:
    problems: list[Problem] = []
    templates: list[Template] = []
    for position, template in enumerate(entry.templates or ()):
        try:
            templates.append(parse_template(template.name, template.spiffe_id))
        except IdentityError as error:
            inner = (*place, "identities", "templates", position)
            problems.append(document.problem(inner, str(error)))
    exact = {name: parse_spiffe_id(text) for name, text in (entry.exact or {}).items()}
    return IdentityMap(MappingProxyType(exact), tuple(templates)), problems


def _check_keys(
    entry: Issuer, keys: ProfileKeys, document: Document, place: Location
) -> list[Problem]:
    problems: list[Problem] = []
    if entry.use_once and not keys.token_id:
        message = "`useOnce` needs a `tokenId`, and the profile names none"
        problems.append(document.problem((*place, "useOnce"), message))
    if not keys.algorithms:
        message = "`algorithms` is not given, and the profile names none"
        problems.append(document.problem(place, message))
    return problems


def _check(
    entry: Issuer, service: ServiceSpec, document: Document, place: Location
) -> list[Problem]:
    problems: list[Problem] = []
    if entry.issuer in entry.audiences:
        message = "the issuer itself is no audience: such tokens are meant for the issuer"
        problems.append(document.problem((*place, "audiences"), message))
    problems += _check_agents(entry, service, document, place)
    known = service.peer.trust_domains
    for position, domain in enumerate(entry.agent_trust_domains or ()):
        if domain not in known:
            message = f"`{domain}` is not in `peer.trustDomains`{nearest(domain, known)}"
            problems.append(document.problem((*place, "agentTrustDomains", position), message))
    return problems


def _check_agents(
    entry: Issuer, service: ServiceSpec, document: Document, place: Location
) -> list[Problem]:
    """An agent of a domain that the issuer may not name could never act."""
    known = entry.agent_trust_domains or service.peer.trust_domains
    inner = (*place, "identities")
    identities = entry.identities
    named = [((*inner, "exact", name), text) for name, text in (identities.exact or {}).items()]
    named += [
        ((*inner, "templates", position, "spiffeId"), template.spiffe_id)
        for position, template in enumerate(identities.templates or ())
    ]
    return [
        document.problem(
            where, f"trust domain `{domain}` is not one of ours{nearest(domain, known)}"
        )
        for where, text in named
        if (domain := text.removeprefix("spiffe://").partition("/")[0]) not in known
    ]
