"""Looks at a running service from outside: its memory, its CPU time, how long checks take."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import grpc

from tests.harness.grpc_client import check_method
from tests.harness.polling import wait_until
from tests.harness.service import DeputizeProcess

SECONDS = 60
CHECKS_PER_LOOK = 20


def mebibytes(service: DeputizeProcess, name: str) -> float:
    """`VmRSS`, or `VmHWM` for the most so far, of the process (proc(5))."""
    status = Path(f"/proc/{service.pid}/status").read_text()
    found = re.search(rf"^{name}:\s+(\d+) kB$", status, re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1024


def cpu_seconds(pid: int) -> float:
    """User and system time of any process so far (proc(5), fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def take_change(
    service: DeputizeProcess, channel: grpc.Channel, check: bytes, change: Callable[[], object]
) -> tuple[float, float]:
    """Seconds until a change of policies is in use, and those of the slowest check meanwhile.

    The checks come one after the other, and by the clock: on a busy machine they are slower.
    """
    ask, before = check_method(channel), service.policy_digest
    slowest = 0.0

    def is_in_use() -> bool:
        nonlocal slowest
        for _ in range(CHECKS_PER_LOOK):
            asked = time.monotonic()
            ask(check)
            slowest = max(slowest, time.monotonic() - asked)
        return service.policy_digest != before

    is_in_use()
    slowest = 0.0
    started = time.monotonic()
    change()
    wait_until(is_in_use, SECONDS, "the change")
    return time.monotonic() - started, slowest
