"""A real Redis or Valkey, whichever is installed, as a process on loopback that keeps no files."""

from __future__ import annotations

import os
import shutil
import signal
import socket
from pathlib import Path
from typing import Self

import redis

from tests.harness.loopback import HOST, free_port
from tests.harness.processes import ChildProcess
from tests.harness.spiffe_ca import SpiffeCa, Svid

_PROGRAMS = ("redis-server", "valkey-server")
_START_SECONDS = 15
_END_SECONDS = 15


class RedisServer:
    """A context: within it the server answers. Its files are in `folder`.

    With an `authority` it speaks TLS only, as `127.0.0.1`.
    """

    def __init__(
        self, folder: Path, *, password: str = "", authority: SpiffeCa | None = None
    ) -> None:
        self.port = free_port()
        self._folder = folder
        self._password = password
        self._authority = authority
        self._svid = authority.issue("redis", addresses=[HOST]) if authority else None
        self._process: ChildProcess | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self.resume()
            self._process.stop()

    @property
    def url(self) -> str:
        return self.url_with(self._password)

    def url_with(self, password: str) -> str:
        """Where it is, for somebody with this password."""
        scheme = "rediss" if self._svid else "redis"
        return f"{scheme}://{f':{password}@' if password else ''}{HOST}:{self.port}"

    def start(self) -> None:
        """Starts it, with nothing in it, on the same port each time."""
        command: list[str | Path] = [_program(), "--bind", HOST, "--dir", self._folder]
        command += ["--save", "", "--appendonly", "no", *self._listening(self._svid)]
        if self._password:
            command += ["--requirepass", self._password]
        self._process = ChildProcess(command, self._folder / "redis.log")
        self._process.wait_ready(self._is_listening, _START_SECONDS)

    def kill(self) -> None:
        """Ends it at once, so that it cannot say goodbye."""
        self._signal(signal.SIGKILL)
        self._running.wait(_END_SECONDS)

    def suspend(self) -> None:
        """Lets it do nothing for now; its connections stay open."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Lets it go on."""
        if self._running.is_running:
            self._signal(signal.SIGCONT)

    def client(self) -> redis.Redis:
        """A client of its own, to look inside; without TLS."""
        return redis.Redis(HOST, self.port, password=self._password or None)

    @property
    def _running(self) -> ChildProcess:
        assert self._process is not None, "the server was not started"
        return self._process

    def _signal(self, number: signal.Signals) -> None:
        os.kill(self._running.pid, number)

    def _listening(self, svid: Svid | None) -> list[str | Path]:
        if svid is None or self._authority is None:
            return ["--port", str(self.port)]
        return [
            *("--port", "0", "--tls-port", str(self.port), "--tls-auth-clients", "no"),
            *("--tls-cert-file", svid.certificate_file),
            *("--tls-key-file", svid.private_key_file),
            *("--tls-ca-cert-file", self._authority.certificate_file),
        ]

    def _is_listening(self) -> bool:
        try:
            socket.create_connection((HOST, self.port), 1).close()
        except OSError:
            return False
        return True


def _program() -> Path:
    found = next(filter(None, map(shutil.which, _PROGRAMS)), None)
    if found is None:
        raise RuntimeError(
            f"the tests need {' or '.join(_PROGRAMS)}: `make redis-server`, or install one"
        )
    return Path(found)
