"""The deny lists, put together to what is revoked.

Rules of this file:
- A list that was never read, or that is too old, refuses every call: nobody knows what it says.
- A configuration with a new list comes into use together with the list.
"""

from __future__ import annotations

import hashlib
import logging
import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from deputize.adapters.documents import Location
from deputize.adapters.refresher import SourceStatus, Taken
from deputize.adapters.shown_url import show_url
from deputize.adapters.telemetry import SourceKind, Telemetry
from deputize.config.deny_list import MAX_BYTES, parse_deny_list
from deputize.config.problems import ConfigError
from deputize.config.schema import DenyListSource
from deputize.core.revocation import NOTHING_REVOKED, Revocations, merge
from deputize.server.keeper import Keeper, SourceSettings
from deputize.server.state import State

FIRST_SECONDS = 2.0
"""Time that new lists have to be read before a configuration comes into use without them."""

_log = logging.getLogger(__name__)

_NEVER_READ = replace(NOTHING_REVOKED, usable_until=-math.inf)


class DenyKeeper(Keeper[Location, SourceSettings]):
    """Deny lists by where they are, published to the state as one."""

    kind = SourceKind.DENY_LIST
    media_type = "application/yaml, application/json"
    max_bytes = MAX_BYTES

    def __init__(self, state: State, telemetry: Telemetry) -> None:
        super().__init__(telemetry)
        self._state = state
        self._lists: dict[Location, tuple[bytes, Revocations]] = {}
        self._in_use: tuple[Location, ...] = ()
        self._merged = NOTHING_REVOKED
        self._merging = threading.Lock()

    def use_lists(
        self, sources: list[DenyListSource], adopt: Callable[[Revocations], None]
    ) -> None:
        """Refuses what these lists name from now on, and nothing that only others named.

        Those that are new are read first. `adopt` brings into use what they revoke; no list that
        is read meanwhile comes in between.
        """
        wanted = _wanted(sources)
        self._read_first(wanted)
        with self._merging:
            self._merged = merge(map(self._list, wanted))
            adopt(self._merged)
            self._in_use = tuple(wanted)
        self.use(wanted)

    def statuses(self) -> dict[Location, SourceStatus]:
        """How it stands with each that is in use, not with one that is to be."""
        return {
            location: status
            for location, status in super().statuses().items()
            if location in self._in_use
        }

    def usable_until(self, location: Location) -> float:
        """How long it is known what the list says, in epoch seconds."""
        return self._list(location).usable_until

    def take(self, name: Location, settings: SourceSettings, octets: bytes, now: float) -> Taken:
        """Reads a list, unless it is the one that was read before."""
        digest = hashlib.sha256(octets).digest()
        before = self._lists.get(name)
        if before is not None and before[0] == digest:
            revocations = before[1]
        else:
            try:
                revocations = parse_deny_list(octets, self.label(name))
            except ConfigError as error:
                raise ValueError(str(error)) from None
        # The last good list of a file counts until there is another.
        usable_until = math.inf if name.file else now + settings.stale_after
        kept = replace(revocations, usable_until=usable_until)
        return Taken(lambda: self._publish(name, digest, kept))

    def drop(self, name: Location) -> None:
        """Forgets what it said."""
        self._lists.pop(name, None)

    def limit(self, name: Location, usable_until: float) -> None:
        """Knows what it says until then only; of a file, until there is another."""
        digest, known = self._lists[name]
        if not name.file and usable_until < known.usable_until:
            self._publish(name, digest, replace(known, usable_until=usable_until))

    def label(self, name: Location) -> str:
        """The file, or the URL as it may be shown."""
        return name.file or show_url(name.url or "")

    def _read_first(self, wanted: Mapping[Location, SourceSettings]) -> None:
        deadline = time.monotonic() + FIRST_SECONDS
        for location, settings in wanted.items():
            self.add(location, settings)
        for location in wanted:
            refresher = self.find(location)
            if refresher is not None:
                refresher.wait_for_first(max(0.0, deadline - time.monotonic()))

    def _publish(self, location: Location, digest: bytes, revocations: Revocations) -> None:
        with self._merging:
            is_new = self._lists.get(location, (b"",))[0] != digest
            if is_new:
                _log.info("deny list %s is in force: %s", self.label(location), _sizes(revocations))
            self._lists[location] = (digest, revocations)
            if location in self._in_use:
                self._use_anew(entries_changed=is_new)

    def _use_anew(self, *, entries_changed: bool) -> None:
        """Merges only where entries changed: it costs as much as the lists are long."""
        if entries_changed:
            merged = merge(map(self._list, self._in_use))
        else:
            merged = replace(self._merged, usable_until=min(map(self.usable_until, self._in_use)))
        if entries_changed or merged.usable_until != self._merged.usable_until:
            self._merged = merged
            self._state.publish_revocations(merged)

    def _list(self, location: Location) -> Revocations:
        return self._lists.get(location, (b"", _NEVER_READ))[1]


def _sizes(revocations: Revocations) -> str:
    cutoffs = len(revocations.issuer_cutoffs) + len(revocations.principal_cutoffs)
    cutoffs += len(revocations.agent_cutoffs)
    return (
        f"agents {len(revocations.agents)}, tokens {len(revocations.tokens)}, "
        f"principals {len(revocations.principals)}, issuers {len(revocations.issuers)}, "
        f"cut-offs {cutoffs}"
    )


def _wanted(sources: list[DenyListSource]) -> dict[Location, SourceSettings]:
    return {settings.location: settings for settings in map(_settings, sources)}


def _settings(entry: DenyListSource) -> SourceSettings:
    return SourceSettings(
        location=Location(file=entry.file, url=entry.url, ca_file=entry.ca_file),
        refresh=float(entry.refresh_seconds),
        cooldown=float(entry.refresh_seconds),
        stale_after=float(entry.stale_after_seconds),
    )
