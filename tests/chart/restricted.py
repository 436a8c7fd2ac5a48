"""The Pod Security standard `restricted`, control by control.

Source: kubernetes.io/docs/concepts/security/pod-security-standards.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tests.harness.pod_files import containers

Pod = Mapping[str, Any]
VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "projected", "secret"}


def violations(pod: Pod) -> list[str]:
    """The controls that a pod does not satisfy."""
    return [name for name, holds in CONTROLS.items() if not holds(pod)]


def _everywhere(holds: Callable[[Mapping[str, Any]], bool]) -> Callable[[Pod], bool]:
    """Whether it holds for the security context of each container, with the pod's below it."""

    def check(pod: Pod) -> bool:
        outer = pod.get("securityContext", {})
        return all(holds({**outer, **each.get("securityContext", {})}) for each in containers(pod))

    return check


CONTROLS: dict[str, Callable[[Pod], bool]] = {
    "host namespaces": lambda pod: (
        not any(pod.get(name) for name in ("hostNetwork", "hostPID", "hostIPC"))
    ),
    "host ports": lambda pod: (
        not any(port.get("hostPort") for each in containers(pod) for port in each.get("ports", ()))
    ),
    "volume types": lambda pod: all(
        set(volume) - {"name"} <= VOLUMES for volume in pod.get("volumes", ())
    ),
    "privileged": _everywhere(lambda context: not context.get("privileged")),
    "privilege escalation": _everywhere(
        lambda context: context.get("allowPrivilegeEscalation") is False
    ),
    "running as non-root": _everywhere(lambda context: context.get("runAsNonRoot") is True),
    "running as root's number": _everywhere(lambda context: context.get("runAsUser") != 0),
    "seccomp": _everywhere(
        lambda context: (
            context.get("seccompProfile", {}).get("type") in {"RuntimeDefault", "Localhost"}
        )
    ),
    "capabilities": _everywhere(
        lambda context: context.get("capabilities", {}) == {"drop": ["ALL"]}
    ),
    "proc mount": _everywhere(lambda context: context.get("procMount", "Default") == "Default"),
    "SELinux": _everywhere(lambda context: "seLinuxOptions" not in context),
    "AppArmor": _everywhere(lambda context: "appArmorProfile" not in context),
    "sysctls": lambda pod: not pod.get("securityContext", {}).get("sysctls"),
    "Windows host process": _everywhere(lambda context: "windowsOptions" not in context),
}
