"""Keys of an issuer that change while the service decides."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from deputize.core.reasons import Reason
from tests.harness.grpc_client import ask, open_channel
from tests.harness.grpc_serving import TRANSPORTS
from tests.harness.issuer import Issuer
from tests.harness.jwks_endpoint import running_jwks_endpoint
from tests.harness.live import Live, Load, running_live
from tests.harness.polling import wait_until
from tests.harness.world import ISSUER_URL

SECONDS = 15


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
