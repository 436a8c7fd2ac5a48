"""What hangs holds up a check no longer than its time."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import pytest

from deputize.adapters.audit_log import AuditLog
from deputize.adapters.http_fetch import fetch
from deputize.adapters.refresher import Refresher, Taken
from deputize.core.reasons import Reason
from deputize.core.verdict import Wanted
from deputize.server.check import AskingProxy, Limits
from tests.harness.check_message import make_check
from tests.harness.issuer import Issuer
from tests.harness.polling import wait_until
from tests.harness.ports import Ports, make_ports
from tests.harness.scripted_server import hang, running_server
from tests.harness.world import ISSUER_URL, NOW

MUCH_TOO_LONG = 5.0


@dataclass(slots=True)
class OneSource:
    """The keys of the only issuer."""

    keys: Refresher

    def refetch(self, wanted: Wanted, timeout: float) -> None:
        assert wanted.issuer == ISSUER_URL
        self.keys.refetch(timeout)

    def introspection(self, issuer: str) -> None:
        """No issuer is asked."""


@pytest.fixture
def hanging_keys() -> Iterator[OneSource]:
    """A key source whose server accepts and says nothing."""
    with running_server(hang) as url:
        keys = Refresher(
            "keys",
            read=lambda: fetch(url, None),
            take=lambda _octets, _now: Taken(lambda: None),
            refresh=60,
            cooldown=60,
        )
        keys.start()
        yield OneSource(keys)
        keys.stop()


def unknown_key_check() -> bytes:
    token = Issuer(ISSUER_URL, key_id="k2").issue(now=NOW)
    return make_check(token).SerializeToString()


@pytest.mark.parametrize("proxy", [AskingProxy(0.3, None), AskingProxy(None, None)])
def test_a_key_source_that_never_answers(hanging_keys: OneSource, proxy: AskingProxy) -> None:
    ports = make_ports()
    ports.sources = hanging_keys
    ports.limits = Limits(0.3, audit_required=True)
    started = time.monotonic()
    assert ports.ask(unknown_key_check(), proxy).reason == Reason.TOKEN_UNKNOWN_KEY
    assert time.monotonic() - started < MUCH_TOO_LONG
    assert len(ports.events) == 1


def test_a_key_source_that_never_answers_does_not_touch_known_keys(
    hanging_keys: OneSource,
) -> None:
    ports = make_ports()
    ports.sources = hanging_keys
    ports.limits = Limits(0.3, audit_required=True)
    ports.ask(unknown_key_check())
    assert ports.ask().allowed


@dataclass(slots=True)
class PipeSink:
    descriptor: int

    def write(self, octets: memoryview) -> int:
        return os.write(self.descriptor, octets)

    def close(self) -> None:
        """The pipe belongs to the test."""


@pytest.fixture
def blocked_log() -> Iterator[AuditLog]:
    """An audit log whose sink never returns from a write."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writer, b"\n" * 4096)
    os.set_blocking(writer, True)
    log = AuditLog(PipeSink(writer), 3)
    yield log
    os.close(reader)
    log.close(1)
    os.close(writer)


def ask_until_full(ports: Ports, log: AuditLog) -> int:
    """How many checks were allowed before the log was full."""
    allowed = 0
    while log.healthy:
        assert ports.ask().allowed
        allowed += 1
    return allowed


def test_a_blocked_audit_sink_refuses_once_the_queue_is_full(blocked_log: AuditLog) -> None:
    ports = make_ports()
    ports.audit = blocked_log
    assert ask_until_full(ports, blocked_log) == 3
    started = time.monotonic()
    assert ports.ask().reason == Reason.SYSTEM_AUDIT_UNAVAILABLE
    assert time.monotonic() - started < MUCH_TOO_LONG


def test_a_blocked_audit_sink_refuses_nobody_where_audit_is_optional(
    blocked_log: AuditLog,
) -> None:
    ports = make_ports()
    ports.audit = blocked_log
    ports.limits = Limits(10, audit_required=False)
    ask_until_full(ports, blocked_log)
    assert ports.ask().allowed


def test_checks_are_allowed_again_once_the_sink_takes_events() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writer, b"\n" * 4096)
    log = AuditLog(PipeSink(writer), 3)
    ports = make_ports()
    ports.audit = log
    while log.healthy:
        ports.ask()
    assert not ports.ask().allowed
    os.read(reader, 1 << 20)
    wait_until(lambda: log.healthy and log.length == 0, MUCH_TOO_LONG)
    assert ports.ask().allowed
    assert log.close(MUCH_TOO_LONG)
    os.close(reader)
    os.close(writer)
