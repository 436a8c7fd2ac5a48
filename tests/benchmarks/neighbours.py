"""What a check costs beside us: the proxy that asks, the Redis that counts."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from deputize._proto.envoy.service.auth.v3.external_auth_pb2 import CheckRequest
from tests.benchmarks.load import WARM_UP, measure, send
from tests.benchmarks.probe import cpu_seconds
from tests.benchmarks.scenario import AGENT, make_check, make_config, write_world
from tests.harness.envoy_bootstrap import ProxyOptions
from tests.harness.envoy_proxy import EnvoyProxy
from tests.harness.issuer import Issuer
from tests.harness.loopback import HOST, free_port
from tests.harness.redis_server import RedisServer
from tests.harness.service import DeputizeProcess
from tests.harness.spiffe_ca import SpiffeCa

CALLS = 20_000
ROUNDS = 2
PEER = "bench.peer"
BUDGET = {"limit": 1_000_000_000, "windowSeconds": 86400}
STORES = ("none", "memory", "redis")


@dataclass(frozen=True)
class Neighbours:
    """Microseconds of CPU per call: of Envoy without and with a check, of us by store, of Redis."""

    proxy: tuple[float, float]
    budgets: dict[str, float]
    redis: float


def measure_neighbours(folder: Path, issuer: Issuer) -> Neighbours:
    """Measures in interleaved rounds and takes the cheapest of each."""
    folder.mkdir()
    proxies: list[tuple[float, float]] = []
    counted: list[dict[str, tuple[float, float]]] = []
    for number in range(ROUNDS):
        proxies.append(_proxies(folder / f"proxy-{number}", issuer))
        counted.append(
            {store: _budget(folder / f"{store}-{number}", issuer, store) for store in STORES}
        )
    return Neighbours(
        (min(plain for plain, _ in proxies), min(asking for _, asking in proxies)),
        {store: min(each[store][0] for each in counted) for store in STORES},
        min(each["redis"][1] for each in counted),
    )


class _PlainProxy(EnvoyProxy):
    """Answers itself, in plain text, after a check or without one."""

    def __init__(self, options: ProxyOptions, folder: Path, *, asks: bool) -> None:
        super().__init__(options, folder)
        self._asks = asks

    def bootstrap(self, access_log: Path) -> dict[str, Any]:
        document: dict[str, Any] = copy.deepcopy(dict(super().bootstrap(access_log)))
        (chain,) = document["static_resources"]["listeners"][0]["filter_chains"]
        del chain["transport_socket"]
        manager = chain["filters"][0]["typed_config"]
        (route,) = manager["route_config"]["virtual_hosts"][0]["routes"]
        del route["route"]
        route["direct_response"] = {"status": 204}
        if not self._asks:
            manager["http_filters"] = [
                each for each in manager["http_filters"] if not each["name"].endswith("ext_authz")
            ]
        return document

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid


def _proxies(folder: Path, issuer: Issuer) -> tuple[float, float]:
    """Microseconds per call of Envoy: without a check, and with one."""
    folder.mkdir()
    write_world(folder, issuer, 10)
    config = make_config("native", free_port(), free_port(), 10)
    config["spec"]["peer"] |= {"source": "metadata", "metadataNamespace": PEER}
    http = CheckRequest.FromString(make_check(issuer)).attributes.request.http
    headers = {name: text for name, text in http.headers.items() if name[0] != ":"}
    headers[":authority"] = http.host
    authority = SpiffeCa("prod.example.org", folder)
    with DeputizeProcess(config, folder) as service:
        options = ProxyOptions(
            deputize=service.grpc_addresses,
            upstream_port=1,
            server=authority.issue("envoy"),
            client_authority=authority.certificate_file,
            peer_metadata={PEER: {"sans": [AGENT]}},
        )
        found = []
        for asks in (False, True):
            with _PlainProxy(options, folder / f"envoy-{asks}", asks=asks) as proxy:
                url = f"http://{HOST}:{proxy.port}{http.path}"
                send(url, headers, WARM_UP)
                before = cpu_seconds(proxy.pid)
                send(url, headers, CALLS)
                found.append((cpu_seconds(proxy.pid) - before) / CALLS * 1e6)
        assert service.decisions == CALLS + WARM_UP
    return found[0], found[1]


def _budget(folder: Path, issuer: Issuer, store: str) -> tuple[float, float]:
    """Microseconds per hot check of us and of Redis, where the call's rule has a budget."""
    folder.mkdir()
    write_world(folder, issuer, 10)
    config = make_config("grpcio", free_port(), free_port(), 10)
    if store != "none":
        policy = folder / "policy.yaml"
        document = yaml.safe_load(policy.read_text())
        document["spec"]["rules"][0]["budget"] = BUDGET
        policy.write_text(yaml.safe_dump(document))
    with RedisServer(folder) as server:
        if store == "redis":
            (folder / "redis-url").write_text(server.url)
            config["spec"]["replay"] = {"store": "redis", "urlFile": "redis-url"}
        with DeputizeProcess(config, folder) as service:
            before = cpu_seconds(server._running.pid)
            cost = measure(service, make_check(issuer), CALLS, folder)
            counted = CALLS + WARM_UP
            return cost.cpu_micros, (cpu_seconds(server._running.pid) - before) / counted * 1e6


def tell_neighbours(found: Neighbours) -> Iterator[str]:
    """One line for each."""
    plain, asking = found.proxy
    yield f"Envoy, a call without a check: {plain:.0f} us; with one: {asking:.0f} us"
    for store, micros in found.budgets.items():
        yield f"hot check over gRPC, grpcio, budget {store}: {micros:.0f} us"
    yield f"Redis, a budget: {found.redis:.0f} us"
