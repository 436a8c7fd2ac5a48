"""The key sources of all configured issuers, started and stopped as configurations change."""

from __future__ import annotations

import threading

from deputize.adapters.key_sources import IssuerKeys, KeySettings, KeyStatus
from deputize.adapters.telemetry import Telemetry
from deputize.config.schema import Issuer, ServiceSpec
from deputize.core.keys import Algorithm
from deputize.core.verdict import KeyWanted
from deputize.server.state import State


class KeyKeeper:
    """One `IssuerKeys` per issuer; none of them can hold up another."""

    def __init__(self, state: State, telemetry: Telemetry) -> None:
        self._state = state
        self._telemetry = telemetry
        self._lock = threading.Lock()
        self._keys: dict[str, IssuerKeys] = {}

    def use(self, service: ServiceSpec) -> None:
        """Keeps exactly these issuers' keys from now on."""
        wanted = {entry.issuer: key_settings(entry) for entry in service.issuers}
        with self._lock:
            before = dict(self._keys)
            for issuer, keys in before.items():
                settings = wanted.get(issuer)
                if settings == keys.settings:
                    continue
                keys.stop()
                del self._keys[issuer]
                if settings is None or settings.source != keys.settings.source:
                    self._state.drop_ring(issuer)
                if settings is None:
                    self._telemetry.forget_issuer(issuer)
            for issuer, settings in wanted.items():
                if issuer not in self._keys:
                    self._start(settings)

    def refetch(self, wanted: KeyWanted, timeout: float) -> None:
        """Lets the issuer's keys be fetched again, and waits at most `timeout` seconds."""
        keys = self._keys.get(wanted.issuer)
        if keys is not None and timeout > 0:
            keys.refetch(timeout)

    def poke_files(self) -> None:
        """Reads key files again."""
        for keys in list(self._keys.values()):
            if keys.settings.file is not None:
                keys.poke()

    def statuses(self) -> dict[str, KeyStatus]:
        """The state of each issuer's keys."""
        return {issuer: keys.status for issuer, keys in list(self._keys.items())}

    def stop(self) -> None:
        """Stops all of them."""
        with self._lock:
            for keys in self._keys.values():
                keys.stop()

    def _start(self, settings: KeySettings) -> None:
        keys = IssuerKeys(
            settings,
            self._state.publish_ring,
            lambda issuer, succeeded: self._telemetry.count_key_fetch(issuer, succeeded=succeeded),
        )
        self._keys[settings.issuer] = keys
        self._telemetry.watch_key_age(settings.issuer, keys.age)
        keys.start()


def key_settings(entry: Issuer) -> KeySettings:
    """The key source of an issuer, from the configuration."""
    return KeySettings(
        issuer=entry.issuer,
        algorithms=tuple(Algorithm(name) for name in entry.algorithms),
        file=entry.keys.file,
        url=entry.keys.url,
        discovery=entry.keys.discovery is True,
        ca_file=entry.keys.ca_file,
        refresh=float(entry.keys.refresh_seconds),
        cooldown=float(entry.keys.refetch_cooldown_seconds),
        stale_after=float(entry.keys.stale_after_seconds),
    )
