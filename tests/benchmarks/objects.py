"""Policies as objects of a real API server: time to be ready, to take a change; memory."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.benchmarks.probe import mebibytes, take_change
from tests.benchmarks.scenario import make_check, make_config, make_rule, write_world
from tests.benchmarks.sizes import TOKENS
from tests.harness.api_server import ApiServer
from tests.harness.grpc_client import open_channel
from tests.harness.issuer import Issuer
from tests.harness.loopback import free_port
from tests.harness.object_space import objects_path
from tests.harness.polling import wait_until
from tests.harness.published_crds import OURS
from tests.harness.service import DeputizeProcess

KIND = "DelegationPolicy"
NUMBERS = (100, 500, 1000)
RULES_EACH = 10
METHODS = ("GET", "HEAD", "PUT", "POST")
CHANGES = 3
SECONDS = 120


@dataclass(frozen=True)
class Stored:
    """A service under so many objects of ten rules. Memory in MiB, times in seconds.

    Measured once every object says that it is in force; the `slowest` check while changes of one
    object were taken, each within `change`.
    """

    ready: float
    memory: float
    change: float
    slowest: float
    peak: float


def measure_objects(folder: Path, issuer: Issuer) -> dict[int, Stored]:
    """One API server, and a namespace and a service for each number of objects."""
    folder.mkdir()
    definitions = [yaml.safe_load(file.read_text()) for file in OURS.iterdir()]
    with ApiServer(folder / "api-server") as server, _kubeconfig(server):
        server.install_definitions(definitions)
        return {number: _measure(server, folder, issuer, number) for number in NUMBERS}


def tell_objects(found: dict[int, Stored]) -> Iterator[str]:
    """One line for each number of objects."""
    for number, each in found.items():
        yield (
            f"{number:,} objects of {RULES_EACH} rules: ready after {each.ready:.1f} s, "
            f"{each.memory:.0f} MiB; a change {each.change:.2f} s, slowest check meanwhile "
            f"{each.slowest * 1000:.0f} ms, peak {each.peak:.0f} MiB"
        )


def _measure(server: ApiServer, folder: Path, issuer: Issuer, number: int) -> Stored:
    namespace = f"with-{number}"
    server.create_namespace(namespace)
    for place in range(number):
        _create(server, namespace, place)
    own = folder / namespace
    own.mkdir()
    write_world(own, issuer, RULES_EACH)
    config = make_config("grpcio", free_port(), free_port(), TOKENS)
    del config["spec"]["policies"]
    config["spec"]["kubernetes"] = {"namespaces": [namespace]}
    started = time.monotonic()
    with (
        DeputizeProcess(config, own) as service,
        open_channel(service.grpc_addresses[0]) as channel,
    ):
        ready = time.monotonic() - started
        last = f"{objects_path(namespace, KIND)}/policy-{number - 1}"
        wait_until(lambda: _is_programmed(server, last), SECONDS, "the status of all objects")
        memory = mebibytes(service, "VmRSS")
        taken = [
            take_change(service, channel, make_check(issuer), lambda: _change(server, last))
            for _ in range(CHANGES)
        ]
        peak = mebibytes(service, "VmHWM")
    changes, slowest = zip(*taken, strict=True)
    return Stored(ready, memory, max(changes), max(slowest), peak)


def _change(server: ApiServer, path: str) -> None:
    stored = server.request("GET", path).json()
    methods = stored["spec"]["rules"][-1]["methods"]
    methods.append(METHODS[len(methods)])
    answer = server.request("PUT", path, stored)
    assert answer.is_success, answer.text


def _create(server: ApiServer, namespace: str, place: int) -> None:
    first = place * RULES_EACH
    body = {
        "apiVersion": "deputize.dev/v1alpha1",
        "kind": KIND,
        "metadata": {"name": f"policy-{place}"},
        "spec": {"rules": [make_rule(first + number) for number in range(RULES_EACH)]},
    }
    answer = server.request("POST", objects_path(namespace, KIND), body)
    assert answer.is_success, answer.text


def _is_programmed(server: ApiServer, path: str) -> bool:
    conditions = server.request("GET", path).json().get("status", {}).get("conditions") or []
    return ("Programmed", "True") in [(each["type"], each["status"]) for each in conditions]


@contextmanager
def _kubeconfig(server: ApiServer) -> Iterator[None]:
    """For the processes that are started meanwhile."""
    before = os.environ.get("KUBECONFIG")
    os.environ["KUBECONFIG"] = str(server.kubeconfig)
    try:
        yield
    finally:
        if before is None:
            del os.environ["KUBECONFIG"]
        else:
            os.environ["KUBECONFIG"] = before
