"""The check of the Pod Security standard itself: each control finds what breaks it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.chart.chart_objects import pod_spec
from tests.chart.restricted import CONTROLS, violations

BREAKS: dict[str, dict[str, Any]] = {
    "host namespaces": {"pod": {"hostNetwork": True}},
    "host ports": {"container": {"ports": [{"containerPort": 1, "hostPort": 1}]}},
    "volume types": {"pod": {"volumes": [{"name": "host", "hostPath": {"path": "/"}}]}},
    "privileged": {"context": {"privileged": True}},
    "privilege escalation": {"context": {"allowPrivilegeEscalation": True}},
    "running as non-root": {"context": {"runAsNonRoot": False}},
    "running as root's number": {"context": {"runAsUser": 0}},
    "seccomp": {"context": {"seccompProfile": {"type": "Unconfined"}}},
    "capabilities": {"context": {"capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]}}},
    "proc mount": {"context": {"procMount": "Unmasked"}},
    "SELinux": {"context": {"seLinuxOptions": {"type": "spc_t"}}},
    "AppArmor": {"context": {"appArmorProfile": {"type": "Unconfined"}}},
    "sysctls": {"pod": {"securityContext": {"sysctls": [{"name": "a", "value": "1"}]}}},
    "Windows host process": {"context": {"windowsOptions": {"hostProcess": True}}},
}


def test_every_control_is_broken_once() -> None:
    assert BREAKS.keys() == CONTROLS.keys()


@pytest.mark.parametrize("control", BREAKS)
def test_a_broken_control_is_found(control: str) -> None:
    pod = pod_spec({})
    (ours,) = pod["containers"]
    pod |= BREAKS[control].get("pod", {})
    ours |= BREAKS[control].get("container", {})
    ours["securityContext"] |= BREAKS[control].get("context", {})
    assert violations(pod) == [control]
