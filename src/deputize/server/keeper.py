"""Documents of one kind that are kept fresh, started and stopped as configurations change."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

from deputize.adapters.documents import Location, read_document
from deputize.adapters.http_fetch import FetchError
from deputize.adapters.refresher import Refresher, SourceStatus, Taken
from deputize.adapters.telemetry import SourceKind, Telemetry


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """Where a document is and how it is kept; times in seconds.

    It is fetched every `refresh`, and once per `cooldown` for those who miss something in it.
    When fetching fails, the last good one is used for `stale_after`.
    """

    location: Location
    refresh: float
    cooldown: float
    stale_after: float


NameT = TypeVar("NameT")
SettingsT = TypeVar("SettingsT", bound=SourceSettings)


class Keeper(ABC, Generic[NameT, SettingsT]):
    """One refresher per document; none of them can hold up another."""

    kind: ClassVar[SourceKind]
    media_type: ClassVar[str]
    max_bytes: ClassVar[int]

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._lock = threading.Lock()
        self._kept: dict[NameT, tuple[SettingsT, Refresher]] = {}
        self._read_at: dict[NameT, float] = {}

    @abstractmethod
    def take(self, name: NameT, settings: SettingsT, octets: bytes, now: float) -> Taken:
        """Reads the document, at a time in epoch seconds.

        Raises:
            ValueError: it does not hold; the text says why.
        """

    @abstractmethod
    def drop(self, name: NameT) -> None:
        """What was published of this one counts no longer: it is gone, or its place is another."""

    @abstractmethod
    def limit(self, name: NameT, usable_until: float) -> None:
        """What was published of this one is good until then at the latest, in epoch seconds."""

    def label(self, name: NameT) -> str:
        """The name in logs and metrics."""
        return str(name)

    def use(self, wanted: Mapping[NameT, SettingsT]) -> None:
        """Keeps exactly these from now on; one whose settings are the same goes on undisturbed."""
        with self._lock:
            self._retire(wanted)
            for name, settings in wanted.items():
                self._start(name, settings)

    def retire(self, wanted: Mapping[NameT, SettingsT]) -> None:
        """Ends what is not among these, and drops what came from elsewhere; starts nothing."""
        with self._lock:
            self._retire(wanted)

    def add(self, name: NameT, settings: SettingsT) -> None:
        """Keeps this one too."""
        with self._lock:
            self._start(name, settings)

    def remove(self, name: NameT) -> None:
        """Keeps this one no longer."""
        with self._lock:
            self._stop(name)
            self._forget(name)
            self._unwatch(name)

    def find(self, name: NameT) -> Refresher | None:
        """The refresher of a document."""
        kept = self._kept.get(name)
        return None if kept is None else kept[1]

    def refetch(self, name: NameT, timeout: float) -> None:
        """Lets it be fetched again, and waits at most `timeout` seconds."""
        refresher = self.find(name)
        if refresher is not None and timeout > 0:
            refresher.refetch(timeout)

    def poke_files(self) -> None:
        """Reads files again."""
        for settings, refresher in list(self._kept.values()):
            if settings.location.file is not None:
                refresher.poke()

    def statuses(self) -> dict[NameT, SourceStatus]:
        """How it stands with each."""
        return {name: kept[1].status for name, kept in list(self._kept.items())}

    def stop(self) -> None:
        """Stops all of them."""
        with self._lock:
            for _settings, refresher in self._kept.values():
                refresher.stop()

    def _retire(self, wanted: Mapping[NameT, SettingsT]) -> None:
        for name, (settings, _refresher) in list(self._kept.items()):
            given = wanted.get(name)
            if given != settings:
                # First: one that is still fetched could be published by its old settings.
                self._stop(name)
                if given is None or given.location != settings.location:
                    self._forget(name)
                elif name in self._read_at and given.stale_after < settings.stale_after:
                    self.limit(name, self._read_at[name] + given.stale_after)
                if given is None:
                    self._unwatch(name)

    def _start(self, name: NameT, settings: SettingsT) -> None:
        if name in self._kept:
            return
        label = self.label(name)

        def read() -> bytes:
            location = settings.location
            return read_document(location, max_bytes=self.max_bytes, accept=self.media_type)

        def take(octets: bytes, now: float) -> Taken:
            try:
                taken = self.take(name, settings, octets, now)
            except ValueError as error:
                raise FetchError(str(error)) from None

            def publish() -> None:
                taken.publish()
                self._read_at[name] = now

            return Taken(publish, taken.left_out, taken.problem, taken.seconds)

        refresher = Refresher(
            f"{self.kind.value} of {label}",
            read=read,
            take=take,
            refresh=settings.refresh,
            cooldown=settings.cooldown,
            on_fetch=self._telemetry.fetch_counter(self.kind, label),
        )
        # First: one without a thread must not be taken for one that is kept.
        refresher.start()
        self._watch(name, refresher)
        self._kept[name] = (settings, refresher)

    def _watch(self, name: NameT, refresher: Refresher) -> None:
        self._telemetry.watch_age(self.kind, self.label(name), refresher.age)

    def _unwatch(self, name: NameT) -> None:
        label = self.label(name)
        # One that is kept may be called the same: a list at one URL, with other authorities.
        if label not in map(self.label, self._kept):
            self._telemetry.forget_source(self.kind, label)

    def _forget(self, name: NameT) -> None:
        self.drop(name)
        self._read_at.pop(name, None)

    def _stop(self, name: NameT) -> None:
        _settings, refresher = self._kept.pop(name)
        refresher.stop()
