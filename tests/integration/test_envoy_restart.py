"""Stopping and starting deputize behind a real Envoy: nothing unasked passes, nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from tests.demo.scene import ALICE, READ
from tests.demo.stage import Stage, set_stage
from tests.harness.grpc_serving import TRANSPORTS
from tests.harness.polling import wait_until
from tests.harness.service_config import with_own_ports

CALLERS = 4
DRAIN_SECONDS = 3
"""Envoy asks for health every 0.2 s here, and holds back changes of health for up to 1 s."""


@pytest.fixture(params=TRANSPORTS)
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    with set_stage(tmp_path, request.param) as running:
        yield running


def test_no_call_fails_while_one_of_two_services_is_replaced(stage: Stage) -> None:
    config = with_own_ports(stage.deputize.config)
    config["spec"]["server"]["drain"] = {"delaySeconds": DRAIN_SECONDS}
    leaving = stage.open_deputize("leaving", config)
    addresses = [*stage.deputize.grpc_addresses, *leaving.grpc_addresses]
    options = replace(stage.proxy.options, deputize=addresses, health_service="")
    client = stage.client("research", stage.open_proxy("balancing", options))
    call = stage.with_tokens(READ, ALICE)

    def call_until_it_has_left(_caller: int) -> list[int]:
        statuses = [client.send(call).status]
        while leaving.is_running:
            statuses.append(client.send(call).status)
        return [*statuses, client.send(call).status]

    with ThreadPoolExecutor(CALLERS) as callers:
        answers = callers.map(call_until_it_has_left, range(CALLERS))
        wait_until(leaving.audit_events, 10, "a decision of the one that leaves")
        leaving.terminate()
        statuses = [status for each in answers for status in each]
    assert set(statuses) == {200}
    events = [*leaving.audit_events(), *stage.deputize.audit_events()]
    assert len({event["decision_id"] for event in events}) == len(statuses)
    assert len(events) == len(statuses)


def test_without_the_service_nothing_passes_until_it_is_back(stage: Stage) -> None:
    client, call = stage.client("research"), stage.with_tokens(READ, ALICE)
    assert client.send(call).status == 200
    stage.deputize.stop()
    assert client.send(call).status == 403
    assert len(stage.upstream.arrivals) == 1
    with stage.deputize:
        wait_until(lambda: client.send(call).status == 200, 10, "an allowed call")
