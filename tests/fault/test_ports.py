"""Each port of a check raises or returns garbage: there is always an answer, and never a yes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Never, cast

import pytest

from deputize.adapters.envoy_response import Answers, ObligationError
from deputize.core.audit_form import AuditEvent
from deputize.core.model import AccessRequest, VerifiedToken
from deputize.core.reasons import Reason
from deputize.core.snapshot import Snapshot
from deputize.core.verdict import Decision, KeyWanted, Permit, Wanted
from deputize.server.check import AskingProxy, Limits
from deputize.server.ports import Active
from tests.harness.check_message import make_check
from tests.harness.issuer import Issuer
from tests.harness.ports import (
    UPSTREAM,
    CountedSources,
    HeldSnapshots,
    KeptAudit,
    Ports,
    make_ports,
)
from tests.harness.world import ISSUER_URL, NOW, make_key_ring, make_snapshot, shared_issuer

GARBAGE: list[object] = [None, 7, "text", object(), [], {"a": 1}, b"", True]
"""What a port may return that is not what it should."""


def fail(*_args: object, **_kwargs: object) -> Never:
    raise RuntimeError("a fault on purpose")


def with_audit_optional(ports: Ports) -> Ports:
    ports.limits = Limits(10.0, audit_required=False)
    return ports


def refuses(ports: Ports, reason: Reason, octets: bytes | None = None) -> None:
    """A refusal with this code in answer and audit event, and one event only."""
    verdict = ports.ask(octets)
    assert (verdict.allowed, verdict.reason) == (False, reason)
    assert [event["reason"] for event in ports.events] == [reason]
    assert ports.events[0]["effect"] == "deny"
    assert ports.events[0]["decision_id"] == verdict.decision_id


def test_with_every_port_working_the_call_is_allowed_and_audited_once() -> None:
    ports = make_ports()
    verdict = ports.ask()
    assert verdict.allowed
    (event,) = ports.events
    assert (event["effect"], event["decision_id"]) == ("allow", verdict.decision_id)


# --- clock


@pytest.mark.parametrize("time", [math.nan, math.inf, -math.inf, *GARBAGE])
def test_a_clock_that_gives_no_time_refuses(time: object) -> None:
    ports = make_ports()
    ports.clock = lambda: cast("float", time)
    verdict = ports.ask()
    assert not verdict.allowed
    assert len(ports.events) == 1


@pytest.mark.parametrize("time", [math.nan, math.inf, None, "text"])
def test_a_clock_without_a_number_is_a_fault_of_ours(time: object) -> None:
    ports = make_ports()
    ports.clock = lambda: cast("float", time)
    refuses(ports, Reason.SYSTEM_INTERNAL)


def test_a_clock_that_raises_is_a_fault_of_ours() -> None:
    ports = make_ports()
    ports.clock = fail
    refuses(ports, Reason.SYSTEM_INTERNAL)


@pytest.mark.parametrize("time", [0.0, -1e15, 1e15, 1e300])
def test_a_clock_far_off_refuses(time: float) -> None:
    ports = make_ports()
    ports.clock = lambda: time
    assert not ports.ask().allowed


# --- snapshots


@dataclass(slots=True)
class RaisingSnapshots:
    @property
    def current(self) -> Active | None:
        fail()


def test_before_the_first_configuration_nothing_is_allowed() -> None:
    ports = make_ports()
    ports.snapshots = HeldSnapshots(None)
    refuses(ports, Reason.SYSTEM_NOT_READY)


def test_a_snapshot_that_cannot_be_had_is_a_fault_of_ours() -> None:
    ports = make_ports()
    ports.snapshots = RaisingSnapshots()
    refuses(ports, Reason.SYSTEM_INTERNAL)


@pytest.mark.parametrize("garbage", GARBAGE[1:])
def test_a_garbage_snapshot_is_a_fault_of_ours(garbage: object) -> None:
    ports = make_ports()
    ports.snapshots = HeldSnapshots(cast("Active", garbage))
    refuses(ports, Reason.SYSTEM_INTERNAL)


@pytest.mark.parametrize("garbage", GARBAGE)
def test_a_snapshot_of_garbage_is_a_fault_of_ours(garbage: object) -> None:
    ports = make_ports()
    ports.snapshots = HeldSnapshots(Active(cast("Snapshot", garbage), Answers(UPSTREAM)))
    refuses(ports, Reason.SYSTEM_INTERNAL)


# --- sources


def unknown_key_check() -> bytes:
    """A token signed with a key that is not in the ring yet."""
    other = Issuer(ISSUER_URL, key_id="k2")
    return make_check(other.issue(now=NOW)).SerializeToString()


def test_a_missing_key_is_asked_for_once_and_within_the_time() -> None:
    ports = make_ports()
    sources = ports.sources = CountedSources()
    refuses(ports, Reason.TOKEN_UNKNOWN_KEY, unknown_key_check())
    ((wanted, timeout),) = sources.asked
    assert wanted == KeyWanted(ISSUER_URL, "k2")
    assert 0 < timeout <= 10


def test_a_key_that_is_found_decides_again() -> None:
    issuer = Issuer(ISSUER_URL)
    ports = make_ports(make_snapshot(issuer))

    class FindingSources(CountedSources):
        def refetch(self, wanted: Wanted, timeout: float) -> None:
            del wanted, timeout
            rings = {ISSUER_URL: make_key_ring(issuer)}
            active = Active(make_snapshot(issuer, key_rings=rings), Answers(UPSTREAM))
            ports.snapshots = HeldSnapshots(active)
            checker._snapshots = ports.snapshots

    issuer.rotate("k2")
    ports.sources = FindingSources()
    checker = ports.checker()
    octets = make_check(issuer.issue(now=NOW)).SerializeToString()
    checker.check(octets, AskingProxy(None, None))
    assert [event["effect"] for event in ports.events] == ["allow"]


class RaisingSources:
    def refetch(self, wanted: Wanted, timeout: float) -> None:
        fail(wanted, timeout)

    def introspection(self, issuer: str) -> Never:
        fail(issuer)


def test_keys_that_cannot_be_fetched_are_a_fault_of_ours() -> None:
    ports = make_ports()
    ports.sources = RaisingSources()
    refuses(ports, Reason.SYSTEM_INTERNAL, unknown_key_check())


def test_after_the_keys_the_configuration_may_be_gone() -> None:
    ports = make_ports()
    held = HeldSnapshots(Active(make_snapshot(shared_issuer()), Answers(UPSTREAM)))

    class TakingSources(CountedSources):
        def refetch(self, wanted: Wanted, timeout: float) -> None:
            del wanted, timeout
            held.current = None

    ports.snapshots, ports.sources = held, TakingSources()
    refuses(ports, Reason.TOKEN_UNKNOWN_KEY, unknown_key_check())


# --- tokens


@dataclass(slots=True)
class ScriptedTokens:
    on_recall: Callable[[str], VerifiedToken | None] = lambda _compact: None
    on_remember: Callable[[str, VerifiedToken], None] = lambda _compact, _token: None

    def recall(self, compact: str) -> VerifiedToken | None:
        return self.on_recall(compact)

    def remember(self, compact: str, token: VerifiedToken) -> None:
        self.on_remember(compact, token)


def test_a_memory_that_raises_is_a_fault_of_ours() -> None:
    ports = make_ports()
    ports.tokens = ScriptedTokens(on_recall=fail)
    refuses(ports, Reason.SYSTEM_INTERNAL)


@pytest.mark.parametrize("garbage", GARBAGE[1:])
def test_a_memory_of_garbage_is_a_fault_of_ours(garbage: object) -> None:
    ports = make_ports()
    ports.tokens = ScriptedTokens(on_recall=lambda _compact: cast("VerifiedToken", garbage))
    refuses(ports, Reason.SYSTEM_INTERNAL)


def test_a_token_that_cannot_be_remembered_is_a_fault_of_ours() -> None:
    ports = make_ports()
    ports.tokens = ScriptedTokens(on_remember=fail)
    refuses(ports, Reason.SYSTEM_INTERNAL)


# --- audit


@dataclass(slots=True)
class ScriptedAudit(KeptAudit):
    """Takes or loses events as told."""

    on_offer: Callable[[], object] = lambda: True

    def offer(self, event: AuditEvent) -> bool:
        taken = self.on_offer()
        if taken is True:
            self.events.append(event)
        return cast("bool", taken)


class RaisingHealth(ScriptedAudit):
    healthy = property(fail)

    def __init__(self) -> None:
        self.events = []
        self.on_offer = lambda: True


LOSING: list[Callable[[], object]] = [
    fail,
    *(lambda value=value: value for value in (None, False, 1, "yes", object())),
]


@pytest.mark.parametrize("on_offer", LOSING)
def test_a_lost_event_refuses_where_audit_is_required(on_offer: Callable[[], object]) -> None:
    ports = make_ports()
    ports.audit = ScriptedAudit(on_offer=on_offer)
    verdict = ports.ask()
    assert (verdict.allowed, verdict.reason) == (False, Reason.SYSTEM_AUDIT_UNAVAILABLE)
    assert ports.events == []


@pytest.mark.parametrize("on_offer", LOSING)
def test_a_lost_event_refuses_nobody_where_audit_is_optional(
    on_offer: Callable[[], object],
) -> None:
    ports = with_audit_optional(make_ports())
    ports.audit = ScriptedAudit(on_offer=on_offer)
    assert ports.ask().allowed


@pytest.mark.parametrize("healthy", [False, None, 1, "yes"])
def test_a_sick_sink_refuses_and_the_refusal_is_audited(healthy: object) -> None:
    ports = make_ports()
    ports.audit = ScriptedAudit(healthy=cast("bool", healthy))
    refuses(ports, Reason.SYSTEM_AUDIT_UNAVAILABLE)


def test_a_sink_that_cannot_say_how_it_is_refuses() -> None:
    ports = make_ports()
    ports.audit = RaisingHealth()
    refuses(ports, Reason.SYSTEM_AUDIT_UNAVAILABLE)


def test_a_refusal_keeps_its_own_reason_when_audit_fails_too() -> None:
    ports = make_ports()
    ports.audit = ScriptedAudit(healthy=False, on_offer=fail)
    assert ports.ask(make_check().SerializeToString()).reason == Reason.TOKEN_MISSING


# --- answers


@dataclass(slots=True)
class ScriptedAnswers:
    """Raises what the script says, then works."""

    script: list[Exception] = field(default_factory=list)
    allows_only: bool = False

    def to_response(self, request: AccessRequest, decision: Decision) -> bytes:
        skip = self.allows_only and not isinstance(decision.verdict, Permit)
        if self.script and not skip:
            raise self.script.pop(0)
        return Answers(UPSTREAM).to_response(request, decision)


def with_answers(*script: Exception) -> Ports:
    ports = make_ports()
    active = Active(make_snapshot(shared_issuer()), ScriptedAnswers(list(script)))
    ports.snapshots = HeldSnapshots(active)
    return ports


def test_a_duty_that_cannot_be_done_refuses() -> None:
    refuses(with_answers(ObligationError("too long")), Reason.SYSTEM_OBLIGATION_FAILED)


def test_an_answer_that_cannot_be_written_is_a_fault_of_ours() -> None:
    refuses(with_answers(RuntimeError()), Reason.SYSTEM_INTERNAL)


@pytest.mark.parametrize("error", [RuntimeError(), ObligationError("too long")])
def test_there_is_an_answer_even_if_none_can_be_written(error: Exception) -> None:
    ports = with_answers(*[error] * 10)
    verdict = ports.ask()
    assert (verdict.allowed, verdict.reason) == (False, Reason.SYSTEM_INTERNAL)
    assert [event["effect"] for event in ports.events] == ["deny"]


def test_a_refusal_that_cannot_be_written_is_refused_all_the_same() -> None:
    ports = with_answers(*[RuntimeError()] * 10)
    assert not ports.ask(make_check().SerializeToString()).allowed
    assert len(ports.events) == 1


@pytest.mark.parametrize("garbage", [None, 7, "text", object(), b""])
def test_an_answer_that_is_none_never_reaches_the_proxy(garbage: object) -> None:
    class GarbageAnswers:
        def to_response(self, request: AccessRequest, decision: Decision) -> bytes:
            del request, decision
            return cast("bytes", garbage)

    ports = make_ports()
    ports.snapshots = HeldSnapshots(Active(make_snapshot(shared_issuer()), GarbageAnswers()))
    verdict = ports.ask()
    assert (verdict.allowed, verdict.reason) == (False, Reason.SYSTEM_INTERNAL)
    assert [event["effect"] for event in ports.events] == ["deny"]


# --- metrics


class RaisingMetrics:
    def count_decision(self, decision: Decision, seconds: float) -> None:
        fail(decision, seconds)


def test_failing_metrics_change_no_answer() -> None:
    ports = make_ports()
    ports.metrics = RaisingMetrics()
    assert ports.ask().allowed
    assert len(ports.events) == 1


# --- time


def test_a_caller_without_time_left_is_refused() -> None:
    ports = make_ports()
    verdict = ports.ask(proxy=AskingProxy(0.0, None))
    assert (verdict.allowed, verdict.reason) == (False, Reason.SYSTEM_DEADLINE)
    assert len(ports.events) == 1


@pytest.mark.parametrize("remaining", [-1.0, math.nan, -math.inf])
def test_a_strange_deadline_raises_nothing(remaining: float) -> None:
    ports = make_ports()
    ports.ask(proxy=AskingProxy(remaining, None))
    assert len(ports.events) == 1


def test_a_decision_that_took_too_long_is_a_refusal() -> None:
    ports = make_ports()
    ports.limits = Limits(0.0, audit_required=True)
    refuses(ports, Reason.SYSTEM_DEADLINE)


# --- everything at once


def test_with_every_port_failing_there_is_still_a_refusal() -> None:
    ports = Ports(
        RaisingSnapshots(),
        fallback=ScriptedAnswers([RuntimeError()] * 10),
        sources=RaisingSources(),
        tokens=ScriptedTokens(on_recall=fail),
        audit=ScriptedAudit(on_offer=fail),
        metrics=RaisingMetrics(),
        clock=fail,
    )
    verdict = ports.ask()
    assert (verdict.allowed, verdict.reason) == (False, Reason.SYSTEM_INTERNAL)
