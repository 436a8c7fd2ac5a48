"""A running service in the world of `world.py`, and callers that never stop asking."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import grpc
import yaml

from tests.harness.check_message import Verdict, make_check
from tests.harness.config_files import replace_file, write_world
from tests.harness.grpc_client import ask, open_channel
from tests.harness.issuer import Issuer
from tests.harness.loopback import HOST, free_port, get
from tests.harness.polling import wait_until
from tests.harness.service import DeputizeProcess
from tests.harness.service_config import service_config
from tests.harness.world import AUDIENCE, ISSUER_URL, TRUST_DOMAIN

SECONDS = 15


@dataclass(frozen=True, slots=True)
class Live:
    """The service, and everything one needs to ask it. Its files are in `folder`."""

    folder: Path
    issuer: Issuer
    process: DeputizeProcess

    @property
    def address(self) -> str:
        return self.process.grpc_addresses[0]

    @property
    def policy_file(self) -> Path:
        return self.folder / "policies" / "orders.yaml"

    def check(self, *, method: str = "GET", path: str = "/v1/orders/7") -> bytes:
        """A check with a fresh token; it is allowed unless something is changed."""
        token = self.issuer.issue(now=time.time())
        return make_check(token, method=method, path=path).SerializeToString()

    def ask(self, octets: bytes | None = None) -> Verdict:
        """One check over a connection of its own."""
        with open_channel(self.address) as channel:
            return ask(channel, self.check() if octets is None else octets)

    def readiness(self) -> dict[str, Any]:
        """What `/readyz` says."""
        answer = get(f"{self.process.http_url}/readyz")
        assert answer is not None
        body: dict[str, Any] = answer.json()
        return body

    def change_config(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Lets `change` edit the `spec` of the configuration file."""
        document: dict[str, Any] = yaml.safe_load(self.process.config_file.read_text())
        change(document["spec"])
        replace_file(self.process.config_file, yaml.safe_dump(document))

    def wait_for_reason(self, reason: str, *, method: str = "GET") -> None:
        """Asks until the answer has this reason."""
        wait_until(lambda: self.ask(self.check(method=method)).reason == reason, SECONDS, reason)


@contextmanager
def running_live(
    folder: Path,
    *,
    transport: str = "grpcio",
    keys: Mapping[str, Any] = MappingProxyType({"file": "jwks.json"}),
    issuer: Issuer | None = None,
    change: Callable[[dict[str, Any]], None] = lambda _spec: None,
    process: type[DeputizeProcess] = DeputizeProcess,
) -> Iterator[Live]:
    """Starts it on a free port; `change` may edit the `spec` of the configuration before."""
    issuer = issuer or Issuer(ISSUER_URL)
    config = service_config(
        issuer=ISSUER_URL,
        audience=AUDIENCE,
        keys=dict(keys),
        trust_domains=[TRUST_DOMAIN],
        policies=["policies"],
        grpc_listen=[f"{HOST}:{free_port()}"],
        transport=transport,
    )
    change(config["spec"])
    write_world(folder, issuer=issuer)
    with process(config, folder) as running:
        yield Live(folder, issuer, running)


class UnreadyProcess(DeputizeProcess):
    """Within its context the service is alive, ready or not."""

    def _is_ready(self) -> bool:
        return get(f"{self.http_url}/healthz") is not None


@dataclass(slots=True)
class Load:
    """Callers in threads that ask again and again within the block.

    `ask_once` gives what came of one question; `outcomes` counts them.
    """

    ask_once: Callable[[], str]
    callers: int = 3
    outcomes: Counter[str] = field(default_factory=Counter)
    _threads: list[threading.Thread] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Self:
        self._threads = [threading.Thread(target=self._run) for _ in range(self.callers)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def wait_for_more(self, count: int) -> None:
        """Waits until that many more questions were answered."""
        before = self.outcomes.total()
        wait_until(lambda: self.outcomes.total() >= before + count, SECONDS, "more answers")

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                outcome = self.ask_once()
            except grpc.RpcError as error:
                outcome = f"RPC error: {error}"
            except AssertionError as error:
                outcome = f"unlawful: {error}"
            with self._lock:
                self.outcomes[outcome] += 1
