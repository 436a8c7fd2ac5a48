"""Calls with `curl`, which speaks HTTP/1.1 and HTTP/2 and sends bodies in either way."""

from __future__ import annotations

import http.client
import io
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.harness.calls import Answer, Call
from tests.harness.loopback import HOST
from tests.harness.spiffe_ca import Svid

Version = Literal["http1.1", "http2"]
VERSIONS: tuple[Version, ...] = ("http1.1", "http2")

_TIMEOUT_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Curl:
    """Whoever holds `svid`, calling `host` through the proxy on `port`."""

    port: int
    svid: Svid
    authority_file: Path
    host: str

    def send(self, call: Call, version: Version = "http1.1", *, chunked: bool = False) -> Answer:
        """Sends one request; `chunked` says no length, HTTP/1.1 then sends chunks."""
        headers = [("host", self.host), ("expect", ""), *call.headers]
        if call.body and not any(name.lower() == "content-type" for name, _ in headers):
            headers.append(("content-type", "application/json"))
        if chunked:
            headers.append(("transfer-encoding", "chunked"))
        command = [
            _program(),
            *("--silent", "--show-error", "--include", "--path-as-is", "--disable"),
            *("--noproxy", "*", "--globoff", f"--{version}"),
            *("--max-time", str(_TIMEOUT_SECONDS), "--request", call.method),
            *("--cacert", str(self.authority_file), "--cert", str(self.svid.certificate_file)),
            *("--key", str(self.svid.private_key_file)),
        ]
        for name, value in headers:
            command += ["--header", f"{name}: {value}" if value else f"{name}:"]
        if call.body:
            command += ["--data-binary", "@-"]
        command.append(f"https://{HOST}:{self.port}{call.target}")
        done = subprocess.run(  # noqa: S603 - our own arguments
            command, input=call.body, capture_output=True, check=False
        )
        assert done.stdout, done.stderr.decode()
        return _read(done.stdout, version)


def _read(octets: bytes, version: Version) -> Answer:
    stream = io.BytesIO(octets)
    protocol, status = stream.readline().split()[:2]
    assert protocol == {"http1.1": b"HTTP/1.1", "http2": b"HTTP/2"}[version]
    headers = http.client.parse_headers(stream)
    return Answer(int(status), headers, stream.read())


def _program() -> str:
    found = shutil.which("curl")
    assert found is not None, "the tests need curl"
    return found
