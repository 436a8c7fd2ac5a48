"""What doctor was given, put in order: objects by kind, deputize among them, and its settings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from deputize.config.schema import Grpc, Server, ServiceSpec, TokenSettings
from deputize.doctor.manifests import Manifest
from deputize.doctor.place import At
from deputize.doctor.pods import NAME, Workload, leads_to

CHECK_PORT = 9191
ROOT_NAMESPACE = "istio-system"
GATEWAY_API = "gateway.networking.k8s.io"
ISTIO_NETWORKING = "networking.istio.io"
ISTIO_SECURITY = "security.istio.io"

ASSUMED_SERVER = Server(grpc=Grpc(listen=[f"0.0.0.0:{CHECK_PORT}"]))
ASSUMED_TOKEN = TokenSettings()
"""What holds where no configuration is given: the defaults of deputize."""

_WORKLOADS = ("Deployment", "DaemonSet", "StatefulSet")
_LOCAL = ("unix:", "127.", "localhost:", "[::1]:")


@dataclass(frozen=True, slots=True)
class Needs:
    """What policies need of those around: bodies of requests, and counts shared by replicas."""

    bodies: bool = False
    counts: bool = False

    def and_those(self, other: Needs) -> Needs:
        """What either needs."""
        return Needs(self.bodies or other.bodies, self.counts or other.counts)


@dataclass(frozen=True, slots=True)
class Settings:
    """The service configuration, and where it stands."""

    spec: ServiceSpec
    at: At

    @property
    def open_listen(self) -> At | None:
        """The first address that others than those on this host can reach."""
        places = self.at.dig("spec", "server", "grpc", "listen").items
        return next((at for at in places if not at.text.startswith(_LOCAL)), None)


@dataclass(frozen=True)
class World:
    """Everything to look at, for one installation of deputize.

    Without `settings` the defaults of deputize are assumed. `elsewhere` are workloads and Services
    of other installations; of several only the first `takes_rest`: what leads to none for certain.
    """

    manifests: Sequence[Manifest]
    settings: Settings | None = None
    needs: Needs = Needs()
    elsewhere: Sequence[Manifest] = ()
    takes_rest: bool = True
    _by_kind: dict[tuple[str, str], list[Manifest]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def __post_init__(self) -> None:
        for manifest in self.manifests:
            self._by_kind[manifest.group, manifest.kind].append(manifest)

    def of(self, group: str, kind: str) -> list[Manifest]:
        """The objects of a kind."""
        return self._by_kind.get((group, kind), [])

    @cached_property
    def workloads(self) -> list[Workload]:
        """All that run pods."""
        return [Workload(each) for kind in _WORKLOADS for each in self.of("apps", kind)]

    @cached_property
    def ours(self) -> list[Workload]:
        """The workloads of deputize itself."""
        return [
            each
            for each in self.workloads
            if each.is_ours and not self._is_elsewhere(each.manifest)
        ]

    @cached_property
    def services(self) -> list[Manifest]:
        """The Services that lead to deputize."""
        return [
            service
            for service in self.of("", "Service")
            if not self._is_elsewhere(service)
            and (NAME in service.name or any(leads_to(service, ours) for ours in self.ours))
        ]

    @cached_property
    def check_ports(self) -> set[int]:
        """The numbers of the ports where checks are answered, by configuration."""
        listen = self.server.grpc.listen
        ports = {text.rpartition(":")[2] for text in listen if not text.startswith("unix:")}
        # 0 is one that the system chooses.
        return {int(port) for port in ports} - {0} or {CHECK_PORT}

    @property
    def server(self) -> Server:
        """Ports and times of deputize."""
        return self.settings.spec.server if self.settings else ASSUMED_SERVER

    @property
    def decision_seconds(self) -> float:
        """Longest time for one check."""
        return self.server.decision_timeout_millis / 1000

    @property
    def max_message_bytes(self) -> int:
        """Largest check accepted."""
        return self.server.grpc.max_message_bytes

    @property
    def requires_certificate(self) -> bool:
        """Whether a peer must show its certificate."""
        return self.settings is not None and (
            self.settings.spec.peer.require_certificate or bool(self.settings.spec.peer.bundles)
        )

    @property
    def token_header(self) -> str:
        """The header that carries the token."""
        return (self.settings.spec.token if self.settings else ASSUMED_TOKEN).header

    def _is_elsewhere(self, manifest: Manifest) -> bool:
        return any(manifest is each for each in self.elsewhere)

    def workloads_for(self, policy: Manifest) -> list[Workload]:
        """Those that a policy can be for: of its namespace, of all from that of the mesh."""
        if policy.namespace in {"", ROOT_NAMESPACE}:
            return self.workloads
        by_namespace = self._workloads_by_namespace
        return [*by_namespace.get(policy.namespace, ()), *by_namespace.get("", ())]

    def services_of(self, namespace: str) -> list[Manifest]:
        """The Services there; those without a namespace may be anywhere."""
        by_namespace = self._services_by_namespace
        return [*by_namespace.get(namespace, ()), *(by_namespace.get("", ()) if namespace else ())]

    @cached_property
    def _workloads_by_namespace(self) -> dict[str, list[Workload]]:
        found: dict[str, list[Workload]] = defaultdict(list)
        for each in self.workloads:
            found[each.manifest.namespace].append(each)
        return found

    @cached_property
    def _services_by_namespace(self) -> dict[str, list[Manifest]]:
        found: dict[str, list[Manifest]] = defaultdict(list)
        for each in self.of("", "Service"):
            found[each.namespace].append(each)
        return found

    def namespace_labels(self, name: str) -> dict[str, str]:
        """The labels of a Namespace."""
        found = [each for each in self.of("", "Namespace") if each.name == name]
        return found[0].labels if found else {}
