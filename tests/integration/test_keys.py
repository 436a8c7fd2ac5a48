"""Keys of an issuer that change while the service decides."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deputize.core.reasons import Reason
from tests.harness.check_message import make_check
from tests.harness.config_files import POLICY
from tests.harness.grpc_client import ask, open_channel
from tests.harness.grpc_serving import TRANSPORTS
from tests.harness.identity_provider import DISCOVERY, KEYS, running_identity_provider
from tests.harness.issuer import Issuer
from tests.harness.jwks_endpoint import running_jwks_endpoint
from tests.harness.live import Live, Load, running_live
from tests.harness.polling import wait_until
from tests.harness.world import ISSUER_URL

SECONDS = 15
COOLDOWN_SECONDS = 1
HELD_SECONDS = 1.0
SLACK_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Held:
    """A check with a token that its caller shows `until` then, in epoch seconds."""

    key_id: str
    octets: bytes
    until: float


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_rotation_under_load_fails_no_request(tmp_path: Path, transport: str) -> None:
    issuer = Issuer(ISSUER_URL)
    with ExitStack() as stack:
        url = stack.enter_context(running_jwks_endpoint(issuer.jwks))
        live = stack.enter_context(
            running_live(tmp_path, transport=transport, keys={"url": url}, issuer=issuer)
        )
        channel = stack.enter_context(open_channel(live.address))
        with Load(lambda: ask(channel, live.check()).reason, callers=6) as load:
            load.wait_for_more(30)
            # From one token to the next, without a time in which both keys are published.
            issuer.rotate("k2")
            load.wait_for_more(50)
        assert set(load.outcomes) == {Reason.POLICY_ALLOWED}
        fetched = live.process.metric("deputize_source_fetches_total", name=ISSUER_URL)
        assert fetched == 2


def test_a_key_is_replaced_and_withdrawn_without_one_failed_request(tmp_path: Path) -> None:
    """Callers keep their tokens until they expire; the old key goes when no token has it."""
    issuer = Issuer(ISSUER_URL)
    held: dict[int, Held] = {}
    with ExitStack() as stack:
        provider = stack.enter_context(running_identity_provider(issuer))
        keys = {**provider.keys, "refetchCooldownSeconds": COOLDOWN_SECONDS}
        live = stack.enter_context(running_live(tmp_path, keys=keys, issuer=issuer))
        channel = stack.enter_context(open_channel(live.address))

        def ask_with_own() -> str:
            caller, now = threading.get_ident(), time.time()
            if caller not in held or now >= held[caller].until:
                held[caller] = Held(issuer.key_id, hold(issuer, now), now + HELD_SECONDS)
            return ask(channel, held[caller].octets).reason

        with Load(ask_with_own) as load:
            load.wait_for_more(20)
            (old, *_) = (each.octets for each in list(held.values()))
            issuer.rotate("k2")
            wait_until(lambda: {each.key_id for each in list(held.values())} == {"k2"}, SECONDS)
            issuer.withdraw("k1")
            # Only a key that nobody has makes the service look again before its time.
            stranger = hold(Issuer(ISSUER_URL, key_id="k9"), time.time())
            wait_until(
                lambda: (
                    ask(channel, stranger).reason == Reason.TOKEN_UNKNOWN_KEY
                    and ask(channel, old).reason == Reason.TOKEN_UNKNOWN_KEY
                ),
                SECONDS,
            )
            load.wait_for_more(50)
        assert set(load.outcomes) == {Reason.POLICY_ALLOWED}


def test_another_key_under_the_same_name_is_fetched_once_per_cooldown(tmp_path: Path) -> None:
    """However many show tokens that somebody else signed under that name."""
    issuer = Issuer(ISSUER_URL)
    with ExitStack() as stack:
        provider = stack.enter_context(running_identity_provider(issuer))
        keys = {**provider.keys, "refetchCooldownSeconds": COOLDOWN_SECONDS}
        started = time.monotonic()
        live = stack.enter_context(running_live(tmp_path, keys=keys, issuer=issuer))
        channel = stack.enter_context(open_channel(live.address))
        impostor = Live(live.folder, Issuer(ISSUER_URL), live.process)
        remembered = live.check()
        assert ask(channel, remembered).allowed
        with Load(lambda: ask(channel, impostor.check()).reason) as load:
            for _ in range(2):
                load.wait_for_more(50)
                issuer.rotate("k1")
                changed_at = time.monotonic()
                live.wait_for_reason(Reason.POLICY_ALLOWED)
                assert time.monotonic() - changed_at < COOLDOWN_SECONDS + SLACK_SECONDS
        assert set(load.outcomes) == {Reason.TOKEN_BAD_SIGNATURE}
        # One at the start, and one for each cool-down that began.
        assert provider.asked[KEYS] <= 2 + (time.monotonic() - started) / COOLDOWN_SECONDS
        assert ask(channel, remembered).reason == Reason.TOKEN_BAD_SIGNATURE


def test_keys_are_found_by_discovery_also_those_that_come_later(tmp_path: Path) -> None:
    issuer = Issuer(ISSUER_URL)
    with ExitStack() as stack:
        provider = stack.enter_context(running_identity_provider(issuer))
        issuer.url = provider.url

        def discover(spec: dict[str, Any]) -> None:
            spec["issuers"][0]["issuer"] = provider.url
            spec["policies"] = ["discovered.yaml"]
            (tmp_path / "discovered.yaml").write_text(POLICY.replace(ISSUER_URL, provider.url))

        live = stack.enter_context(
            running_live(tmp_path, keys={"discovery": True}, issuer=issuer, change=discover)
        )
        assert live.ask().allowed
        issuer.rotate("k2")
        assert live.ask().allowed
        assert provider.asked == {DISCOVERY: 2, KEYS: 2}


def hold(issuer: Issuer, now: float) -> bytes:
    """A check with a token that its caller holds for a while."""
    return make_check(issuer.issue(now=now)).SerializeToString()


def test_a_withdrawn_key_is_refused_though_its_token_is_remembered(tmp_path: Path) -> None:
    with running_live(tmp_path) as live:
        token_of_k1 = live.check()
        assert live.ask(token_of_k1).allowed
        live.issuer.rotate("k2")
        live.issuer.withdraw("k1")
        (tmp_path / "jwks.json").write_bytes(live.issuer.jwks())
        wait_until(lambda: live.ask(token_of_k1).reason == Reason.TOKEN_UNKNOWN_KEY, SECONDS)
        assert live.ask().allowed


def test_a_key_that_another_holds_under_the_same_name_is_refused(tmp_path: Path) -> None:
    with running_live(tmp_path) as live:
        impostor = Live(live.folder, Issuer(ISSUER_URL), live.process)
        assert live.ask().allowed
        assert impostor.ask().reason == Reason.TOKEN_BAD_SIGNATURE


@pytest.mark.parametrize("garbage", [b"", b'{"keys": []', b"<html>"])
def test_a_broken_key_file_leaves_the_last_good_keys_and_a_warning(
    tmp_path: Path, garbage: bytes
) -> None:
    with running_live(tmp_path) as live:
        (tmp_path / "jwks.json").write_bytes(garbage)
        wait_until(lambda: live.readiness()["warnings"], SECONDS)
        assert live.ask().allowed
        assert live.readiness()["ready"] is True
        (tmp_path / "jwks.json").write_bytes(live.issuer.jwks())
        wait_until(lambda: not live.readiness()["warnings"], SECONDS)


def test_a_flood_of_unknown_keys_asks_the_issuer_once(tmp_path: Path) -> None:
    issuer, stranger = Issuer(ISSUER_URL), Issuer(ISSUER_URL, key_id="unknown")
    with ExitStack() as stack:
        url = stack.enter_context(running_jwks_endpoint(issuer.jwks))
        live = stack.enter_context(running_live(tmp_path, keys={"url": url}, issuer=issuer))
        channel = stack.enter_context(open_channel(live.address))
        unknown = Live(live.folder, stranger, live.process)
        with Load(lambda: ask(channel, unknown.check()).reason) as load:
            load.wait_for_more(100)
        assert set(load.outcomes) == {Reason.TOKEN_UNKNOWN_KEY}
        assert live.process.metric("deputize_source_fetches_total", name=ISSUER_URL) == 2
        assert live.ask().allowed
