"""Policies and profiles as objects of a real API server, and the decisions of a real service."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from deputize.core.reasons import Reason
from tests.harness.api_server import ApiServer
from tests.harness.config_files import POLICY
from tests.harness.live import Live, UnreadyProcess, running_live
from tests.harness.polling import wait_until
from tests.harness.service import DeputizeProcess

SECONDS = 30
GROUP = "/apis/deputize.dev/v1alpha1"
ROOT = Path(__file__).resolve().parents[2]
DEFINITIONS = ROOT / "charts/deputize/files/crds"
SPEC: dict[str, Any] = yaml.safe_load(POLICY)["spec"]
UNSEEN = "/v1/{id"
"""A path that only the service can tell is none."""
_NUMBERS = itertools.count()


def spec_of(**rule: object) -> dict[str, Any]:
    """The spec of a policy, with other keys in its only rule."""
    spec = copy.deepcopy(SPEC)
    spec["rules"][0].update(rule)
    return spec


@dataclass(slots=True)
class Space:
    """A namespace of its own, and the objects in it."""

    server: ApiServer
    namespace: str = field(default_factory=lambda: f"team-{next(_NUMBERS)}")

    def __post_init__(self) -> None:
        self.server.create_namespace(self.namespace)

    def put(self, name: str, spec: object, kind: str = "DelegationPolicy") -> None:
        """Creates the object, or gives it another spec."""
        body = {
            "apiVersion": "deputize.dev/v1alpha1",
            "kind": kind,
            "metadata": {"name": name},
            "spec": spec,
        }
        answer = self.server.request("POST", self._path(kind), body)
        while answer.status_code == 409:
            # It is there, and its status may be written meanwhile.
            body["metadata"] = self.get(name, kind)["metadata"]
            answer = self.server.request("PUT", f"{self._path(kind)}/{name}", body)
        assert answer.is_success, answer.text

    def get(self, name: str, kind: str = "DelegationPolicy") -> dict[str, Any]:
        """The object as it is stored."""
        answer = self.server.request("GET", f"{self._path(kind)}/{name}")
        assert answer.is_success, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def delete(self, name: str, kind: str = "DelegationPolicy") -> None:
        """Deletes the object."""
        assert self.server.request("DELETE", f"{self._path(kind)}/{name}").is_success

    def condition(self, name: str, of: str, kind: str = "DelegationPolicy") -> dict[str, Any]:
        """A condition of the object; empty where it does not speak of what is stored now."""
        found = self.get(name, kind)
        for each in found.get("status", {}).get("conditions", []):
            if (each["type"], each["observedGeneration"]) == (of, found["metadata"]["generation"]):
                return dict(each)
        return {}

    def wait_for(self, name: str, of: str, status: str, kind: str = "DelegationPolicy") -> str:
        """Waits until the object's present generation has this condition; gives its message."""

        def is_so() -> dict[str, Any] | None:
            condition = self.condition(name, of, kind)
            return condition if condition.get("status") == status else None

        return str(wait_until(is_so, SECONDS, f"{of} {status} of {name}")["message"])

    def _path(self, kind: str) -> str:
        return f"{GROUP}/namespaces/{self.namespace}/{PLURALS[kind]}"


PLURALS = {"DelegationPolicy": "delegationpolicies", "IssuerProfile": "issuerprofiles"}


@pytest.fixture(scope="module")
def server(api_server: ApiServer) -> ApiServer:
    definitions = [yaml.safe_load(file.read_text()) for file in sorted(DEFINITIONS.glob("*.yaml"))]
    assert len(definitions) == 2
    api_server.install_definitions(definitions)
    return api_server


