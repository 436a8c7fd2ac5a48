"""Names in a policy that must stand in the service configuration: issuers and trust domains.

Works on the plain document, so that a policy, or a configuration, with other mistakes has these
reported too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from deputize.config.problems import Problem, nearest, show_found
from deputize.config.strict_yaml import Document, Location, Value
from deputize.core.spiffe import SpiffeIdError, TrustDomain

_SCHEME = "spiffe://"


@dataclass(frozen=True, slots=True)
class Known:
    """What the configuration names; empty where it says nothing readable."""

    issuers: frozenset[str]
    trust_domains: frozenset[str]


def known_names(configuration: Document) -> Known:
    """The issuers and trust domains of a service configuration."""
    value = configuration.value
    issuers = (text for text, _ in _texts(value, ("spec", "issuers", None, "issuer")))
    domains = (text for text, _ in _texts(value, ("spec", "peer", "trustDomains", None)))
    return Known(frozenset(issuers), _valid(domains))


def _valid(domains: Iterator[str]) -> frozenset[str]:
    """None of them when one is wrong: what is meant by it would be reported as unknown."""
    names = frozenset(domains)
    try:
        return frozenset(TrustDomain(name).name for name in names)
    except SpiffeIdError:
        return frozenset()


def check_references(policy: Document, known: Known) -> list[Problem]:
    """Each issuer and trust domain of the policy that the configuration does not know."""
    problems: list[Problem] = []
    if known.issuers:
        for issuer, place in _named(policy.value, ("onBehalfOf", None, "issuer")):
            if issuer not in known.issuers:
                near = nearest(issuer, known.issuers)
                message = f"issuer {show_found(issuer)} is not configured{near}"
                problems.append(policy.problem(place, message))
    if known.trust_domains:
        for agent, place in _named(policy.value, ("agents", None)):
            domain = agent.removeprefix(_SCHEME).partition("/")[0]
            if agent.startswith(_SCHEME) and domain not in known.trust_domains:
                near = nearest(domain, known.trust_domains)
                message = f"trust domain `{domain}` is not in `peer.trustDomains`{near}"
                problems.append(policy.problem(place, message))
    return problems


def _named(value: Value, path: tuple[str | None, ...]) -> Iterator[tuple[str, Location]]:
    """The texts at this path in each entry of each list that names agents and principals."""
    for key in ("rules", "agentCeilings", "principalScopes"):
        yield from _texts(value, ("spec", key, None, *path))


def _texts(
    value: Value, path: tuple[str | None, ...], place: Location = ()
) -> Iterator[tuple[str, Location]]:
    """The texts at a path of keys, with their places; None stands for every list entry."""
    if not path:
        if isinstance(value, str):
            yield value, place
        return
    step, rest = path[0], path[1:]
    if step is None:
        for position, entry in enumerate(value if isinstance(value, list) else []):
            yield from _texts(entry, rest, (*place, position))
    elif isinstance(value, dict) and step in value:
        yield from _texts(value[step], rest, (*place, step))
