"""A cluster with many protected workloads is examined in the time of reading it, or near to it."""

from __future__ import annotations

import json
import time
from pathlib import Path

from tests.harness.config_files import changed
from tests.unit.doctor.test_manifests import SETS, found

WORKLOADS = 1000
SOME_SECONDS = 15


def protected(number: int) -> list[dict[str, object]]:
    """A workload with its Service, and the policy that lets deputize decide about it."""
    place = {"name": f"w{number}", "namespace": f"n{number % 100}"}
    labels = {"app": f"w{number}"}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"image": "a/b:1"}]}}
    policy = {
        "selector": {"matchLabels": labels},
        "action": "CUSTOM",
        "provider": {"name": "deputize"},
        "rules": [{"to": [{"operation": {"ports": ["80"]}}]}],
    }
    service = {"selector": labels, "ports": [{"name": "http", "port": 80}]}
    security = "security.istio.io/v1"
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": place,
            "spec": {"template": pod},
        },
        {"apiVersion": "v1", "kind": "Service", "metadata": place, "spec": service},
        {"apiVersion": security, "kind": "AuthorizationPolicy", "metadata": place, "spec": policy},
    ]


def test_a_large_cluster_takes_seconds(tmp_path: Path) -> None:
    objects = [each for number in range(WORKLOADS) for each in protected(number)]
    file = tmp_path / "cluster.yaml"
    file.write_text(json.dumps({"kind": "List", "items": objects}))
    sound = tmp_path / "sound.yaml"
    listed = ", ".join(f"cluster.local/ns/n{number}/sa/default" for number in range(WORKLOADS))
    account = "cluster.local/ns/store/sa/orders"
    sound.write_text(changed(SETS["istio"].read_text(), account, f"{listed}, {account}"))
    begun = time.monotonic()
    assert found("--manifests", file, "--manifests", sound) == []
    assert time.monotonic() - begun < SOME_SECONDS