@pytest.fixture
def space(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> Space:
    monkeypatch.setenv("KUBECONFIG", str(server.kubeconfig))
    return Space(server)


@contextmanager
def serving(
    folder: Path,
    space: Space,
    change: Callable[[dict[str, Any]], None] = lambda _spec: None,
    process: type[DeputizeProcess] = DeputizeProcess,
) -> Iterator[Live]:
    """A service whose only policies are the objects of the namespace."""

    def use_objects(spec: dict[str, Any]) -> None:
        del spec["policies"]
        spec["kubernetes"] = {"namespaces": [space.namespace]}
        change(spec)

    with running_live(folder, change=use_objects, process=process) as live:
        yield live


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

        space.put("orders", spec_of(methods=["POST"], paths=[UNSEEN]))
        assert UNSEEN in space.wait_for("orders", "Accepted", "False")
        space.wait_for("orders", "Programmed", "False")
        assert live.ask().allowed, "the last good generation is in force"
        assert any(UNSEEN in warning for warning in live.readiness()["warnings"])

        space.put("others", spec_of(methods=["PUT"]))
        live.wait_for_reason(Reason.POLICY_ALLOWED, method="PUT")
        assert live.ask().allowed, "a broken object holds up no other"

        space.put("orders", spec_of(methods=["POST"]))
        live.wait_for_reason(Reason.POLICY_ALLOWED, method="POST")
        live.wait_for_reason(Reason.POLICY_NO_MATCH)
        space.wait_for("orders", "Accepted", "True")
        assert live.readiness()["warnings"] == []

        space.delete("orders")
        live.wait_for_reason(Reason.POLICY_NO_MATCH, method="POST")
        assert live.process.metric("deputize_source_fetches_total", kind="kubernetes") >= 2


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
    forbid = {key: value for key, value in SPEC["rules"][0].items() if key != "scopes"}
    space.put("orders", SPEC)
    space.put("allows", spec_of(paths=[UNSEEN]))
    space.put("forbids", {"rules": [{**forbid, "effect": "forbid", "paths": [UNSEEN]}]})
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


def lose(server: ApiServer) -> None:
    """Ends the server, which would wait for its watchers."""
    for process in reversed(server._processes):
        process.stop(0.2)
    server.stop()


def test_decisions_go_on_without_the_api_server(tmp_path: Path, space: Space) -> None:
    space.put("orders", SPEC)
    with serving(tmp_path / "first", space) as live:
        live.wait_for_reason(Reason.POLICY_ALLOWED)
        lose(space.server)
        try:
            wait_until(lambda: live.readiness()["warnings"], SECONDS, "a warning")
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


RIGHTS = (
    (["delegationpolicies", "issuerprofiles"], ["list", "watch"]),
    (["delegationpolicies/status", "issuerprofiles/status"], ["patch"]),
)


def token_with(space: Space, name: str, rights: Iterable[tuple[list[str], list[str]]]) -> str:
    """The token of a service account with these rights in the namespace, and no others."""
    rules = [
        {"apiGroups": ["deputize.dev"], "resources": resources, "verbs": verbs}
        for resources, verbs in rights
    ]
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{space.namespace}"
    accounts = f"/api/v1/namespaces/{space.namespace}/serviceaccounts"
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
    subject = {"kind": "ServiceAccount", "name": name, "namespace": space.namespace}
    named: dict[str, object] = {"metadata": {"name": name}}
    for path, body in (
        (accounts, named),
        (f"{rbac}/roles", {**named, "rules": rules}),
        (f"{rbac}/rolebindings", {**named, "roleRef": role, "subjects": [subject]}),
    ):
        answer = space.server.request("POST", path, body)
        assert answer.is_success, answer.text
    answer = space.server.request("POST", f"{accounts}/{name}/token", {"spec": {}})
    return str(answer.json()["status"]["token"])


def test_a_service_account_needs_these_rights_and_no_others(
    tmp_path: Path, space: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "kubeconfig"
    monkeypatch.setenv("KUBECONFIG", str(file))
    space.put("orders", SPEC)
    file.write_text(
        yaml.safe_dump(space.server.kubeconfig_with(token_with(space, "reads", RIGHTS[:1])))
    )
    with serving(tmp_path / "reads", space) as live:
        assert live.ask().allowed
        wait_until(lambda: "status of" in str(live.readiness()["warnings"]), SECONDS, "a warning")
        assert space.condition("orders", "Accepted") == {}
    file.write_text(
        yaml.safe_dump(space.server.kubeconfig_with(token_with(space, "writes", RIGHTS)))
    )
    with serving(tmp_path / "writes", space) as live:
        space.wait_for("orders", "Programmed", "True")
        assert live.readiness()["warnings"] == []
    file.write_text(yaml.safe_dump(space.server.kubeconfig_with(token_with(space, "none", ()))))
    with serving(tmp_path / "none", space, process=UnreadyProcess) as live:
        wait_until(lambda: "forbidden" in str(live.readiness()["waiting_for"]), SECONDS, "why not")
        assert live.ask().reason == Reason.SYSTEM_NOT_READY


def test_replicas_agree_on_what_they_write(tmp_path: Path, space: Space) -> None:
    with serving(tmp_path / "a", space) as first, serving(tmp_path / "b", space) as second:
        names = ("good", "broken")
        space.put("good", SPEC)
        space.put("broken", spec_of(paths=[UNSEEN]))
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
