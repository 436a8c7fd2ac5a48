"""Configuration that changes while the service runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from deputize.core.reasons import Reason
from tests.harness.config_files import POLICY, changed, line_of, replace_file
from tests.harness.grpc_client import ask, open_channel
from tests.harness.issuer import Issuer
from tests.harness.live import Live, Load, running_live
from tests.harness.mounted import Mounted
from tests.harness.polling import wait_until
from tests.harness.world import ISSUER_URL

SECONDS = 15
WIDER = changed(POLICY, "[GET]", "[GET, DELETE]")
FORBID = """\
apiVersion: deputize.dev/v1alpha1
kind: DelegationPolicy
metadata: {name: guard}
spec:
  rules:
    - name: all
      effect: forbid
      agents: ["spiffe://prod.example.org/**"]
      onBehalfOf: [{issuer: https://issuer.example, anyone: true}]
      hosts: ["*"]
      methods: ["*"]
      paths: ["/**"]
"""
BROKEN = changed(POLICY, "[GET]", "[get]")


def by_rename(live: Live, text: str) -> None:
    replace_file(live.policy_file, text)


def in_place(live: Live, text: str) -> None:
    live.policy_file.write_text(text)


def in_small_pieces(live: Live, text: str) -> None:
    with live.policy_file.open("w") as stream:
        for start in range(0, len(text), 50):
            stream.write(text[start : start + 50])
            stream.flush()


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with running_live(tmp_path_factory.mktemp("live")) as running:
        yield running


@pytest.mark.parametrize("write", [by_rename, in_place, in_small_pieces])
def test_a_changed_policy_decides_without_a_restart(
    live: Live, write: Callable[[Live, str], None]
) -> None:
    write(live, WIDER)
    live.wait_for_reason(Reason.POLICY_ALLOWED, method="DELETE")
    write(live, POLICY)
    live.wait_for_reason(Reason.POLICY_NO_MATCH, method="DELETE")


def test_a_policy_file_that_comes_and_goes(live: Live) -> None:
    second = live.policy_file.with_name("second.yml")
    second.write_text(WIDER.replace("name: orders", "name: second"))
    live.wait_for_reason(Reason.POLICY_ALLOWED, method="DELETE")
    second.unlink()
    live.wait_for_reason(Reason.POLICY_NO_MATCH, method="DELETE")


def test_a_decision_names_the_configuration_it_was_made_under(live: Live) -> None:
    before = live.process.policy_digest
    by_rename(live, f"{POLICY}# another\n")
    wait_until(lambda: live.process.policy_digest != before, SECONDS)
    event = live.process.audit_event(live.ask().decision_id)
    assert event["policy_digest"] == live.process.policy_digest


def warnings(live: Live) -> list[str]:
    found: list[str] = live.readiness()["warnings"]
    return found


def test_a_broken_policy_changes_no_decision_and_is_reported(live: Live) -> None:
    failed = live.process.metric("deputize_config_reloads_total", result="failed")
    with ExitStack() as stack:
        channel = stack.enter_context(open_channel(live.address))
        good = stack.enter_context(Load(lambda: ask(channel, live.check()).reason))
        bad = stack.enter_context(Load(lambda: ask(channel, live.check(method="DELETE")).reason))
        for load in (good, bad):
            load.wait_for_more(20)
        by_rename(live, BROKEN)
        wait_until(lambda: warnings(live), SECONDS, "the warning")
        for load in (good, bad):
            load.wait_for_more(50)
        (warning,) = warnings(live)
        assert live.readiness()["ready"] is True
        assert live.process.metric("deputize_config_problems") == 1
        count = live.process.metric("deputize_config_reloads_total", result="failed")
        in_place(live, WIDER)
        wait_until(lambda: warnings(live) == [], SECONDS, "the repair")
        assert live.process.metric("deputize_config_problems") == 0
        bad.wait_for_more(50)
    assert f"{live.policy_file}:{line_of(BROKEN, '[get]')}: spec.rules[0].methods[0]" in warning
    assert count == failed + 1
    assert set(good.outcomes) == {Reason.POLICY_ALLOWED}
    assert set(bad.outcomes) == {Reason.POLICY_NO_MATCH, Reason.POLICY_ALLOWED}
    by_rename(live, POLICY)
    live.wait_for_reason(Reason.POLICY_NO_MATCH, method="DELETE")


def test_a_forbid_holds_while_its_file_is_rewritten_again_and_again(live: Live) -> None:
    forbid = live.policy_file.with_name("forbid.yaml")
    forbid.write_text(FORBID)
    live.wait_for_reason(Reason.POLICY_FORBIDDEN)
    with (
        open_channel(live.address) as channel,
        Load(lambda: ask(channel, live.check()).reason) as load,
    ):
        for number in range(40):
            forbid.write_text(f"{FORBID}# {number}\n")
            load.wait_for_more(10)
    assert set(load.outcomes) == {Reason.POLICY_FORBIDDEN}
    forbid.unlink()
    live.wait_for_reason(Reason.POLICY_ALLOWED)


def test_a_setting_that_needs_a_restart_is_named(live: Live) -> None:
    before = live.process.policy_digest
    live.change_config(lambda spec: spec["server"]["grpc"].update(threads=7))
    wait_until(lambda: warnings(live), SECONDS)
    assert "spec.server" in warnings(live)[0]
    assert live.process.policy_digest != before
    assert live.ask().allowed
    live.change_config(lambda spec: spec["server"]["grpc"].pop("threads"))
    wait_until(lambda: warnings(live) == [], SECONDS)


def test_a_header_setting_takes_effect_with_the_policies(live: Live) -> None:
    def prefixes() -> set[str]:
        return {name.rpartition("agent")[0] for name in live.ask().upstream_headers}

    live.change_config(lambda spec: spec.update(upstream={"headerPrefix": "x-other-"}))
    wait_until(lambda: "x-other-" in prefixes(), SECONDS)
    live.change_config(lambda spec: spec.pop("upstream"))
    wait_until(lambda: "x-deputize-" in prefixes(), SECONDS)


def test_the_keys_of_a_source_that_is_gone_are_trusted_no_longer(tmp_path: Path) -> None:
    successor = Issuer(ISSUER_URL, key_id="k9")
    (tmp_path / "new.json").write_bytes(successor.jwks())
    with running_live(tmp_path) as live:
        assert live.ask().allowed
        live.change_config(lambda spec: spec["issuers"][0].update(keys={"file": "new.json"}))
        live.wait_for_reason(Reason.TOKEN_UNKNOWN_KEY)
        as_successor = Live(live.folder, successor, live.process)
        assert as_successor.ask().allowed


def test_an_issuer_that_is_gone_is_unknown(tmp_path: Path) -> None:
    def replace_issuer(spec: dict[str, Any]) -> None:
        spec["issuers"][0]["issuer"] = "https://other.example"

    with running_live(tmp_path) as live:
        # Policy and configuration name the issuer: while only one is new, nothing changes.
        by_rename(live, POLICY.replace(ISSUER_URL, "https://other.example"))
        wait_until(lambda: warnings(live), SECONDS)
        assert live.ask().allowed
        live.change_config(replace_issuer)
        live.wait_for_reason(Reason.TOKEN_UNKNOWN_ISSUER)


def test_a_config_map_is_taken_over_in_one_step(tmp_path: Path) -> None:
    mount = Mounted(tmp_path / "mounted")
    issuer = Issuer(ISSUER_URL)

    def files(policy: str) -> dict[str, str]:
        return {"orders.yaml": policy, "jwks.json": issuer.jwks().decode()}

    def change(spec: dict[str, Any]) -> None:
        spec["policies"] = ["mounted"]

    mount.publish("v1", files(POLICY))
    keys = {"file": "mounted/jwks.json"}
    with running_live(tmp_path, issuer=issuer, keys=keys, change=change) as live:
        assert live.ask(live.check(method="DELETE")).reason == Reason.POLICY_NO_MATCH
        issuer.rotate("k2")
        issuer.withdraw("k1")
        mount.publish("v2", files(WIDER))
        live.wait_for_reason(Reason.POLICY_ALLOWED, method="DELETE")
        mount.publish("v3", files(BROKEN))
        wait_until(lambda: warnings(live), SECONDS)
        assert live.ask(live.check(method="DELETE")).allowed
        mount.publish("v4", files(POLICY))
        live.wait_for_reason(Reason.POLICY_NO_MATCH, method="DELETE")
