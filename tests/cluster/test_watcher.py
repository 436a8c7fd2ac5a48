"""Policies and profiles as objects of a real API server, and the decisions of a real service."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deputize.core.reasons import Reason
from tests.harness.api_server import ApiServer
from tests.harness.live import Live, UnreadyProcess
from tests.harness.object_space import SECONDS, Space, serving
from tests.harness.polling import wait_until
from tests.harness.stored_objects import BROKEN_PATH, FORBID, SPEC, spec_of


def test_decisions_and_conditions_follow_an_object(tmp_path: Path, space: Space) -> None:
    with serving(tmp_path, space) as live:
        assert live.ask().reason == Reason.POLICY_NO_MATCH
        space.put("orders", SPEC)
        live.wait_for_reason(Reason.POLICY_ALLOWED)
        assert live.ask().allowed
        space.wait_for("orders", "Accepted", "True")
        space.wait_for("orders", "Programmed", "True")

        event = live.process.audit_event(live.ask().decision_id)
        assert event["rule"] == f"{space.namespace}.orders/read"

        space.put("orders", spec_of(methods=["POST"], paths=[BROKEN_PATH]))
        assert BROKEN_PATH in space.wait_for("orders", "Accepted", "False")
        space.wait_for("orders", "Programmed", "False")
        assert live.ask().allowed, "the last good generation is in force"
        assert any(BROKEN_PATH in warning for warning in live.readiness()["warnings"])

        space.put("others", spec_of(methods=["PUT"]))
        live.wait_for_reason(Reason.POLICY_ALLOWED, method="PUT")
        assert live.ask().allowed, "a broken object holds up no other"

        space.put("orders", spec_of(methods=["POST"]))
        live.wait_for_reason(Reason.POLICY_ALLOWED, method="POST")
        live.wait_for_reason(Reason.POLICY_NO_MATCH)
        space.wait_for("orders", "Accepted", "True")
        wait_until(lambda: live.readiness()["warnings"] == [], SECONDS, "no warning")

        space.delete("orders")
        live.wait_for_reason(Reason.POLICY_NO_MATCH, method="POST")
        name = f"{space.namespace}/delegationpolicies"
        metric = "deputize_source_fetches_total"
        assert live.process.metric(metric, kind="kubernetes", name=name, result="fetched") >= 1


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (spec_of(onBehalfOf=[{"issuer": "https://unknown.example", "anyone": True}]), "unknown"),
        (spec_of(whenn=[{"claim": "a", "exists": True}]), "whenn"),
        (spec_of(when=None), "no value"),
        (spec_of(when=[{"claim": "a", "oneOf": ["1", 1]}]), "types"),
        (spec_of(mcp={"methods": ["*"]}), "no resource"),
    ],
)
def test_what_only_the_service_can_tell_is_in_the_conditions(
    shared: tuple[Live, Space], broken: dict[str, Any], told: str
) -> None:
    live, space = shared
    space.put("told", broken)
    message = space.wait_for("told", "Accepted", "False")
    assert f"DelegationPolicy {space.namespace}/told: spec.rules[0]" in message
    assert told in message
    assert not live.ask().allowed


@pytest.fixture(scope="module")
def shared(
    tmp_path_factory: pytest.TempPathFactory, server: ApiServer
) -> Iterator[tuple[Live, Space]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", str(server.kubeconfig))
        space = Space(server)
        with serving(tmp_path_factory.mktemp("shared"), space) as live:
            yield live, space


def test_a_restart_does_not_go_on_without_a_forbid_it_cannot_read(
    tmp_path: Path, space: Space
) -> None:
    space.put("orders", SPEC)
    space.put("allows", spec_of(paths=[BROKEN_PATH]))
    space.put("forbids", {"rules": [FORBID | {"paths": [BROKEN_PATH]}]})
    with serving(tmp_path, space, process=UnreadyProcess) as live:
        space.wait_for("forbids", "Accepted", "False")
        (waiting,) = live.readiness()["waiting_for"]
        assert f"{space.namespace}/forbids" in waiting
        assert live.ask().reason == Reason.SYSTEM_NOT_READY
        assert space.condition("orders", "Programmed") == {}
        space.delete("forbids")
        live.wait_for_reason(Reason.POLICY_ALLOWED)
        assert live.readiness()["ready"]
        space.wait_for("allows", "Accepted", "False")


def test_decisions_go_on_without_the_api_server(tmp_path: Path, space: Space) -> None:
    space.put("orders", SPEC)
    with serving(tmp_path / "first", space) as live:
        live.wait_for_reason(Reason.POLICY_ALLOWED)
        space.server.stop()
        try:
            told = wait_until(lambda: live.readiness()["warnings"], SECONDS, "a warning")
            assert told[0].startswith(f"{space.namespace}/")
            assert live.ask().allowed
            assert live.readiness()["ready"]
            with serving(tmp_path / "second", space, process=UnreadyProcess) as other:
                assert other.ask().reason == Reason.SYSTEM_NOT_READY
                assert not other.readiness()["ready"]
        finally:
            space.server.start()
        space.put("orders", spec_of(methods=["POST"]))
        live.wait_for_reason(Reason.POLICY_ALLOWED, method="POST")
        assert live.ask().reason == Reason.POLICY_NO_MATCH
        wait_until(lambda: live.readiness()["warnings"] == [], SECONDS, "no warning")


def test_replicas_agree_on_what_they_write(tmp_path: Path, space: Space) -> None:
    with serving(tmp_path / "a", space) as first, serving(tmp_path / "b", space) as second:
        names = ("good", "broken")
        space.put("good", SPEC)
        space.put("broken", spec_of(paths=[BROKEN_PATH]))
        space.wait_for("good", "Programmed", "True")
        space.wait_for("broken", "Accepted", "False")
        versions = {name: space.get(name)["metadata"]["resourceVersion"] for name in names}
        # Both have seen everything up to this one when they decide by it.
        space.put("later", spec_of(methods=["PUT"]))
        for live in (first, second):
            live.wait_for_reason(Reason.POLICY_ALLOWED, method="PUT")
        space.wait_for("later", "Programmed", "True")
        assert versions == {name: space.get(name)["metadata"]["resourceVersion"] for name in names}


def test_an_issuer_may_name_a_profile_that_is_an_object(tmp_path: Path, space: Space) -> None:
    profile = {"title": "Tokens of ours", "sources": ["our handbook"], "scopes": ["permissions"]}
    space.put("orders", SPEC)

    def name_profile(spec: dict[str, Any]) -> None:
        spec["issuers"][0]["profile"] = f"{space.namespace}.ours"

    with serving(tmp_path, space, name_profile, UnreadyProcess) as live:
        wait_until(lambda: "no profile" in str(live.readiness()), SECONDS, "the profile is missed")
        assert live.ask().reason == Reason.SYSTEM_NOT_READY
        space.put("ours", profile, "IssuerProfile")
        live.wait_for_reason(Reason.POLICY_INSUFFICIENT_SCOPE)
        space.wait_for("ours", "Programmed", "True", "IssuerProfile")
        space.put("ours", {**profile, "scopes": ["scope"]}, "IssuerProfile")
        live.wait_for_reason(Reason.POLICY_ALLOWED)
        space.put("ours", {**profile, "scopes": ["..scope"]}, "IssuerProfile")
        space.wait_for("ours", "Accepted", "False", "IssuerProfile")
        assert live.ask().allowed
