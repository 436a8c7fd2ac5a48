"""What who installs the chart is told: what to do next, and what most likely is not meant."""

from __future__ import annotations

import re
from json import dumps
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.chart_cases import CASES, GATEWAY, REDIS
from tests.harness.helm import CHART, NEEDED, notes, overlay, run_helm

SAFE: dict[str, Any] = {"proxies": [GATEWAY], "istio": {"enabled": True}}
ALL_OF_STORE = {"name": "all", "namespace": "store"}


def provider(values: dict[str, Any]) -> dict[str, Any]:
    """The extension provider, as one copies it into the mesh configuration."""
    text = notes(values)
    block = re.search(r"^extensionProviders:\n(?:  .*\n)+", text, re.MULTILINE)
    assert block is not None
    (only,) = yaml.safe_load(block[0])["extensionProviders"]
    assert isinstance(only, dict)
    return only


def warned(values: dict[str, Any]) -> str:
    """The warnings; empty if there are none."""
    return notes(values).partition("\nWARNING\n")[2]


def test_the_provider_fails_closed_within_its_time() -> None:
    assert provider({"istio": {"enabled": True}}) == {
        "name": "deputize",
        "envoyExtAuthzGrpc": {
            "service": "deputize.deputize.svc.cluster.local",
            "port": 9191,
            "timeout": "0.25s",
            "failOpen": False,
        },
    }


def test_the_provider_follows_the_values() -> None:
    values = {
        "istio": {"enabled": True, "provider": "agents", "timeoutMillis": 1000},
        "clusterDomain": "corp.example",
    }
    assert provider(values)["name"] == "agents"
    assert provider(values)["envoyExtAuthzGrpc"]["timeout"] == "1s"
    service = provider(values)["envoyExtAuthzGrpc"]["service"]
    assert service == "deputize.deputize.svc.corp.example"


def test_without_istio_other_gateways_come_first() -> None:
    text = notes({"istio": {"timeoutMillis": 1000}})
    assert "extensionProviders" not in text
    (step,) = (line for line in text.splitlines() if line.startswith("1."))
    assert "agentgateway" in step
    assert "the Service deputize of namespace deputize, port 9191" in step
    assert "1000 ms" in text
    assert "istio.enabled" in text


def test_a_second_release_of_sidecars_uses_the_provider_of_the_first() -> None:
    text = notes(CASES["second sidecar release"])
    assert "extensionProviders" not in text
    assert "the release that made the ServiceEntry" in text


def test_bodies_are_sent_whole_and_as_they_are() -> None:
    body = provider(CASES["bodies"])["envoyExtAuthzGrpc"]["includeRequestBodyInCheck"]
    assert body == {"maxRequestBytes": 1048576, "allowPartialMessage": False, "packAsBytes": True}


def test_a_sidecar_is_named_with_its_namespace() -> None:
    service = provider(CASES["sidecar in Istio"])["envoyExtAuthzGrpc"]["service"]
    assert service == "deputize/deputize.sidecar.internal"


def test_a_sidecar_is_applied_by_its_patch() -> None:
    text = notes(CASES["sidecar"])
    assert "kubectl get configmap deputize-sidecar -n deputize" in text
    assert "kubectl patch deployment" in text


def test_another_proxy_of_the_pod_is_told_where_to_ask() -> None:
    assert "unix:/run/deputize/check.sock" in notes(CASES["sidecar"])
    assert "127.0.0.1:9191" in notes(CASES["sidecar on loopback"])
    assert "extensionProviders" not in notes(CASES["sidecar"])


def test_istio_must_start_before_what_it_probes() -> None:
    assert "ENABLE_NATIVE_SIDECARS" in notes(CASES["sidecar in Istio"])
    assert "ENABLE_NATIVE_SIDECARS" not in notes(CASES["sidecar"])


@pytest.mark.parametrize(
    ("case", "pod", "port"),
    [
        ("gateway", "deployment/deputize", 8080),
        ("daemonset", "daemonset/deputize", 8080),
        ("sidecar", "deployment/NAME", 9192),
    ],
)
def test_it_says_how_to_check(case: str, pod: str, port: int) -> None:
    text = " ".join(notes(CASES[case]).replace("\\\n", " ").split())
    assert (
        f"kubectl exec {pod} -n deputize -c deputize -- deputize doctor --config "
        f"/etc/deputize/config/config.yaml --url http://127.0.0.1:{port}" in text
    )


def test_it_lists_what_is_fetched() -> None:
    assert "https://idp.example.org\n" in notes({})
    assert "https://security.example.org/deny.yaml" in notes(CASES["everything"])


def test_it_warns_of_nothing_where_all_is_well() -> None:
    assert warned(SAFE) == ""
    assert warned(CASES["TLS of SPIRE"]) == ""
    assert warned(CASES["sidecar"]) == ""


@pytest.mark.parametrize(
    ("known", "is_warned"),
    [
        ("deputize.dev/v1alpha1/DelegationPolicy", False),
        ("deputize.dev/v1alpha1/IssuerProfile", True),
    ],
)
def test_definitions_that_are_there_need_no_warning(
    tmp_path: Path, known: str, *, is_warned: bool
) -> None:
    values = {"deputize": overlay(NEEDED, {**SAFE, "kubernetes": {"enabled": True}})}
    words = ("template", "a", str(_chart_of_warnings(tmp_path)), f"--api-versions={known}")
    text = run_helm(*words, "--values=-", "--show-only=templates/told.yaml", values=dumps(values))
    assert ("crds.install" in yaml.safe_load(text)["told"]) is is_warned


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({**SAFE, "proxies": []}, "NOBODY MAY ASK"),
        ({"proxies": [GATEWAY]}, "NEITHER TLS NOR MESH"),
        ({**SAFE, "replicas": 1}, "ONE POD"),
        ({**SAFE, "networkPolicy": {"enabled": False}}, "NO NETWORK POLICY"),
        ({**SAFE, "config": {"policyMode": "observe"}}, "NOTHING IS ENFORCED"),
        ({**SAFE, "kubernetes": {"enabled": True}}, "crds.install"),
        (
            {**SAFE, "istio": {"enabled": True, "protect": [ALL_OF_STORE]}},
            "ONE API MAY ANSWER FOR ANOTHER",
        ),
        (
            {**SAFE, "config": None, "existingConfigMap": "mine", "replay": REDIS},
            "existingConfigMap",
        ),
    ],
)
def test_it_warns(values: dict[str, Any], word: str) -> None:
    assert word in warned(values)
    assert warned(values).count("\n- ") == 0


def _chart_of_warnings(folder: Path) -> Path:
    """One that shows our warnings as a file: only then does Helm let one say what a cluster has."""
    chart = folder / "told"
    (chart / "templates").mkdir(parents=True)
    (chart / "charts").mkdir()
    (chart / "charts/deputize").symlink_to(CHART)
    about = {"apiVersion": "v2", "name": "told", "version": "1.0.0"}
    (chart / "Chart.yaml").write_text(yaml.safe_dump(about))
    warnings = 'told: {{ include "deputize.warnings" .Subcharts.deputize | toJson }}'
    (chart / "templates/told.yaml").write_text(warnings)
    return chart
