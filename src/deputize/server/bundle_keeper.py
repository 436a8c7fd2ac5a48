"""The trust bundles of all trust domains that have one configured."""

from __future__ import annotations

from dataclasses import replace

from deputize.adapters.documents import Location
from deputize.adapters.refresher import Taken
from deputize.adapters.telemetry import SourceKind, Telemetry
from deputize.config.schema import TrustBundle
from deputize.core.bundles import MAX_BUNDLE_BYTES, BundleError, parse_bundle
from deputize.core.spiffe import TrustDomain
from deputize.server.keeper import Keeper, SourceSettings
from deputize.server.state import State


class BundleKeeper(Keeper[TrustDomain, SourceSettings]):
    """Bundles by trust domain, published to the state."""

    kind = SourceKind.BUNDLE
    media_type = "application/json"
    max_bytes = MAX_BUNDLE_BYTES

    def __init__(self, state: State, telemetry: Telemetry) -> None:
        super().__init__(telemetry)
        self._state = state

    def take(self, name: TrustDomain, settings: SourceSettings, octets: bytes, now: float) -> Taken:
        """Reads a bundle; one that is older than what is in use is refused."""
        bundle = parse_bundle(octets, name)
        before = self._state.fetched.bundles.get(name)
        if before is not None and (before.sequence or 0) > (bundle.sequence or 0):
            # SPIFFE_Trust_Domain_and_Bundle.md section 4.1.1: it only ever grows.
            raise BundleError("`spiffe_sequence` is lower than before")
        kept = replace(bundle, usable_until=now + settings.stale_after)
        return Taken(
            lambda: self._state.publish_bundle(name, kept),
            problem="" if bundle.authorities else "no authority in it, no peer is trusted",
        )

    def drop(self, name: TrustDomain) -> None:
        """Trusts no authority of the domain any more."""
        self._state.drop_bundle(name)

    def limit(self, name: TrustDomain, usable_until: float) -> None:
        """Uses its bundle no longer than that."""
        bundle = self._state.fetched.bundles[name]
        if usable_until < bundle.usable_until:
            self._state.publish_bundle(name, replace(bundle, usable_until=usable_until))


def wanted_bundles(bundles: list[TrustBundle]) -> dict[TrustDomain, SourceSettings]:
    """How these bundles are kept."""
    return {TrustDomain(entry.trust_domain): _settings(entry) for entry in bundles}


def _settings(entry: TrustBundle) -> SourceSettings:
    return SourceSettings(
        location=Location(file=entry.file, url=entry.url, ca_file=entry.ca_file),
        refresh=float(entry.refresh_seconds),
        cooldown=float(entry.refresh_seconds),
        stale_after=float(entry.stale_after_seconds),
    )
