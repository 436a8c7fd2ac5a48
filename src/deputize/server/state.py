"""What is in use now: configuration and keys put together, and swapped as one value.

Rules of this file:
- Readers take `current` once and never lock; writers build a new value and swap it in.
- A key ring outlives a reload as long as its issuer keeps the same key source.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from deputize.adapters.envoy_response import Answers, UpstreamRules
from deputize.config.compiler import Compiled
from deputize.config.loader import Loaded
from deputize.config.schema import ServiceSpec
from deputize.core.keys import KeyRing
from deputize.core.model import VerifiedToken
from deputize.core.peer import PeerRules
from deputize.core.policy_index import PolicyIndex
from deputize.core.snapshot import Snapshot
from deputize.server.ports import Active


class State:
    """Holds the active snapshot.

    `proxies` are those that may ask, None for any. They belong to the port, which stays as
    it was started, so a new configuration does not change them.
    """

    def __init__(self, proxies: frozenset[str] | None) -> None:
        self._proxies = proxies
        self._lock = threading.Lock()
        self._active: Active | None = None
        self._rings: dict[str, KeyRing] = {}

    @property
    def current(self) -> Active | None:
        """What checks are answered under now."""
        return self._active

    @property
    def rings(self) -> Mapping[str, KeyRing]:
        """The key rings by issuer."""
        return MappingProxyType(self._rings)

    def use(self, loaded: Loaded) -> None:
        """Decides under this configuration from now on."""
        snapshot = build_snapshot(loaded.compiled, loaded.digest, {}, self._proxies)
        answers = Answers(upstream_rules(loaded.service))
        with self._lock:
            self._active = Active(replace(snapshot, key_rings=self.rings), answers)

    def publish_ring(self, issuer: str, ring: KeyRing) -> None:
        """Verifies tokens of the issuer with this ring from now on."""
        with self._lock:
            self._swap_rings({**self._rings, issuer: ring})

    def drop_ring(self, issuer: str) -> None:
        """Trusts no key of the issuer any more."""
        with self._lock:
            self._swap_rings({name: ring for name, ring in self._rings.items() if name != issuer})

    def _swap_rings(self, rings: dict[str, KeyRing]) -> None:
        self._rings = rings
        if self._active is not None:
            snapshot = replace(self._active.snapshot, key_rings=self.rings)
            self._active = replace(self._active, snapshot=snapshot)


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
    compiled: Compiled,
    digest: str,
    key_rings: Mapping[str, KeyRing],
    proxies: frozenset[str] | None,
) -> Snapshot:
    """Puts a compiled configuration and keys together; None as `proxies` lets any proxy ask."""
    return Snapshot(
        request_rules=compiled.request_rules,
        peer_rules=PeerRules(compiled.trust_domains, compiled.require_certificate, proxies),
        issuers=compiled.issuers,
        key_rings=key_rings,
        chain_rules=compiled.chain_rules,
        policies=PolicyIndex(compiled.rules),
        digest=digest,
    )


def allowed_proxies(service: ServiceSpec) -> frozenset[str] | None:
    """The SPIFFE IDs of proxies that may ask, None where the port lets everyone ask."""
    tls = service.server.grpc.tls
    if tls is None or tls.allowed_callers is None:
        return None
    return frozenset(tls.allowed_callers)


def upstream_rules(service: ServiceSpec) -> UpstreamRules:
    """What the upstream gets, from the configuration."""
    return UpstreamRules(
        header_prefix=service.upstream.header_prefix,
        token_header=service.token.header,
        keep_token=service.token.upstream == "keep",
        forward_header=service.token.forward_header or "",
        remove_headers=tuple(service.upstream.remove_headers),
    )
