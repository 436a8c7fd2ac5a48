"""What an allow obliges to and cannot be done refuses, whatever a store or an issuer does."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import cast

import pytest

from deputize.adapters.introspection import Activity
from deputize.adapters.replay_store import MemoryReplayStore, Use
from deputize.core.model import VerifiedToken
from deputize.core.reasons import Reason
from deputize.server.check import Limits
from deputize.server.ports import Introspection
from tests.harness.ports import CountedSources, KeptAudit, Ports, allowed_check, make_ports
from tests.harness.scripted_ports import GARBAGE, ScriptedStore, fail, refuses
from tests.harness.world import (
    ISSUER_URL,
    make_snapshot,
    make_trusted_issuer,
    shared_issuer,
)

TRUSTED = make_trusted_issuer()


def ports_with(*, use_once: bool = False, introspected: bool = False) -> Ports:
    """Ports of a service whose issuer's tokens are used once, or asked about."""
    trusted = replace(TRUSTED, use_once=use_once, introspected=introspected)
    return make_ports(make_snapshot(shared_issuer(), trusted=[trusted]))


@dataclass(slots=True)
class ScriptedIssuer:
    """Says what it is told to, and counts."""

    say: Callable[[], object]
    asked: int = 0

    def ask(self, compact: str, token: VerifiedToken, timeout: float) -> Activity:
        assert compact.count(".") == 2
        assert token.issuer == ISSUER_URL
        assert timeout > 0
        self.asked += 1
        return cast("Activity", self.say())


def test_a_token_lets_in_once() -> None:
    ports, octets = ports_with(use_once=True), allowed_check()
    assert ports.ask(octets).allowed
    assert ports.ask(octets).reason == Reason.TOKEN_REPLAYED
    assert [event["effect"] for event in ports.events] == ["allow", "deny"]


@pytest.mark.parametrize("said", [Use.UNKNOWN, *GARBAGE])
def test_a_store_that_does_not_say_fresh_refuses(said: object) -> None:
    ports = ports_with(use_once=True)
    ports.replay_store = ScriptedStore(lambda: said)
    refuses(ports, Reason.SYSTEM_STATUS_UNAVAILABLE)


def test_a_store_that_fails_is_a_fault_of_ours() -> None:
    ports = ports_with(use_once=True)
    ports.replay_store = ScriptedStore(fail)
    refuses(ports, Reason.SYSTEM_INTERNAL)


def test_a_store_that_takes_too_long_refuses() -> None:
    ports = ports_with(use_once=True)
    ports.limits = Limits(0.05, audit_required=True)

    def late() -> Use:
        threading.Event().wait(0.1)
        return Use.FRESH

    ports.replay_store = ScriptedStore(late)
    refuses(ports, Reason.SYSTEM_DEADLINE)


def test_a_call_that_cannot_be_audited_uses_nothing_up() -> None:
    ports = ports_with(use_once=True)
    ports.audit = audit = KeptAudit(healthy=False)
    refuses(ports, Reason.SYSTEM_AUDIT_UNAVAILABLE)
    audit.healthy = True
    assert ports.ask().allowed


def test_a_call_that_is_refused_uses_nothing_up() -> None:
    ports = ports_with(use_once=True)
    store = MemoryReplayStore(1)
    ports.replay_store = store
    ports.clock = lambda: 0.0
    assert not ports.ask().allowed
    assert len(store) == 0


def test_an_active_token_is_allowed() -> None:
    ports, issuer = ports_with(introspected=True), ScriptedIssuer(lambda: Activity.ACTIVE)
    ports.sources = CountedSources(introspections={ISSUER_URL: issuer})
    assert ports.ask().allowed
    assert issuer.asked == 1


def test_an_inactive_token_is_revoked() -> None:
    ports = ports_with(introspected=True)
    issuer = ScriptedIssuer(lambda: Activity.INACTIVE)
    ports.sources = CountedSources(introspections={ISSUER_URL: issuer})
    refuses(ports, Reason.TOKEN_REVOKED)


@pytest.mark.parametrize("said", [Activity.UNKNOWN, *GARBAGE])
def test_an_issuer_that_does_not_say_active_refuses(said: object) -> None:
    ports = ports_with(introspected=True)
    issuer = ScriptedIssuer(lambda: said)
    ports.sources = CountedSources(introspections={ISSUER_URL: issuer})
    refuses(ports, Reason.SYSTEM_STATUS_UNAVAILABLE)


def test_an_issuer_that_is_not_set_up_refuses() -> None:
    refuses(ports_with(introspected=True), Reason.SYSTEM_STATUS_UNAVAILABLE)


def test_an_introspection_that_fails_is_a_fault_of_ours() -> None:
    ports = ports_with(introspected=True)
    ports.sources = CountedSources(introspections={ISSUER_URL: ScriptedIssuer(fail)})
    refuses(ports, Reason.SYSTEM_INTERNAL)


@pytest.mark.parametrize("found", [7, "text", object(), [], True])
def test_one_to_ask_who_is_none_is_a_fault_of_ours(found: object) -> None:
    ports = ports_with(introspected=True)
    ports.sources = CountedSources(introspections={ISSUER_URL: cast("Introspection", found)})
    refuses(ports, Reason.SYSTEM_INTERNAL)


def test_an_introspection_that_takes_too_long_refuses() -> None:
    ports = ports_with(introspected=True)
    ports.limits = Limits(0.05, audit_required=True)

    def late() -> Activity:
        threading.Event().wait(0.1)
        return Activity.ACTIVE

    ports.sources = CountedSources(introspections={ISSUER_URL: ScriptedIssuer(late)})
    refuses(ports, Reason.SYSTEM_DEADLINE)


def test_a_token_is_used_up_only_after_its_issuer_said_yes() -> None:
    ports = ports_with(introspected=True, use_once=True)
    answers = [Activity.ACTIVE, Activity.UNKNOWN, Activity.INACTIVE]
    issuer = ScriptedIssuer(answers.pop)
    ports.sources = CountedSources(introspections={ISSUER_URL: issuer})
    ports.replay_store = store = MemoryReplayStore(1)
    assert not ports.ask().allowed
    assert not ports.ask().allowed
    assert len(store) == 0
    assert ports.ask().allowed
    assert len(store) == 1


def test_of_many_who_show_one_token_at_once_one_gets_in() -> None:
    ports, octets = ports_with(use_once=True), allowed_check()
    start, allowed = threading.Event(), []

    def show() -> None:
        start.wait(10)
        allowed.append(ports.ask(octets).allowed)

    threads = [threading.Thread(target=show) for _ in range(16)]
    for thread in threads:
        thread.start()
    start.set()
    for thread in threads:
        thread.join()
    assert allowed.count(True) == 1
    assert len(ports.events) == 16
