"""What ztunnels enforce in the ambient example, as Istio translates the policies for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.harness.istio_config import Manifest, generate, run_cluster
from tests.harness.istio_stage import manifests_of, mesh_config_of, release_of
from tests.harness.istio_walkthrough import issuer

WAYPOINT = {"principals": [{"exact": "cluster.local/ns/store/sa/waypoint"}]}
CHECKS = {"destination_ports": [9191]}


@pytest.fixture
def release(tmp_path: Path) -> list[Manifest]:
    issuer().write_keys(tmp_path)
    return release_of("waypoint", tmp_path)


def policies(manifests: list[Manifest], folder: Path) -> dict[str, dict[str, Any]]:
    """What all ztunnels are sent, by name of the policy."""
    cluster = run_cluster(manifests)
    node = cluster.node("waypoint", "waypoint", "store")
    sent = generate(mesh_config_of("waypoint"), cluster, node, folder)
    return {each["authorization"]["name"]: each for each in sent["ztunnel"]}


def matches(policy: dict[str, Any]) -> list[Any]:
    """All matches of a policy with one group, which must hold together."""
    (group,) = policy["authorization"]["groups"]
    return [match for rule in group["rules"] for match in rule["matches"]]


def test_calls_and_checks_come_from_the_waypoint_only(
    release: list[Manifest], tmp_path: Path
) -> None:
    sent = policies([*manifests_of("waypoint"), *release], tmp_path)
    assert [each["problem"] for each in sent.values()] == [""] * len(sent)
    assert matches(sent["only-through-the-waypoint"]) == [WAYPOINT]
    assert matches(sent["deputize-who-may-ask"]) == [CHECKS, WAYPOINT]


def test_ztunnel_cannot_ask(release: list[Manifest], tmp_path: Path) -> None:
    manifests = manifests_of("waypoint")
    (policy,) = (each for each in manifests if each.get("spec", {}).get("action") == "CUSTOM")
    del policy["spec"]["targetRefs"]
    assert policy["metadata"]["name"] not in policies([*manifests, *release], tmp_path)
