"""The key sets of all configured issuers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from deputize.adapters.documents import Location
from deputize.adapters.http_fetch import MAX_DOCUMENT_BYTES
from deputize.adapters.refresher import Taken
from deputize.adapters.telemetry import SourceKind, Telemetry
from deputize.config.issuer_schema import KeySource
from deputize.config.schema import ServiceSpec
from deputize.core.keys import Algorithm, freeze_keys, parse_jwk_set
from deputize.core.trust import TrustedIssuer
from deputize.server.keeper import Keeper, SourceSettings
from deputize.server.state import State


@dataclass(frozen=True, slots=True)
class KeySettings(SourceSettings):
    """Where one issuer's keys are, and the algorithms they may be pinned to."""

    algorithms: tuple[Algorithm, ...]


class KeyKeeper(Keeper[str, KeySettings]):
    """Key rings by issuer, published to the state."""

    kind = SourceKind.KEYS
    media_type = "application/json"
    max_bytes = MAX_DOCUMENT_BYTES

    def __init__(self, state: State, telemetry: Telemetry) -> None:
        super().__init__(telemetry)
        self._state = state

    def take(self, name: str, settings: KeySettings, octets: bytes, now: float) -> Taken:
        """Reads a JWK Set."""
        keys, left_out = parse_jwk_set(octets, settings.algorithms)
        ring = freeze_keys(keys, now + settings.stale_after)
        return Taken(
            lambda: self._state.publish_ring(name, ring),
            tuple(left_out),
            "" if keys else "no usable key in the set, no token is accepted",
        )

    def drop(self, name: str) -> None:
        """Trusts none of its keys any more."""
        self._state.drop_ring(name)

    def limit(self, name: str, usable_until: float) -> None:
        """Uses its ring no longer than that."""
        ring = self._state.fetched.key_rings[name]
        if usable_until < ring.usable_until:
            self._state.publish_ring(name, replace(ring, usable_until=usable_until))


def wanted_keys(
    service: ServiceSpec, trusted: Mapping[str, TrustedIssuer]
) -> dict[str, KeySettings]:
    """How the keys of all issuers of tokens and of approvals are kept; no name is both."""
    wanted = {
        entry.issuer: _settings(entry.issuer, entry.keys, trusted[entry.issuer].algorithms)
        for entry in service.issuers
    }
    for entry in service.approvals.services if service.approvals else ():
        algorithms = tuple(map(Algorithm, entry.algorithms))
        wanted[entry.issuer] = _settings(entry.issuer, entry.keys, algorithms)
    return wanted


def _settings(issuer: str, keys: KeySource, algorithms: tuple[Algorithm, ...]) -> KeySettings:
    return KeySettings(
        location=Location(
            file=keys.file,
            url=keys.url,
            discovery=issuer if keys.discovery else None,
            ca_file=keys.ca_file,
        ),
        refresh=float(keys.refresh_seconds),
        cooldown=float(keys.refetch_cooldown_seconds),
        stale_after=float(keys.stale_after_seconds),
        algorithms=algorithms,
    )
