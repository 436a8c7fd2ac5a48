"""Loads a check port with h2load and tells what it cost the server."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.harness.service import DeputizeProcess

CHECK_PATH = "/envoy.service.auth.v3.Authorization/Check"
WARM_UP = 3000


@dataclass(frozen=True)
class Cost:
    """CPU time of the server per check in microseconds, and checks per second."""

    cpu_micros: float
    per_second: float


def measure(service: DeputizeProcess, message: bytes, checks: int, folder: Path) -> Cost:
    """Sends the same check `checks` times over two connections with 32 streams each."""
    body = folder / "check.bin"
    body.write_bytes(b"\0" + struct.pack(">I", len(message)) + message)
    _send(service, body, WARM_UP)
    before = service.cpu_seconds
    rate = _send(service, body, checks)
    return Cost((service.cpu_seconds - before) / checks * 1e6, rate)


def _send(service: DeputizeProcess, body: Path, checks: int) -> float:
    program = shutil.which("h2load")
    if program is None:
        raise SystemExit("h2load is missing; on Debian it is in the package nghttp2-client")
    command = [
        *(program, "-n", str(checks), "-c", "2", "-m", "32", "-t", "1", "-d", str(body)),
        *("-H", "content-type: application/grpc", "-H", "te: trailers"),
        f"http://{service.grpc_addresses[0]}{CHECK_PATH}",
    ]
    report = subprocess.run(  # noqa: S603 - our own words
        command, capture_output=True, text=True, check=True
    ).stdout
    succeeded = re.search(r"(\d+) succeeded", report)
    rate = re.search(r"finished in [^,]*, ([\d.]+) req/s", report)
    if succeeded is None or rate is None or int(succeeded[1]) != checks:
        raise SystemExit(f"h2load did not get every answer:\n{report}")
    return float(rate[1])
