"""What a service account must be allowed, so that the service can follow objects."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml

from deputize.core.reasons import Reason
from tests.harness.live import UnreadyProcess
from tests.harness.object_space import SECONDS, Space, serving
from tests.harness.polling import wait_until
from tests.harness.stored_objects import SPEC

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
        wait_until(lambda: live.readiness()["warnings"], SECONDS, "a warning")
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
