"""How deputize itself is run in a cluster: probes, ending, replicas, mounts.

Sources: Kubernetes `core/v1` (gRPC probes have no TLS; a `subPath` mount is never updated; 30 s of
grace if nothing is said).
"""

from __future__ import annotations

from collections.abc import Iterator

from deputize.doctor.asks import at_place
from deputize.doctor.findings import Code, Finding
from deputize.doctor.place import At
from deputize.doctor.pods import Workload
from deputize.doctor.world import World

CLOSING_SECONDS = 10
"""What ending takes beside the drain: the audit queue, and the processes themselves."""

_DEFAULT_GRACE = 30
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_CHANGING = ("configMap", "secret", "projected")


def find_faults(world: World) -> Iterator[Finding]:
    """What is wrong with the workloads of deputize."""
    for ours in world.ours:
        yield from _grace(ours, world)
        yield from _replicas(ours, world)
        for container in ours.containers:
            yield from _probes(container, world)
            yield from _mounts(ours, container)


def _grace(ours: Workload, world: World) -> Iterator[Finding]:
    at = ours.pod["terminationGracePeriodSeconds"]
    grace = at.whole if at.whole is not None else _DEFAULT_GRACE
    drain = world.server.drain
    needed = drain.delay_seconds + drain.grace_seconds + CLOSING_SECONDS
    if grace < needed:
        cause = f"{grace} s, and ending takes up to {needed} s: the pod is killed before"
        yield at_place(at, Code.GRACE_SHORT, cause)


def _replicas(ours: Workload, world: World) -> Iterator[Finding]:
    at = ours.manifest.spec["replicas"]
    several = (at.whole or 1) > 1 or ours.manifest.kind == "DaemonSet"
    for scaler in world.of("autoscaling", "HorizontalPodAutoscaler"):
        target, most = scaler.spec["scaleTargetRef"], scaler.spec["maxReplicas"]
        if target["name"].text == ours.manifest.name and (most.whole or 1) > 1:
            at, several = most, True
    store = world.settings.spec.replay.store if world.settings else ""
    if several and store == "memory" and world.needs.counts:
        cause = (
            "policies count or use up, and each replica counts for itself (replay.store: memory)"
        )
        yield at_place(at, Code.MEMORY_WITH_REPLICAS, cause)


def _probes(container: At, world: World) -> Iterator[Finding]:
    has_tls = world.server.grpc.tls is not None
    for name in _PROBES:
        grpc = container[name]["grpc"]
        if grpc.exists and has_tls and grpc["port"].whole in world.check_ports:
            cause = f"{name} asks in plain text, and the port speaks TLS: it always fails"
            yield at_place(grpc, Code.PROBE_WITHOUT_TLS, cause)


def _mounts(ours: Workload, container: At) -> Iterator[Finding]:
    changing = {
        volume["name"].text
        for volume in ours.pod["volumes"].items
        if any(volume[kind].exists for kind in _CHANGING)
    }
    for mount in container["volumeMounts"].items:
        if mount["subPath"].exists and mount["name"].text in changing:
            cause = (
                f"{mount['mountPath'].text} stays as it was at the start: no reload sees a change"
            )
            yield at_place(mount["subPath"], Code.MOUNT_NEVER_CHANGES, cause)
