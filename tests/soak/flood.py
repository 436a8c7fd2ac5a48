"""Many distinct tokens, and many with keys nobody has, sent to one service and its issuer."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.harness.check_message import make_check
from tests.harness.grpc_client import ask, open_channel
from tests.harness.issuer import Issuer
from tests.harness.jwks_endpoint import running_jwks_endpoint
from tests.harness.live import running_live
from tests.harness.world import ISSUER_URL

CALLERS = 4
COOLDOWN_SECONDS = 30
CACHE_ENTRIES = 2000
MEMORY_GROWTH = 1.15
"""Of the resident memory once every cache is full."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of a flood. Memory in bytes, when caches were full and at the end."""

    outcomes: Counter[str]
    unknown: Counter[str]
    fetches: int
    seconds: float
    memory_full: int
    memory_end: int

    @property
    def most_fetches(self) -> int:
        """One at the start, and one for each cool-down that began."""
        return 2 + int(self.seconds / COOLDOWN_SECONDS)

    def broken(self) -> list[str]:
        """The bounds that do not hold."""
        broken: list[str] = []
        if set(self.outcomes) != {"policy.allowed"}:
            broken.append(f"tokens: {dict(self.outcomes)}")
        if set(self.unknown) != {"token.unknown_key"}:
            broken.append(f"unknown keys: {dict(self.unknown)}")
        if self.fetches > self.most_fetches:
            broken.append(f"{self.fetches} fetches, at most {self.most_fetches}")
        if self.memory_end > self.memory_full * MEMORY_GROWTH:
            broken.append(f"memory grew from {self.memory_full} to {self.memory_end} bytes")
        return broken

    def report(self) -> list[str]:
        """What was seen, for people."""
        megabytes = self.memory_full / 2**20, self.memory_end / 2**20
        return [
            f"{self.outcomes.total():,} tokens: {dict(self.outcomes)}",
            f"{self.unknown.total():,} unknown keys: {dict(self.unknown)}",
            f"{self.fetches} fetches of keys in {self.seconds:.0f} s, at most {self.most_fetches}",
            f"memory: {megabytes[0]:.0f} MiB with full caches, {megabytes[1]:.0f} MiB at the end",
            *(f"BROKEN: {line}" for line in self.broken()),
        ]


def run_flood(folder: Path, *, tokens: int, unknown_keys: int) -> Seen:
    """Sends `tokens` good tokens, all distinct, and `unknown_keys` signed by keys nobody has."""
    issuer = Issuer(ISSUER_URL)
    fetched: list[float] = []

    def jwks() -> bytes:
        fetched.append(time.monotonic())
        return issuer.jwks()

    def good(_number: int) -> bytes:
        return make_check(issuer.issue(now=time.time())).SerializeToString()

    def unknown(number: int) -> bytes:
        header = {"kid": f"nobody-{number}"}
        return make_check(issuer.issue(now=time.time(), header=header)).SerializeToString()

    def change(spec: dict[str, object]) -> None:
        spec["token"] = {"cacheEntries": CACHE_ENTRIES}

    with running_jwks_endpoint(jwks) as url:
        keys = {
            "url": url,
            "refreshSeconds": 86400,
            "refetchCooldownSeconds": COOLDOWN_SECONDS,
        }
        with running_live(folder, keys=keys, issuer=issuer, change=change) as live:
            started = time.monotonic()
            warm_up = min(2 * CACHE_ENTRIES, tokens)
            outcomes = _send(live.address, good, warm_up)
            memory_full = _resident(live.process.pid)
            outcomes += _send(live.address, good, tokens - warm_up)
            unknown_outcomes = _send(live.address, unknown, unknown_keys)
            seconds = time.monotonic() - started
            memory_end = _resident(live.process.pid)
    return Seen(outcomes, unknown_outcomes, len(fetched), seconds, memory_full, memory_end)


def _send(address: str, make: Callable[[int], bytes], count: int) -> Counter[str]:
    """Makes and sends that many checks, over as many connections as there are callers."""

    def caller(first: int) -> Counter[str]:
        with open_channel(address) as channel:
            numbers = range(first, count, CALLERS)
            return Counter(ask(channel, make(number)).reason for number in numbers)

    with ThreadPoolExecutor(CALLERS) as pool:
        return sum(pool.map(caller, range(CALLERS)), Counter[str]())


def _resident(pid: int) -> int:
    """Resident memory in bytes (proc(5), statm, field 2)."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
