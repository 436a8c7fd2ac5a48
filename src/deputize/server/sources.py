"""Everything that is fetched in the background, and how it stands with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from deputize.adapters.introspection import IntrospectionClient
from deputize.adapters.shown_url import show_url
from deputize.adapters.telemetry import Telemetry
from deputize.config.issuer_schema import IntrospectionSource, Issuer
from deputize.config.loader import Loaded
from deputize.core.revocation import Revocations
from deputize.core.verdict import KeyWanted, Wanted
from deputize.server.bundle_keeper import BundleKeeper, wanted_bundles
from deputize.server.deny_keeper import DenyKeeper
from deputize.server.key_keeper import KeyKeeper, wanted_keys
from deputize.server.state import State
from deputize.server.status_keeper import StatusKeeper

Introspected = tuple[IntrospectionSource, IntrospectionClient]


class SourceReport(NamedTuple):
    """What keeps checks away, and what else is wrong, each in words."""

    waiting_for: list[str]
    warnings: list[str]


class Sources:
    """Keys, bundles, deny lists, status lists, and the issuers that are asked about tokens."""

    def __init__(self, state: State, telemetry: Telemetry) -> None:
        self._state = state
        self._keys = KeyKeeper(state, telemetry)
        self._bundles = BundleKeeper(state, telemetry)
        self._deny_lists = DenyKeeper(state, telemetry)
        self._status_lists = StatusKeeper(state, telemetry, self._keys.refetch)
        self._introspections: dict[str, Introspected] = {}

    def introspection(self, issuer: str) -> IntrospectionClient | None:
        """Asks this issuer about its tokens; None where it is not to be asked."""
        entry = self._introspections.get(issuer)
        return None if entry is None else entry[1]

    def use(self, loaded: Loaded) -> None:
        """Decides under this configuration from now on, and fetches what it needs, nothing else.

        What comes from elsewhere now is dropped first: nothing is decided with the rules of one
        configuration and the keys of another.
        """
        service, trusted = loaded.service, loaded.compiled.issuers
        keys, bundles = wanted_keys(service, trusted), wanted_bundles(service.peer.bundles)
        before = self._introspections
        introspections = _introspections(service.issuers, before)

        def adopt(revocations: Revocations) -> None:
            self._keys.retire(keys)
            self._bundles.retire(bundles)
            self._introspections = introspections
            self._state.use(loaded, revocations)

        self._deny_lists.use_lists(service.deny_lists, adopt)
        self._keys.use(keys)
        self._bundles.use(bundles)
        self._status_lists.use_issuers(service.issuers, trusted)
        for issuer, entry in before.items():
            if introspections.get(issuer) is not entry:
                entry[1].close()

    def refetch(self, wanted: Wanted, timeout: float) -> None:
        """Lets what is missing be fetched, and waits at most `timeout` seconds."""
        if isinstance(wanted, KeyWanted):
            self._keys.refetch(wanted.issuer, timeout)
        else:
            self._status_lists.refetch((wanted.issuer, wanted.uri), timeout)

    def poke_files(self) -> None:
        """Reads files again."""
        for keeper in self._keepers:
            keeper.poke_files()

    def report(self, now: float) -> SourceReport:
        """How it stands with all of them, `now` in epoch seconds."""
        report = SourceReport([], [])
        fetched = self._state.fetched
        for issuer, status in self._keys.statuses().items():
            ring = fetched.key_rings.get(issuer)
            usable = ring is not None and bool(ring.keys) and now <= ring.usable_until
            _add(report, f"keys of {issuer}", status.error, usable=usable)
        for location, status in self._deny_lists.statuses().items():
            usable = now <= self._deny_lists.usable_until(location)
            name = self._deny_lists.label(location)
            _add(report, f"deny list {name}", status.error, usable=usable)
        for domain, status in self._bundles.statuses().items():
            bundle = fetched.bundles.get(domain)
            usable = bundle is not None and bool(bundle.authorities) and now <= bundle.usable_until
            _add(report, f"bundle of {domain}", status.error, usable=usable)
        for (_issuer, uri), status in self._status_lists.statuses().items():
            # Keeps only those away whose tokens stand in it.
            if status.error:
                report.warnings.append(f"status list {show_url(uri)}: {status.error}")
        for issuer, (_source, client) in self._introspections.items():
            if client.problem:
                report.warnings.append(f"introspection at {issuer}: {client.problem}")
        return report

    def stop(self) -> None:
        """Stops all of them."""
        for keeper in self._keepers:
            keeper.stop()
        for _source, client in self._introspections.values():
            client.close()

    @property
    def _keepers(self) -> tuple[KeyKeeper, BundleKeeper, DenyKeeper, StatusKeeper]:
        return (self._keys, self._bundles, self._deny_lists, self._status_lists)


def _introspections(
    issuers: list[Issuer], before: Mapping[str, Introspected]
) -> dict[str, Introspected]:
    """Whom to ask from now on; one with the same settings is asked by the same client."""
    wanted = {
        entry.issuer: entry.introspection for entry in issuers if entry.introspection is not None
    }
    return {
        issuer: before[issuer]
        if issuer in before and before[issuer][0] == source
        else (source, _client(source))
        for issuer, source in wanted.items()
    }


def _client(source: IntrospectionSource) -> IntrospectionClient:
    return IntrospectionClient(
        source.url,
        client_id=source.client_id,
        client_secret_file=source.client_secret_file,
        ca_file=source.ca_file,
        cache_seconds=float(source.cache_seconds),
        cache_entries=source.cache_entries,
        timeout_seconds=source.timeout_millis / 1000,
        max_concurrent=source.max_concurrent,
    )


def _add(report: SourceReport, name: str, error: str, *, usable: bool) -> None:
    if not usable:
        report.waiting_for.append(f"{name}: {error or 'too old'}")
    elif error:
        report.warnings.append(f"{name}: {error}; the last good one is in use")
