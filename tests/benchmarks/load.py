"""Loads a check port with h2load and tells what it cost the server."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
from collections.abc import Mapping
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
    url = f"http://{service.grpc_addresses[0]}{CHECK_PATH}"
    headers = {"content-type": "application/grpc", "te": "trailers"}
    send(url, headers, WARM_UP, body)
    before = service.cpu_seconds
    rate = send(url, headers, checks, body)
    return Cost((service.cpu_seconds - before) / checks * 1e6, rate)


def send(url: str, headers: Mapping[str, str], count: int, body: Path | None = None) -> float:
    """Sends the same request `count` times, and gives how many were answered in a second."""
    program = shutil.which("h2load")
    if program is None:
        raise SystemExit("h2load is missing; on Debian it is in the package nghttp2-client")
    command = [program, "-n", str(count), "-c", "2", "-m", "32", "-t", "1"]
    for name, value in headers.items():
        command += ["-H", f"{name}: {value}"]
    if body is not None:
        command += ["-d", str(body)]
    report = subprocess.run(  # noqa: S603 - our own words
        [*command, url], capture_output=True, text=True, check=True
    ).stdout
    succeeded = re.search(r"(\d+) succeeded", report)
    rate = re.search(r"finished in [^,]*, ([\d.]+) req/s", report)
    if succeeded is None or rate is None or int(succeeded[1]) != count:
        raise SystemExit(f"h2load did not get every answer:\n{report}")
    return float(rate[1])
