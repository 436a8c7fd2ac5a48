"""Budgets of rules, in one process and in two that share a Redis or Valkey server."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc

from deputize.core.reasons import Reason
from tests.harness.check_message import make_check
from tests.harness.config_files import POLICY, changed
from tests.harness.grpc_client import ask, open_channel
from tests.harness.issuer import Issuer
from tests.harness.live import running_live
from tests.harness.redis_server import RedisServer
from tests.harness.world import ISSUER_URL

CALLERS, CALLS, LIMIT = 8, 40, 100
YEAR_SECONDS = 31536000


def write_budget(folder: Path, limit: int, *, mode: str = "enforce") -> None:
    """One more policy: so many DELETEs in a year, so that hardly a window ends during a test."""
    policy = POLICY.replace("[GET]", "[DELETE]").replace("name: orders", "name: budgets")
    budget = f"{{limit: {limit}, windowSeconds: {YEAR_SECONDS}}}"
    policy = changed(policy, "[orders:read]", f"[orders:read]\n      budget: {budget}")
    policy = changed(policy, "spec:\n", f"spec:\n  mode: {mode}\n")
    (folder / "policies").mkdir(parents=True)
    (folder / "policies" / "budgets.yaml").write_text(policy)


def test_a_budget_is_used_up_and_other_rules_go_on(tmp_path: Path) -> None:
    write_budget(tmp_path, 2)
    with running_live(tmp_path) as live:
        verdicts = [live.ask(live.check(method="DELETE")) for _ in range(3)]
        assert [verdict.reason for verdict in verdicts] == [
            Reason.POLICY_ALLOWED,
            Reason.POLICY_ALLOWED,
            Reason.POLICY_BUDGET_EXHAUSTED,
        ]
        assert live.ask().allowed
        # The token differs, but agent and principal do not.
        assert live.ask(live.check(method="DELETE")).reason == Reason.POLICY_BUDGET_EXHAUSTED


def test_a_budget_is_each_principals_own(tmp_path: Path) -> None:
    write_budget(tmp_path, 1)
    with running_live(tmp_path) as live:

        def ask_as(subject: str) -> str:
            token = live.issuer.issue(now=time.time(), claims={"sub": subject})
            return live.ask(make_check(token, method="DELETE").SerializeToString()).reason

        assert [ask_as(subject) for subject in ("one", "other", "one")] == [
            Reason.POLICY_ALLOWED,
            Reason.POLICY_ALLOWED,
            Reason.POLICY_BUDGET_EXHAUSTED,
        ]


def test_a_budget_that_is_observed_lets_in(tmp_path: Path) -> None:
    write_budget(tmp_path, 1, mode="observe")
    with running_live(tmp_path) as live:
        verdicts = [live.ask(live.check(method="DELETE")) for _ in range(2)]
        assert [verdict.allowed for verdict in verdicts] == [True, True]
        observed = [live.process.audit_event(v.decision_id)["observed"] for v in verdicts]
        assert observed[0] is None
        assert observed[1]["reason"] == Reason.POLICY_BUDGET_EXHAUSTED


def test_all_replicas_together_let_in_what_the_budget_has(tmp_path: Path) -> None:
    issuer = Issuer(ISSUER_URL)
    with ExitStack() as stack:
        server = stack.enter_context(RedisServer(tmp_path, password="s3cret"))

        def share(spec: dict[str, Any]) -> None:
            (tmp_path / "url").write_text(server.url)
            # On a busy machine a test must not fail because an answer came late.
            url_file = str(tmp_path / "url")
            spec["replay"] = {"store": "redis", "urlFile": url_file, "timeoutMillis": 1000}

        channels: list[grpc.Channel] = []
        for name in ("first", "second"):
            write_budget(tmp_path / name, LIMIT)
            live = running_live(tmp_path / name, issuer=issuer, change=share)
            channels.append(stack.enter_context(open_channel(stack.enter_context(live).address)))
        token = issuer.issue(now=time.time())
        octets = make_check(token, method="DELETE").SerializeToString()

        def call(channel: grpc.Channel) -> Counter[str]:
            return Counter(ask(channel, octets).reason for _ in range(CALLS))

        with ThreadPoolExecutor(CALLERS) as pool:
            reasons = sum(pool.map(call, channels * (CALLERS // 2)), Counter[str]())
        assert reasons == {
            Reason.POLICY_ALLOWED: LIMIT,
            Reason.POLICY_BUDGET_EXHAUSTED: CALLERS * CALLS - LIMIT,
        }
        server.kill()
        assert [ask(channel, octets).reason for channel in channels] == [
            Reason.SYSTEM_STATUS_UNAVAILABLE
        ] * 2
