"""The end of a process: proxies turn away first, nothing that was asked is lost."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest

from deputize.core.reasons import Reason
from tests.harness.check_message import read_answer
from tests.harness.grpc_client import SERVICE, ask, check_method, health, open_channel
from tests.harness.grpc_serving import TRANSPORTS
from tests.harness.issuer import Issuer
from tests.harness.jwks_endpoint import running_jwks_endpoint
from tests.harness.live import Live, Load, running_live
from tests.harness.polling import wait_until
from tests.harness.world import ISSUER_URL

SECONDS = 15
HEALTH_SECONDS = 0.05
PROMPT_SECONDS = 5


def delay(seconds: int) -> dict[str, int]:
    return {"delaySeconds": seconds}


@dataclass(slots=True)
class Balancer:
    """Sends each question to the next backend whose last health check was good."""

    channels: list[grpc.Channel]
    healthy: list[bool] = field(init=False)
    turn: int = 0
    _over: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.healthy = [False] * len(self.channels)

    def look(self) -> bool:
        """Checks the health of all; true when all are well."""
        for number, channel in enumerate(self.channels):
            self.healthy[number] = health(channel, SERVICE) == "SERVING"
        return all(self.healthy)

    def watch(self) -> None:
        while not self._over.wait(HEALTH_SECONDS):
            self.look()

    def stop(self) -> None:
        self._over.set()

    def choose(self) -> grpc.Channel:
        with self._lock:
            self.turn += 1
            good = [number for number, healthy in enumerate(self.healthy) if healthy]
            return self.channels[good[self.turn % len(good)]]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_under_load_no_request_fails_and_every_one_is_audited(
    tmp_path: Path, transport: str
) -> None:
    issuer = Issuer(ISSUER_URL)

    def change(spec: dict[str, Any]) -> None:
        spec["server"]["drain"] = delay(1)

    with ExitStack() as stack:
        first, second = (
            stack.enter_context(
                running_live(tmp_path / name, transport=transport, issuer=issuer, change=change)
            )
            for name in ("first", "second")
        )
        channels = [stack.enter_context(open_channel(live.address)) for live in (first, second)]
        balancer = Balancer(channels)
        wait_until(balancer.look, SECONDS)
        watcher = threading.Thread(target=balancer.watch)
        watcher.start()
        with Load(lambda: ask(balancer.choose(), first.check()).reason) as load:
            load.wait_for_more(50)
            first.process.terminate()
            wait_until(lambda: not first.process.is_running, SECONDS)
            load.wait_for_more(50)
        balancer.stop()
        watcher.join()
        assert first.process.stop() == 0
        assert second.process.stop() == 0
        events = [*first.process.audit_events(), *second.process.audit_events()]
    assert set(load.outcomes) == {Reason.POLICY_ALLOWED}
    assert len({event["decision_id"] for event in events}) == load.outcomes.total() == len(events)
    assert len(first.process.audit_events()) > 0


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_while_draining_it_says_so_and_goes_on_answering(tmp_path: Path, transport: str) -> None:
    def change(spec: dict[str, Any]) -> None:
        spec["server"]["drain"] = delay(2)

    with (
        running_live(tmp_path, transport=transport, change=change) as live,
        open_channel(live.address) as channel,
    ):
        wait_until(lambda: health(channel) == "SERVING", SECONDS)
        live.process.terminate()
        wait_until(lambda: health(channel) == "NOT_SERVING", SECONDS)
        assert health(channel, SERVICE) == "NOT_SERVING"
        assert live.readiness()["waiting_for"] == ["draining"]
        assert ask(channel, live.check()).allowed
        assert live.process.stop() == 0


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_running_check_is_answered_before_the_end(tmp_path: Path, transport: str) -> None:
    issuer, stranger = Issuer(ISSUER_URL), Issuer(ISSUER_URL, key_id="k2")
    asked, over = threading.Semaphore(0), threading.Event()

    def answer_once() -> bytes:
        # After the first time the source hangs, so a check with an unknown key waits for it.
        if not asked.acquire(blocking=False):
            asked.release(2)
        else:
            over.wait(SECONDS)
        return issuer.jwks()

    with (
        running_jwks_endpoint(answer_once) as url,
        running_live(tmp_path, transport=transport, keys={"url": url}, issuer=issuer) as live,
        open_channel(live.address) as channel,
    ):
        assert ask(channel, live.check()).allowed
        unknown = Live(live.folder, stranger, live.process).check()
        waiting = check_method(channel).future(unknown, timeout=SECONDS)
        wait_until(lambda: not asked.acquire(blocking=False), SECONDS)
        live.process.terminate()
        assert read_answer(waiting.result()).reason == Reason.TOKEN_UNKNOWN_KEY
        over.set()
        assert live.process.stop() == 0
        events = live.process.audit_events()
    assert [event["reason"] for event in events] == [
        Reason.POLICY_ALLOWED,
        Reason.TOKEN_UNKNOWN_KEY,
    ]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_an_idle_service_ends_promptly_and_cleanly(tmp_path: Path, transport: str) -> None:
    with running_live(tmp_path, transport=transport) as live:
        started = time.monotonic()
        assert live.process.stop() == 0
        assert time.monotonic() - started < PROMPT_SECONDS
        assert "Traceback" not in live.process.log_file.read_text()
