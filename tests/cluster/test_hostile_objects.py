"""What somebody who may write objects of one namespace cannot do to all others."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import yaml

from deputize.core.reasons import Reason
from tests.harness.live import Live
from tests.harness.object_space import SECONDS, Space, objects_path, serving
from tests.harness.polling import wait_until
from tests.harness.published_crds import OURS
from tests.harness.stored_objects import RULE, SPEC, spec_of

DEPTH = 9000
"""About the deepest that an API server takes; Python reads a tenth of it."""
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
POLICY = {"apiVersion": "deputize.dev/v1alpha1", "kind": "DelegationPolicy"}


def create(space: Space, name: str, **top: object) -> None:
    """Creates a policy with these keys; what is `?` nests without end."""
    text = json.dumps({**POLICY, "metadata": {"name": name}, **top})
    answer = space.server._http.post(
        objects_path(space.namespace, "DelegationPolicy"),
        content=text.replace('"?"', "[" * DEPTH + "]" * DEPTH),
        headers={"content-type": "application/json"},
    )
    assert answer.is_success, answer.text


def wait_for_warning(live: Live, *texts: str) -> None:
    def is_told() -> bool:
        return any(all(text in each for text in texts) for each in live.readiness()["warnings"])

    wait_until(is_told, SECONDS, f"a warning with {texts}")


def test_no_object_keeps_another_from_being_taken(tmp_path: Path, space: Space) -> None:
    hosts, paths = ([form.format(n) for n in range(400)] for form in ("h{}.example", "/p{}"))
    with serving(tmp_path / "first", space) as live:
        create(space, "deep", spec=spec_of(other="?"))
        wait_for_warning(live, "deep", "nested")
        space.put("large", spec_of(hosts=hosts, paths=paths))
        assert "combinations" in space.wait_for("large", "Accepted", "False")
        space.put("orders", SPEC)
        live.wait_for_reason(Reason.POLICY_ALLOWED)
    with serving(tmp_path / "second", space) as live:
        assert live.ask().allowed, "nor do they hold up a start: they could only have allowed"


def test_what_stands_beside_the_spec_is_not_dropped(tmp_path: Path, space: Space) -> None:
    limits: list[dict[str, Any]] = [{"agents": copy.deepcopy(RULE["agents"]), "scopes": []}]
    with serving(tmp_path, space) as live:
        create(space, "orders", spec=SPEC, agentCeilings=limits)
        assert "agentCeilings" in space.wait_for("orders", "Accepted", "False")
        assert live.ask().reason == Reason.POLICY_NO_MATCH


def test_who_deletes_a_definition_deletes_its_objects(tmp_path: Path, space: Space) -> None:
    space.put("orders", SPEC)
    with serving(tmp_path, space) as live:
        assert live.ask().allowed
        name = "delegationpolicies.deputize.dev"
        assert space.server.request("DELETE", f"{DEFINITIONS}/{name}").is_success
        try:
            live.wait_for_reason(Reason.POLICY_NO_MATCH)
            wait_for_warning(live, "not defined")
            assert live.readiness()["ready"]
        finally:
            definitions = [yaml.safe_load(file.read_text()) for file in OURS.iterdir()]
            space.server.install_definitions(definitions)
        space.put("orders", SPEC)
        live.wait_for_reason(Reason.POLICY_ALLOWED)
