"""A caller that no longer listens changes nothing about audit: one event for each check."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import grpc
import pytest

from tests.harness.grpc_client import ask, check_method, open_channel
from tests.harness.grpc_serving import TRANSPORTS, running_grpc
from tests.harness.polling import wait_until
from tests.harness.ports import Ports, allowed_check, make_ports
from tests.harness.world import NOW

SECONDS = 10


@dataclass(slots=True)
class GatedClock:
    """A clock that answers once the gate is open, and counts who came to look."""

    gate: threading.Event = field(default_factory=threading.Event)
    looked: int = 0

    def __call__(self) -> float:
        self.looked += 1
        self.gate.wait(SECONDS)
        return NOW


@dataclass(frozen=True, slots=True)
class Serving:
    ports: Ports
    clock: GatedClock
    channel: grpc.Channel


@pytest.fixture(params=TRANSPORTS)
def serving(request: pytest.FixtureRequest) -> Iterator[Serving]:
    ports, clock = make_ports(), GatedClock()
    ports.clock = clock
    with (
        running_grpc(ports.checker(), request.param) as (_, address),
        open_channel(address) as channel,
    ):
        yield Serving(ports, clock, channel)


def test_a_cancelled_check_is_audited_once(serving: Serving) -> None:
    call = check_method(serving.channel).future(allowed_check(), wait_for_ready=True)
    wait_until(lambda: serving.clock.looked, SECONDS)
    assert call.cancel()
    serving.clock.gate.set()
    wait_until(lambda: serving.ports.events, SECONDS)
    # The next check shows that nothing more comes of the first.
    ask(serving.channel, allowed_check())
    assert len(serving.ports.events) == 2


def test_a_check_whose_caller_ran_out_of_time_is_audited_once(serving: Serving) -> None:
    call = check_method(serving.channel).future(allowed_check(), timeout=1.0, wait_for_ready=True)
    wait_until(lambda: serving.clock.looked, SECONDS)
    assert call.exception(SECONDS) is not None
    serving.clock.gate.set()
    wait_until(lambda: serving.ports.events, SECONDS)
    ask(serving.channel, allowed_check())
    assert [event["reason"] for event in serving.ports.events] == [
        "system.deadline",
        "policy.allowed",
    ]
