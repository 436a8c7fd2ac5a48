"""What is in use now: configuration and keys put together, and swapped as one value.

Rules of this file:
- Readers take `current` once and never lock; writers build a new value and swap it in.
- A key ring outlives a reload as long as its issuer keeps the same key source.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TypeVar

from deputize.adapters.envoy_response import Answers, UpstreamRules
from deputize.config.compiler import Compiled
from deputize.config.loader import Loaded
from deputize.config.schema import ServiceSpec
from deputize.core.bundles import Bundle, empty_bundle
from deputize.core.keys import KeyRing
from deputize.core.model import VerifiedToken
from deputize.core.peer import PeerRules
from deputize.core.policy_index import PolicyIndex
from deputize.core.revocation import NOTHING_REVOKED, Revocations
from deputize.core.rules import Policies
from deputize.core.snapshot import Snapshot
from deputize.core.spiffe import TrustDomain
from deputize.core.status_list import StatusList
from deputize.core.token_use import StatusLists
from deputize.server.ports import Active

KeyT = TypeVar("KeyT")
ValueT = TypeVar("ValueT")


@dataclass(frozen=True, slots=True)
class Fetched:
    """What sources in the background gave so far."""

    key_rings: Mapping[str, KeyRing]
    revocations: Revocations
    status_lists: StatusLists
    bundles: Mapping[TrustDomain, Bundle]


class State:
    """Holds the active snapshot.

    `proxies` are those that may ask, None for any. They belong to the port, which stays as
    it was started, so a new configuration does not change them.
    """

    def __init__(self, proxies: frozenset[str] | None) -> None:
        self._proxies = proxies
        self._lock = threading.Lock()
        self._active: Active | None = None
        self._fetched = Fetched({}, NOTHING_REVOKED, {}, {})

    @property
    def current(self) -> Active | None:
        """What checks are answered under now."""
        return self._active

    @property
    def fetched(self) -> Fetched:
        """What was fetched so far."""
        return self._fetched

    def use(self, loaded: Loaded, revocations: Revocations) -> None:
        """Decides under this configuration from now on, and refuses what is revoked."""
        answers = Answers(upstream_rules(loaded.service))
        with self._lock:
            self._fetched = replace(self._fetched, revocations=revocations)
            snapshot = build_snapshot(loaded.compiled, loaded.digest, self._fetched, self._proxies)
            self._active = Active(snapshot, answers)

    def publish_ring(self, issuer: str, ring: KeyRing) -> None:
        """Verifies tokens of the issuer with this ring from now on."""
        with self._lock:
            self._swap(replace(self._fetched, key_rings={**self._fetched.key_rings, issuer: ring}))

    def drop_ring(self, issuer: str) -> None:
        """Trusts no key of the issuer any more."""
        with self._lock:
            self._swap(replace(self._fetched, key_rings=_without(self._fetched.key_rings, issuer)))

    def publish_revocations(self, revocations: Revocations) -> None:
        """Refuses what is revoked from now on."""
        with self._lock:
            self._swap(replace(self._fetched, revocations=revocations))

    def publish_status_list(self, issuer: str, status_list: StatusList) -> None:
        """Looks tokens of the issuer up in this list from now on."""
        with self._lock:
            key = (issuer, status_list.uri)
            self._swap(
                replace(
                    self._fetched, status_lists={**self._fetched.status_lists, key: status_list}
                )
            )

    def drop_status_list(self, issuer: str, uri: str) -> None:
        """Forgets a list that is no longer kept fresh."""
        with self._lock:
            self._swap(
                replace(
                    self._fetched, status_lists=_without(self._fetched.status_lists, (issuer, uri))
                )
            )

    def publish_bundle(self, domain: TrustDomain, bundle: Bundle) -> None:
        """Checks peer certificates of the domain with this bundle from now on."""
        with self._lock:
            self._swap(replace(self._fetched, bundles={**self._fetched.bundles, domain: bundle}))

    def drop_bundle(self, domain: TrustDomain) -> None:
        """Trusts no authority of the domain any more."""
        with self._lock:
            self._swap(replace(self._fetched, bundles=_without(self._fetched.bundles, domain)))

    def _swap(self, fetched: Fetched) -> None:
        self._fetched = fetched
        active = self._active
        if active is not None:
            self._active = Active(with_fetched(active.snapshot, fetched), active.answers)


class TokenMemory:
    """Verified tokens by their exact text; the oldest go first when it is full."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._tokens: dict[str, VerifiedToken] = {}
        self._lock = threading.Lock()

    def recall(self, compact: str) -> VerifiedToken | None:
        """The token verified earlier for exactly this text."""
        return self._tokens.get(compact)

    def remember(self, compact: str, token: VerifiedToken) -> None:
        """Keeps the token."""
        if self._size == 0:
            return
        with self._lock:
            self._tokens.pop(compact, None)
            if len(self._tokens) >= self._size:
                del self._tokens[next(iter(self._tokens))]
            self._tokens[compact] = token

    def __len__(self) -> int:
        return len(self._tokens)


