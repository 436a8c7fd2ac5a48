from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from prometheus_client import CollectorRegistry, Gauge

from deputize.server.http_server import HttpServer, Readiness
from tests.harness.loopback import free_port, get
from tests.harness.polling import wait_until

READY = Readiness((), ("something is odd",), "digest")
WAITING = Readiness(("keys of a",), (), "")


@contextmanager
def running(state: Readiness) -> Iterator[str]:
    registry = CollectorRegistry()
    Gauge("deputize_rules", "Rules in use.", registry=registry).set(3)
    server = HttpServer("127.0.0.1:0", lambda: state, registry)
    server.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.stop()


def answer(state: Readiness, path: str) -> httpx.Response:
    with running(state) as url:
        return wait_until(lambda: get(f"{url}{path}"), 10)


def test_a_ready_service_says_so_and_what_is_odd() -> None:
    response = answer(READY, "/readyz")
    assert response.status_code == 200
    assert response.json() == {
        "ready": True,
        "waiting_for": [],
        "warnings": ["something is odd"],
        "policy_digest": "digest",
    }


def test_a_service_that_is_not_ready_says_why() -> None:
    response = answer(WAITING, "/readyz")
    assert response.status_code == 503
    assert response.json()["waiting_for"] == ["keys of a"]


@pytest.mark.parametrize("state", [READY, WAITING])
def test_a_running_service_is_alive_ready_or_not(state: Readiness) -> None:
    assert answer(state, "/healthz").status_code == 200


def test_metrics_are_those_of_the_registry() -> None:
    response = answer(READY, "/metrics")
    assert "deputize_rules 3.0" in response.text
    assert response.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize("path", ["/", "/docs", "/openapi.json", "/metrics/x"])
def test_there_is_nothing_else(path: str) -> None:
    assert answer(READY, path).status_code == 404


def test_a_taken_port_is_an_error_at_once() -> None:
    with running(READY) as url, pytest.raises(OSError, match="in use"):
        HttpServer(url.removeprefix("http://"), lambda: READY, CollectorRegistry())


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.1:http", "", "127.0.0.1:99999"])
def test_an_address_without_a_port_is_an_error(address: str) -> None:
    with pytest.raises(ValueError, match=r"port|literal"):
        HttpServer(address, lambda: READY, CollectorRegistry())


def test_the_port_is_free_again_afterwards() -> None:
    port = free_port()
    for _ in range(2):
        server = HttpServer(f"127.0.0.1:{port}", lambda: READY, CollectorRegistry())
        server.start()
        wait_until(lambda: get(f"http://127.0.0.1:{port}/healthz"), 10)
        server.stop()
