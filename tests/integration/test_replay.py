"""Tokens that let in once, in one process and in two that share a Redis or Valkey server."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from deputize.core.reasons import Reason
from tests.harness.check_message import make_check
from tests.harness.config_files import POLICY, changed
from tests.harness.issuer import Issuer
from tests.harness.live import Live, running_live
from tests.harness.polling import wait_until
from tests.harness.redis_server import RedisServer
from tests.harness.world import ISSUER_URL

SECONDS = 15
DECISION_SECONDS = 2.0


def use_once(spec: dict[str, Any]) -> None:
    spec["issuers"][0]["useOnce"] = True


@dataclass(frozen=True, slots=True)
class Replicas:
    """Two services that share what was used, in the server."""

    first: Live
    second: Live
    server: RedisServer

    def works(self) -> bool:
        """Both answer as if nothing had happened."""
        return self.first.ask().allowed and self.second.ask().allowed


def says_so(live: Live) -> bool:
    """Whether `/readyz` says that the store fails, without its password."""
    said = str(live.readiness())
    assert "s3cret" not in said
    return "replay store" in said


@pytest.fixture
def replicas(tmp_path: Path) -> Iterator[Replicas]:
    issuer = Issuer(ISSUER_URL)
    with ExitStack() as stack:
        server = stack.enter_context(RedisServer(tmp_path, password="s3cret"))
        (tmp_path / "url").write_text(server.url)

        def share(spec: dict[str, Any]) -> None:
            use_once(spec)
            spec["replay"] = {"store": "redis", "urlFile": str(tmp_path / "url")}

        first, second = (
            stack.enter_context(running_live(tmp_path / name, issuer=issuer, change=share))
            for name in ("first", "second")
        )
        yield Replicas(first, second, server)


def test_a_token_lets_in_once_and_another_after_it(tmp_path: Path) -> None:
    with running_live(tmp_path, change=use_once) as live:
        octets = live.check()
        assert live.ask(octets).allowed
        assert live.ask(octets).reason == Reason.TOKEN_REPLAYED
        assert live.ask().allowed
        assert live.process.metric("deputize_replay_entries") == 2


def test_a_refused_call_uses_nothing_up(tmp_path: Path) -> None:
    with running_live(tmp_path, change=use_once) as live:
        token = live.issuer.issue(now=time.time())
        refused = make_check(token, method="DELETE", path="/v1/orders/7").SerializeToString()
        assert live.ask(refused).reason == Reason.POLICY_NO_MATCH
        assert live.ask(make_check(token).SerializeToString()).allowed


def test_a_rule_may_ask_for_it(tmp_path: Path) -> None:
    with running_live(tmp_path) as live:
        octets = live.check()
        assert live.ask(octets).allowed
        rule = "scopes: [orders:read]\n      obligations: {useTokenOnce: true}"
        draft = live.policy_file.with_suffix(".draft")
        draft.write_text(changed(POLICY, "scopes: [orders:read]", rule))
        draft.replace(live.policy_file)
        wait_until(lambda: live.ask(octets).reason == Reason.TOKEN_REPLAYED, SECONDS)


def test_what_one_replica_let_in_the_other_refuses(replicas: Replicas) -> None:
    octets = replicas.first.check()
    assert replicas.first.ask(octets).allowed
    assert replicas.second.ask(octets).reason == Reason.TOKEN_REPLAYED
    assert replicas.first.ask(octets).reason == Reason.TOKEN_REPLAYED


def test_of_all_who_show_a_token_at_once_one_gets_in(replicas: Replicas) -> None:
    octets = replicas.first.check()
    lives = (replicas.first, replicas.second) * 20
    with ThreadPoolExecutor(8) as pool:
        reasons = Counter(pool.map(lambda live: live.ask(octets).reason, lives))
    assert reasons == {Reason.POLICY_ALLOWED: 1, Reason.TOKEN_REPLAYED: len(lives) - 1}


def test_without_the_server_nothing_is_let_in_and_with_it_again(replicas: Replicas) -> None:
    octets = replicas.first.check()
    assert replicas.first.ask(octets).allowed
    replicas.server.kill()
    for live in (replicas.first, replicas.second):
        started = time.monotonic()
        assert live.ask().reason == Reason.SYSTEM_STATUS_UNAVAILABLE
        assert time.monotonic() - started < DECISION_SECONDS
        wait_until(partial(says_so, live), SECONDS)
    replicas.server.start()
    wait_until(replicas.works, SECONDS)
    # The server kept nothing: stated in docs/revocation.md.
    assert replicas.second.ask(octets).allowed
