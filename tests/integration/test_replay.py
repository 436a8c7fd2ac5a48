"""Tokens that let in once, in one process and in two that share a Redis or Valkey server."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest

from deputize.core.reasons import Reason
from tests.harness.check_message import make_check
from tests.harness.config_files import POLICY, changed, replace_file
from tests.harness.dpop_client import ProofKey
from tests.harness.grpc_client import ask, open_channel
from tests.harness.issuer import Issuer
from tests.harness.live import Live, Load, running_live
from tests.harness.polling import wait_until
from tests.harness.redis_server import RedisServer
from tests.harness.world import ISSUER_URL

SECONDS = 15
DECISION_SECONDS = 2.0
CALLERS = 200


def use_once(spec: dict[str, Any]) -> None:
    spec["issuers"][0]["useOnce"] = True


def share(folder: Path, server: RedisServer, spec: dict[str, Any]) -> None:
    """Keeps what was used in the server."""
    (folder / "url").write_text(server.url)
    # On a busy machine a test must not fail because an answer came late.
    spec["replay"] = {"store": "redis", "urlFile": str(folder / "url"), "timeoutMillis": 1000}


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

        def change(spec: dict[str, Any]) -> None:
            use_once(spec)
            share(tmp_path, server, spec)

        first, second = (
            stack.enter_context(running_live(tmp_path / name, issuer=issuer, change=change))
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
        replace_file(live.policy_file, changed(POLICY, "scopes: [orders:read]", rule))
        wait_until(lambda: live.ask(octets).reason == Reason.TOKEN_REPLAYED, SECONDS)


def test_what_one_replica_let_in_the_other_refuses(replicas: Replicas) -> None:
    octets = replicas.first.check()
    assert replicas.first.ask(octets).allowed
    assert replicas.second.ask(octets).reason == Reason.TOKEN_REPLAYED
    assert replicas.first.ask(octets).reason == Reason.TOKEN_REPLAYED


def test_a_proof_that_one_replica_saw_the_other_refuses(replicas: Replicas) -> None:
    key = ProofKey()

    def check() -> bytes:
        """Another token and another proof each time, but all proofs have the same `jti`."""
        now = time.time()
        token = replicas.first.issuer.issue(now=now, claims={"cnf": {"jkt": key.thumbprint}})
        proof = key.prove(token, now=now)
        message = make_check(headers={"authorization": f"DPoP {token}", "dpop": proof})
        message.attributes.request.http.scheme = "https"
        return message.SerializeToString()

    assert replicas.first.ask(check()).allowed
    assert replicas.second.ask(check()).reason == Reason.TOKEN_REPLAYED


def test_of_all_who_show_a_token_at_once_one_gets_in(replicas: Replicas) -> None:
    octets, together = replicas.first.check(), threading.Barrier(CALLERS)

    def show(channel: grpc.Channel) -> str:
        together.wait(SECONDS)
        return ask(channel, octets).reason

    with (
        open_channel(replicas.first.address) as first,
        open_channel(replicas.second.address) as second,
        ThreadPoolExecutor(CALLERS) as pool,
    ):
        reasons = Counter(pool.map(show, (first, second) * (CALLERS // 2)))
    assert reasons == {Reason.POLICY_ALLOWED: 1, Reason.TOKEN_REPLAYED: CALLERS - 1}


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


def test_without_the_server_other_tokens_are_let_in(tmp_path: Path) -> None:
    """One rule lets tokens in once, the other as often as they are shown."""
    once = POLICY.replace("[GET]", "[DELETE]").replace("name: orders", "name: once")
    once = changed(once, "[orders:read]", "[orders:read]\n      obligations: {useTokenOnce: true}")
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "once.yaml").write_text(once)
    with (
        RedisServer(tmp_path) as server,
        running_live(tmp_path, change=partial(share, tmp_path, server)) as live,
        open_channel(live.address) as channel,
        Load(lambda: ask(channel, live.check()).reason) as others,
    ):
        live.wait_for_reason(Reason.POLICY_ALLOWED, method="DELETE")
        server.kill()
        live.wait_for_reason(Reason.SYSTEM_STATUS_UNAVAILABLE, method="DELETE")
        others.wait_for_more(50)
        assert live.readiness()["ready"] is True
        server.start()
        live.wait_for_reason(Reason.POLICY_ALLOWED, method="DELETE")
    assert set(others.outcomes) == {Reason.POLICY_ALLOWED}
