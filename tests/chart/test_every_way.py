"""Every way to install the chart: what must hold for all of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from deputize.cli.validation import check_config
from deputize.config.strict_yaml import parse_documents
from tests.chart.chart_cases import CASES
from tests.chart.chart_objects import Thing
from tests.chart.restricted import violations
from tests.harness.helm import CHART, KUBE_VERSION, NEEDED, lint, overlay, render, run_helm
from tests.harness.kube_schemas import complaints
from tests.harness.pod_files import WORKLOADS, containers, mount_release, pod_specs

TEMPLATE = ("template", "deputize", str(CHART), f"--kube-version={KUBE_VERSION}", "--values=-")
every_way = pytest.mark.parametrize("case", CASES)


@pytest.fixture(scope="module", autouse=True)
def _rendered_together() -> None:
    """Helm takes its time in its own process; so all cases at once."""
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(render, CASES.values()))


@every_way
def test_a_cluster_takes_it(case: str) -> None:
    assert [each for thing in render(CASES[case]) for each in complaints(thing)] == []


@pytest.mark.parametrize("case", ["only what is needed", "everything", "sidecar"])
def test_lint_is_content(case: str) -> None:
    assert "0 chart(s) failed" in lint(CASES[case])


@every_way
def test_the_service_takes_its_configuration(case: str, tmp_path: Path) -> None:
    config = mount_release(render(CASES[case]), tmp_path)
    if config is None:
        assert CASES[case]["existingConfigMap"]
        return
    assert check_config(config, (), is_strict=False).summary


@every_way
def test_pods_satisfy_the_restricted_standard(case: str) -> None:
    assert [violations(spec) for spec in _pods(case)] == [[]]


@every_way
def test_containers_cannot_change_themselves(case: str) -> None:
    for spec in _pods(case):
        for each in containers(spec):
            assert each["securityContext"]["readOnlyRootFilesystem"] is True


@every_way
def test_every_container_says_what_memory_it_needs(case: str) -> None:
    for spec in _pods(case):
        for each in containers(spec):
            assert {"requests", "limits"} <= each["resources"].keys()
            assert "memory" in each["resources"]["limits"]
            assert "cpu" not in each["resources"]["limits"]


@every_way
def test_mounts_have_volumes_and_volumes_are_mounted(case: str) -> None:
    for spec in _pods(case):
        mounted = {mount["name"] for each in containers(spec) for mount in each["volumeMounts"]}
        assert mounted == {volume["name"] for volume in spec["volumes"]}


@every_way
def test_changed_files_reach_running_pods(case: str) -> None:
    for spec in _pods(case):
        for each in containers(spec):
            assert not any("subPath" in mount for mount in each["volumeMounts"])


@every_way
def test_all_that_is_written_in_memory_has_an_end(case: str) -> None:
    for spec in _pods(case):
        for volume in spec["volumes"]:
            assert "sizeLimit" in volume.get("emptyDir", {"sizeLimit": ""})


@every_way
def test_volumes_from_the_release_are_in_it(case: str) -> None:
    things = render(CASES[case])
    made = {each["metadata"]["name"] for each in things if each["kind"] == "ConfigMap"}
    for spec in _pods(case):
        named = {volume["configMap"]["name"] for volume in spec["volumes"] if "configMap" in volume}
        assert {name for name in named if name.startswith("deputize-")} <= made


@every_way
def test_selectors_select_the_pods(case: str) -> None:
    things = render(CASES[case])
    for selector in _selectors(things):
        assert all(selector.items() <= labels.items() for labels in _pod_labels(things))


@pytest.mark.parametrize("case", ["everything", "daemonset", "Istio"])
def test_selectors_select_no_pod_of_another_release(case: str) -> None:
    others = _pod_labels(render(CASES[case], name="other"))
    assert others
    for selector in _selectors(render(CASES[case])):
        assert not any(selector.items() <= labels.items() for labels in others)


@every_way
def test_names_are_given_once(case: str) -> None:
    names = [
        (
            each["apiVersion"],
            each["kind"],
            each["metadata"].get("namespace"),
            each["metadata"]["name"],
        )
        for each in render(CASES[case])
    ]
    assert len(set(names)) == len(names)


@every_way
def test_what_a_release_owns_says_so(case: str) -> None:
    for each in render(CASES[case]):
        if each["kind"] != "CustomResourceDefinition":
            assert each["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "Helm"


def test_the_same_values_give_the_same_text() -> None:
    first, second = (run_helm(*TEMPLATE, values=_everything()) for _ in range(2))
    assert first == second


def test_what_is_rendered_has_one_reading() -> None:
    assert parse_documents(run_helm(*TEMPLATE, values=_everything()).encode(), "rendered")


def _everything() -> str:
    return json.dumps(overlay(NEEDED, CASES["everything"]))


def _pods(case: str) -> list[Thing]:
    return list(pod_specs(render(CASES[case])))


def _pod_labels(things: list[Thing]) -> list[dict[str, str]]:
    return [
        each["spec"]["template"]["metadata"]["labels"]
        for each in things
        if each["kind"] in WORKLOADS
    ]


def _selectors(things: list[Thing]) -> Iterator[dict[str, str]]:
    for each in things:
        spec: dict[str, Any] = each.get("spec", {})
        if each["kind"] == "Service":
            yield spec["selector"]
        elif each["kind"] in (*WORKLOADS, "PodDisruptionBudget"):
            yield spec["selector"]["matchLabels"]
        elif each["kind"] == "NetworkPolicy":
            yield spec["podSelector"]["matchLabels"]
        elif each["metadata"].get("namespace", "deputize") == "deputize" and (
            each["kind"] == "PeerAuthentication" or spec.get("action") == "ALLOW"
        ):
            yield spec["selector"]["matchLabels"]
