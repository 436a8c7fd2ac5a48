"""The store of what was used, as the configuration names it."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from deputize.adapters.replay_store import MemoryReplayStore
from deputize.adapters.telemetry import Telemetry
from deputize.config.schema import Replay
from deputize.server.ports import ReplayStore

PREFIX = "deputize:"
"""Before every key in a shared store."""
MAX_URL_LENGTH = 4096


class RunningReplayStore(ReplayStore, Protocol):
    """A store, and how it stands with it."""

    @property
    def problem(self) -> str:
        """What is wrong, in words; empty while it works."""

    def stop(self) -> None:
        """Remembers nothing more."""


def open_replay_store(settings: Replay, telemetry: Telemetry) -> RunningReplayStore:
    """Opens it; one that cannot be reached yet is no error.

    Raises:
        OSError: the file with its URL, or that with authorities, cannot be read.
        ValueError: the URL is none.
        ImportError: a shared store without the extra `deputize[redis]`.
    """
    if settings.url_file is None:
        memory = MemoryReplayStore(settings.entries)
        telemetry.watch_replay_entries(lambda: len(memory))
        return memory
    # Only here: the library comes with the extra.
    from deputize.adapters.replay_redis import RedisReplayStore  # noqa: PLC0415

    with Path(settings.url_file).open(encoding="utf-8") as stream:
        url = stream.read(MAX_URL_LENGTH + 1).strip()
    if len(url) > MAX_URL_LENGTH:
        raise ValueError("the URL is too long")
    store = RedisReplayStore(
        url,
        prefix=PREFIX,
        timeout_seconds=settings.timeout_millis / 1000,
        ca_file=settings.ca_file,
    )
    store.start()
    return store