def build_snapshot(
    compiled: Compiled, digest: str, fetched: Fetched, proxies: frozenset[str] | None
) -> Snapshot:
    """Puts a compiled configuration and what was fetched together; None lets any proxy ask."""
    peers, policies = compiled.peers, compiled.policies
    snapshot = Snapshot(
        request_rules=compiled.request_rules,
        peer_rules=PeerRules(
            trust_domains=peers.trust_domains,
            require_certificate=peers.require_certificate,
            allowed_proxies=proxies,
            source=peers.source,
            waypoints=peers.waypoints,
            metadata_namespace=peers.metadata_namespace,
            bundles=MappingProxyType({domain: empty_bundle(domain) for domain in peers.bundled}),
        ),
        issuers=compiled.issuers,
        key_rings=fetched.key_rings,
        revocations=fetched.revocations,
        status_lists=fetched.status_lists,
        chain_rules=compiled.chain_rules,
        policies=Policies(
            index=PolicyIndex(policies.rules),
            resources=policies.resources,
            limits=policies.limits,
            approval_header=compiled.approval_header,
            approval_services=compiled.approval_services,
            is_observed=compiled.is_observed,
        ),
        digest=digest,
    )
    return with_fetched(snapshot, fetched)


def with_fetched(snapshot: Snapshot, fetched: Fetched) -> Snapshot:
    """The same configuration with what was fetched since."""
    rules = snapshot.peer_rules
    # A domain whose bundle is awaited, or was dropped, has no authorities and so trusts nobody.
    bundles = {
        domain: fetched.bundles.get(domain) or empty_bundle(domain) for domain in rules.bundles
    }
    return replace(
        snapshot,
        peer_rules=replace(rules, bundles=MappingProxyType(bundles)),
        key_rings=MappingProxyType(dict(fetched.key_rings)),
        revocations=fetched.revocations,
        status_lists=MappingProxyType(dict(fetched.status_lists)),
    )


def _without(values: Mapping[KeyT, ValueT], dropped: KeyT) -> dict[KeyT, ValueT]:
    return {key: value for key, value in values.items() if key != dropped}


def allowed_proxies(service: ServiceSpec) -> frozenset[str] | None:
    """The SPIFFE IDs of proxies that may ask, None where the port lets everyone ask."""
    tls = service.server.grpc.tls
    if tls is None or tls.allowed_callers is None:
        return None
    return frozenset(tls.allowed_callers)


def upstream_rules(service: ServiceSpec) -> UpstreamRules:
    """What the upstream gets, from the configuration."""
    approvals = (service.approvals.header,) if service.approvals else ()
    return UpstreamRules(
        header_prefix=service.upstream.header_prefix,
        token_header=service.token.header,
        keep_token=service.token.upstream == "keep",
        forward_header=service.token.forward_header or "",
        remove_headers=(*service.upstream.remove_headers, *approvals),
    )
