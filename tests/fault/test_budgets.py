"""A budget that is used up refuses, and so does one that cannot be counted; observed ones pass."""

from __future__ import annotations

import math
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import cast

import pytest

from deputize.adapters.budget_store import Spent
from deputize.adapters.replay_store import MemoryReplayStore, Use
from deputize.core.decide import decide
from deputize.core.model import AccessRequest, Obligation, RuleRef, Spend, UseOnce
from deputize.core.reasons import Reason
from deputize.core.snapshot import Snapshot
from deputize.core.token import Recall
from deputize.core.verdict import Decision, Permit
from deputize.server import check
from deputize.server.obligations import Met, meet
from deputize.server.ports import ReplayStore
from tests.harness.ports import CountedSources, allowed_check, make_ports
from tests.harness.scripted_ports import GARBAGE, ScriptedStore, fail, refuses
from tests.harness.world import NOW, decide_now, make_request, make_snapshot, shared_issuer

RULE = RuleRef("orders", "read")
SPEND = Spend("budget:orders", 2, 3600, RULE, is_enforced=True)
OBSERVED = SPEND._replace(is_enforced=False)
USE_ONCE = UseOnce("token:a", NOW + 60)


def oblige(monkeypatch: pytest.MonkeyPatch, *owed: Obligation) -> None:
    """Every permit obliges to this, whatever its rule says."""

    def decide_and_oblige(
        asked: AccessRequest, snapshot: Snapshot, now: float, recall: Recall
    ) -> Decision:
        decision = decide(asked, snapshot, now, recall)
        assert isinstance(decision.verdict, Permit)
        return decision._replace(verdict=replace(decision.verdict, obligations=owed))

    monkeypatch.setattr(check, "decide", decide_and_oblige)


def met_with(store: ReplayStore, *owed: Obligation, now: float = NOW) -> Met:
    """What becomes of obligations, without the check around."""
    issuer = shared_issuer()
    decision = decide_now(make_request(issuer.issue(now=NOW)), make_snapshot(issuer))
    assert isinstance(decision.verdict, Permit)
    permit = replace(decision.verdict, obligations=owed)
    return meet(permit, "", store, CountedSources(), now, math.inf)


def test_a_budget_that_is_used_up_refuses_until_its_window_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    oblige(monkeypatch, SPEND)
    ports = make_ports()
    assert [ports.ask().reason for _ in range(3)] == [
        Reason.POLICY_ALLOWED,
        Reason.POLICY_ALLOWED,
        Reason.POLICY_BUDGET_EXHAUSTED,
    ]
    assert [event["effect"] for event in ports.events] == ["allow", "allow", "deny"]


def test_the_refusal_names_the_rule_and_when_to_come_again() -> None:
    met = met_with(ScriptedStore(lambda: Spent.EXHAUSTED), SPEND)
    assert met.observed is None
    assert met.denial is not None
    assert met.denial.rule == RULE
    assert met.denial.retry_after == 3600
    assert str(RULE) in met.denial.detail
    assert "2027-01-15T09:00:00+00:00" in met.denial.detail


@pytest.mark.parametrize("said", [Spent.UNKNOWN, *GARBAGE])
def test_a_store_that_does_not_say_within_refuses(
    said: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    oblige(monkeypatch, SPEND)
    ports = make_ports()
    ports.replay_store = ScriptedStore(lambda: said)
    refuses(ports, Reason.SYSTEM_STATUS_UNAVAILABLE)


@pytest.mark.parametrize("owed", [SPEND, OBSERVED])
def test_a_store_that_fails_to_count_is_a_fault_of_ours(
    owed: Spend, monkeypatch: pytest.MonkeyPatch
) -> None:
    oblige(monkeypatch, owed)
    ports = make_ports()
    ports.replay_store = ScriptedStore(fail)
    refuses(ports, Reason.SYSTEM_INTERNAL)


@pytest.mark.parametrize("said", [*Spent, *GARBAGE])
def test_a_budget_that_is_only_observed_refuses_nothing(
    said: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    oblige(monkeypatch, OBSERVED)
    ports = make_ports()
    ports.replay_store = ScriptedStore(lambda: said)
    assert ports.ask().allowed
    assert [event["reason"] for event in ports.events] == [Reason.POLICY_ALLOWED]
    assert [event["observed"] is None for event in ports.events] == [said is Spent.WITHIN]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (Spent.WITHIN, None),
        (Spent.EXHAUSTED, Reason.POLICY_BUDGET_EXHAUSTED),
        (Spent.UNKNOWN, Reason.SYSTEM_STATUS_UNAVAILABLE),
        (None, Reason.SYSTEM_STATUS_UNAVAILABLE),
    ],
)
def test_what_an_observed_budget_would_refuse_is_told(said: object, reason: Reason | None) -> None:
    met = met_with(ScriptedStore(lambda: said), OBSERVED)
    assert met.denial is None
    assert (met.observed and met.observed.reason) == reason


def test_the_first_that_is_observed_is_told_beside_a_refusal() -> None:
    answers: list[object] = [Use.USED, Spent.UNKNOWN, Spent.EXHAUSTED, Spent.WITHIN]
    owed = (OBSERVED, OBSERVED, OBSERVED, USE_ONCE)
    met = met_with(ScriptedStore(answers.pop), *owed)
    assert met.observed is not None
    assert met.observed.reason is Reason.POLICY_BUDGET_EXHAUSTED
    assert met.denial is not None
    assert met.denial.reason is Reason.TOKEN_REPLAYED


def test_a_budget_that_is_used_up_uses_no_token_up() -> None:
    store = MemoryReplayStore(10)
    owed = (SPEND, USE_ONCE)
    assert met_with(store, SPEND._replace(limit=0), USE_ONCE).denial is not None
    assert len(store) == 0
    assert met_with(store, *owed).denial is None
    assert len(store) == 1


@pytest.mark.parametrize("owed", GARBAGE)
def test_an_obligation_that_is_none_is_not_met(
    owed: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    oblige(monkeypatch, OBSERVED, cast("Obligation", owed))
    refuses(make_ports(), Reason.SYSTEM_INTERNAL)


def test_of_many_at_once_no_more_get_in_than_the_budget_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    oblige(monkeypatch, SPEND._replace(limit=5))
    ports, octets, together = make_ports(), allowed_check(), threading.Barrier(16)

    def show(_: int) -> str:
        together.wait(10)
        return ports.ask(octets).reason

    with ThreadPoolExecutor(16) as pool:
        reasons = Counter(pool.map(show, range(16)))
    assert reasons == {Reason.POLICY_ALLOWED: 5, Reason.POLICY_BUDGET_EXHAUSTED: 11}
