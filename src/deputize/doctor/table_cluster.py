"""Codes about policies of a mesh, who may ask, and how deputize is run."""

from __future__ import annotations

from collections.abc import Mapping

from deputize.doctor.findings import Code
from deputize.doctor.meaning import Meaning, error, warning

CLUSTER: Mapping[Code, Meaning] = {
    Code.CONFIG_INVALID: error(
        "A service configuration or policy of ours among the manifests is wrong; deputize would "
        "not load it.",
        "Do what the message says; `deputize validate` says the same of files.",
    ),
    Code.CUSTOM_ON_AUTHORIZER: error(
        "An authorization policy lets deputize decide about calls to deputize itself. Each check "
        "would need a check.",
        "Select the workloads that are to be protected, or put the policy into their namespace.",
    ),
    Code.CUSTOM_ON_TCP: warning(
        "An authorization policy covers a port that does not speak HTTP. Every connection to it is "
        "refused (`request.not_http`).",
        "List the HTTP ports in `to.operation.ports`.",
    ),
    Code.CUSTOM_WITHOUT_TARGET: error(
        "An authorization policy in an ambient namespace has no `targetRefs`. It is then for "
        "ztunnel, which asks nobody.",
        "Attach it to a waypoint with `targetRefs`.",
    ),
    Code.CALLERS_UNRESTRICTED: error(
        "The port where checks are answered is reachable for others, and no guard was given: no "
        "TLS with `allowedCallers`, no NetworkPolicy, no authorization policy of the mesh that is "
        "in force. Whoever reaches it can claim to be any peer.",
        "Let only the proxies in, by one of the three; or listen on loopback or a Unix socket.",
    ),
    Code.CALLERS_EVERYBODY: error(
        "There is a guard before the port where checks are answered, and it lets everybody in. "
        "Found are: TLS without `allowedCallers`; an ingress rule without `from`, for all "
        "namespaces or all addresses; an ALLOW rule without a source, or with `*`.",
        "Name the proxies: their identities, or their namespaces and labels.",
    ),
    Code.CALLER_UNLISTED: error(
        "A proxy of Istio asks, and is not let in: its identity is not among the principals of the "
        "authorization policies in front of deputize, or not in `allowedCallers`. Every call that "
        "it asks about is refused. Silent for sources that are given otherwise than by principals, "
        "and for workloads that no Service leads to.",
        "List it in the values of the chart under `proxies`, with `namespace` and "
        "`serviceAccount`; or in the policy, or in `allowedCallers`.",
    ),
    Code.PROBE_WITHOUT_TLS: error(
        "A gRPC probe is on a port with TLS. Probes speak plain text, so it never succeeds.",
        "Probe `/readyz` and `/healthz` on the HTTP port.",
    ),
    Code.GRACE_SHORT: warning(
        "The pod is killed before it has ended: calls fail, and audit events are lost.",
        "Set `terminationGracePeriodSeconds` to at least `drain.delaySeconds`, "
        "`drain.graceSeconds` and 10 together.",
    ),
    Code.MEMORY_WITH_REPLICAS: warning(
        "Several replicas, policies with budgets or single use, and `replay.store: memory`: each "
        "replica counts for itself, so N of them let N times as much pass.",
        "Use `replay.store: redis`.",
    ),
    Code.MOUNT_NEVER_CHANGES: warning(
        "Files are mounted with `subPath`. Kubernetes never updates such a mount: changes of "
        "configuration, keys and certificates are not seen.",
        "Mount the whole folder.",
    ),
}
