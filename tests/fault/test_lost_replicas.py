"""What callers see when a replica dies, hangs, or cannot show a good certificate any more."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.demo.scene import ALICE, READ
from tests.demo.stage import Stage, set_stage
from tests.harness import spiffe_ca
from tests.harness.calls import Client
from tests.harness.loopback import get
from tests.harness.polling import wait_until
from tests.harness.service import DeputizeProcess
from tests.harness.service_config import with_own_ports

PROXY_SECONDS = 0.25
IN_A_ROW = 20
"""So many good calls one after the other mean that the proxy has turned away from what is gone."""


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with set_stage(tmp_path) as running:
        yield running


def test_a_replica_that_is_killed_costs_refusals_and_nothing_else(stage: Stage) -> None:
    other, client = _second_replica(stage)
    os.kill(other.pid, signal.SIGKILL)
    assert _call_until_all_is_well(stage, client).keys() <= {200, 403}


def test_a_replica_that_hangs_costs_refusals_until_the_proxy_turns_away(stage: Stage) -> None:
    other, client = _second_replica(stage)
    os.kill(other.pid, signal.SIGSTOP)
    try:
        statuses = _call_until_all_is_well(stage, client)
        assert statuses.keys() == {200, 403}
    finally:
        os.kill(other.pid, signal.SIGCONT)


def test_calls_that_nobody_answered_are_told_by_the_proxy(stage: Stage) -> None:
    client, call = stage.client("research"), stage.with_tokens(READ, ALICE)
    stage.deputize.stop()
    answer = client.send(call)
    assert (answer.status, answer.body) == (403, b"")
    told = get(stage.proxy._admin_url("/stats/prometheus?filter=ext_authz"))
    assert told is not None
    assert 'envoy_cluster_ext_authz_error{envoy_cluster_name="upstream"} 1\n' in told.text


def test_with_a_certificate_that_has_expired_no_proxy_gets_an_answer(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = stage.authority.issue("proxy", uris=["spiffe://prod.example.org/ns/edge/sa/gateway"])
    monkeypatch.setattr(spiffe_ca, "_LIFETIME", timedelta(seconds=30))
    expired = stage.authority.issue("deputize", uris=["spiffe://prod.example.org/ns/deputize"])
    config = with_own_ports(stage.deputize.config)
    config["spec"]["server"]["grpc"]["tls"] = {
        "certificateFile": str(expired.certificate_file),
        "privateKeyFile": str(expired.private_key_file),
    }
    guarded = stage.open_deputize("guarded", config)
    options = replace(
        stage.proxy.options,
        deputize=guarded.grpc_addresses,
        deputize_tls=(proxy, stage.authority.certificate_file),
    )
    client = stage.client("research", stage.open_proxy("checking", options))
    assert client.send(stage.with_tokens(READ, ALICE)).status == 403
    assert guarded.decisions == 0


def _second_replica(stage: Stage) -> tuple[DeputizeProcess, Client]:
    """Another service behind a proxy that balances over both, and a caller; both have decided."""
    other = stage.open_deputize("other", with_own_ports(stage.deputize.config))
    addresses = [*stage.deputize.grpc_addresses, *other.grpc_addresses]
    options = replace(
        stage.proxy.options,
        deputize=addresses,
        health_service="",
        timeout_seconds=PROXY_SECONDS,
    )
    client = stage.client("research", stage.open_proxy("balancing", options))
    call = stage.with_tokens(READ, ALICE)
    wait_until(
        lambda: client.send(call).status == 200 and other.decisions, 10, "a decision of the other"
    )
    return other, client


def _call_until_all_is_well(stage: Stage, client: Client) -> Counter[int]:
    """The statuses until the last so many calls were good. What was let in had been allowed."""
    call, statuses = stage.with_tokens(READ, ALICE), list[int]()
    arrived = len(stage.upstream.arrivals)

    def is_well() -> bool:
        statuses.append(client.send(call).status)
        return len(statuses) >= IN_A_ROW and set(statuses[-IN_A_ROW:]) == {200}

    wait_until(is_well, 20, "calls without a refusal")
    counted = Counter(statuses)
    assert len(stage.upstream.arrivals) - arrived == counted[200]
    return counted
