"""The Token Status Lists that tokens asked for, and those in files.

Rules of this file:
- A list is fetched when a verified token first names it, and only below a configured prefix.
- Only so many are kept for an issuer. The oldest makes room for another, but not before a
  cool-down: many lists cannot cause many fetches.

Source: draft-ietf-oauth-status-list sections 8.1 (fetching), 11.3 (caching).
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from deputize.adapters.documents import Location
from deputize.adapters.refresher import Refresher, Taken
from deputize.adapters.telemetry import SourceKind, Telemetry
from deputize.config.issuer_schema import Issuer, StatusListSource
from deputize.core.keys import KeyRing
from deputize.core.status_list import (
    MAX_TOKEN_BYTES,
    StatusList,
    StatusListError,
    StatusListKeyError,
    read_status_list,
)
from deputize.core.trust import TrustedIssuer
from deputize.server.keeper import Keeper, SourceSettings
from deputize.server.state import State

COOLDOWN_SECONDS = 10.0
"""Between two fetches of a list for those who miss it; and the least time a list is kept."""
KEYS_SECONDS = 5.0
"""How long a list waits for the keys of its issuer."""

_REST = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9._~-]*(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*")
"""What may follow a prefix: nothing that leads out of it, whoever reads the URL."""

ListName = tuple[str, str]
"""Issuer and URI."""


@dataclass(frozen=True, slots=True)
class StatusSettings(SourceSettings):
    """Where one list is, and how its signature is checked."""

    trusted: TrustedIssuer


class StatusKeeper(Keeper[ListName, StatusSettings]):
    """Status lists by issuer and URI, published to the state.

    `refetch_keys` lets the keys of an issuer be fetched again, within some seconds.
    """

    kind = SourceKind.STATUS_LIST
    media_type = "application/statuslist+jwt"
    max_bytes = MAX_TOKEN_BYTES

    def __init__(
        self, state: State, telemetry: Telemetry, refetch_keys: Callable[[str, float], None]
    ) -> None:
        super().__init__(telemetry)
        self._state = state
        self._refetch_keys = refetch_keys
        self._sources: Mapping[str, tuple[StatusListSource, TrustedIssuer]] = {}
        self._started: dict[ListName, float] = {}
        self._choosing = threading.Lock()

    def use_issuers(self, issuers: list[Issuer], trusted: Mapping[str, TrustedIssuer]) -> None:
        """Keeps the lists in files, and those asked for so far that may still be fetched."""
        with self._choosing:
            self._sources = {
                entry.issuer: (entry.status_lists, trusted[entry.issuer])
                for entry in issuers
                if entry.status_lists is not None
            }
            names: list[ListName] = []
            for issuer, (entry, _) in self._sources.items():
                asked = [name for name in self._started if name[0] == issuer]
                names += asked[-entry.max_lists :]
                names += [(issuer, uri) for uri in entry.files or {}]
            wanted = {name: found for name in names if (found := self._settings(name)) is not None}
            self.use(wanted)
            # One in a file never makes room for another.
            self._started = {
                name: at
                for name, at in self._started.items()
                if name in wanted and wanted[name].location.file is None
            }

    def refetch(self, name: ListName, timeout: float) -> None:
        """Fetches the list, if it may be; waits at most `timeout` seconds."""
        with self._choosing:
            if self.find(name) is None:
                settings = self._settings(name)
                if settings is None or not self._make_room(name[0]):
                    return
                self.add(name, settings)
                self._started[name] = time.monotonic()
        super().refetch(name, timeout)

    def take(self, name: ListName, settings: StatusSettings, octets: bytes, now: float) -> Taken:
        """Checks and unpacks a Status List Token, with newer keys where one is missing."""
        issuer, uri = name
        trusted = settings.trusted
        compact = octets.decode("ascii", "replace").strip()

        def read() -> StatusList:
            ring = self._state.fetched.key_rings.get(issuer, KeyRing({}, now))
            return read_status_list(compact, uri, ring, trusted.algorithms, now, trusted.clock_skew)

        try:
            found = read()
        except StatusListKeyError:
            self._refetch_keys(issuer, KEYS_SECONDS)
            found = read()
        before = self._state.fetched.status_lists.get(name)
        if before is not None and found.issued_at < before.issued_at:
            # Who holds the place of a list without its key could bring back what was revoked.
            raise StatusListError("issued before the one that was read last")
        usable_until = min(found.usable_until, now + settings.stale_after)
        kept = replace(found, usable_until=usable_until)
        return Taken(
            lambda: self._state.publish_status_list(issuer, kept), seconds=usable_until - now
        )

    def drop(self, name: ListName) -> None:
        """Knows nothing of its tokens any more."""
        self._state.drop_status_list(*name)

    def limit(self, name: ListName, usable_until: float) -> None:
        """Looks nothing up in it any more after that."""
        known = self._state.fetched.status_lists[name]
        if usable_until < known.usable_until:
            self._state.publish_status_list(name[0], replace(known, usable_until=usable_until))

    def label(self, name: ListName) -> str:
        """The issuer: its lists are counted together, URIs are as many as it likes."""
        return name[0]

    def _watch(self, name: ListName, refresher: Refresher) -> None:
        """Nothing: an age for each URI would be a label that tokens choose."""

    def _unwatch(self, name: ListName) -> None:
        """Nothing, likewise."""

    def _settings(self, name: ListName) -> StatusSettings | None:
        """How the list is kept; None where it must not be fetched."""
        issuer, uri = name
        if issuer not in self._sources:
            return None
        source, trusted = self._sources[issuer]
        file = (source.files or {}).get(uri)
        if file is None and not any(
            uri.startswith(prefix) and _REST.fullmatch(uri, len(prefix))
            for prefix in source.uri_prefixes
        ):
            return None
        max_age = float(source.max_age_seconds)
        return StatusSettings(
            location=Location(
                file=file, url=None if file else uri, ca_file=None if file else source.ca_file
            ),
            refresh=max_age,
            cooldown=COOLDOWN_SECONDS,
            stale_after=max_age,
            trusted=trusted,
        )

    def _make_room(self, issuer: str) -> bool:
        """Whether there is a place for one more list of the issuer."""
        source, _trusted = self._sources[issuer]
        own = [name for name in self._started if name[0] == issuer]
        if len(own) < source.max_lists:
            return True
        oldest = min(own, key=self._started.__getitem__)
        if time.monotonic() - self._started[oldest] < COOLDOWN_SECONDS:
            return False
        del self._started[oldest]
        self.remove(oldest)
        return True
