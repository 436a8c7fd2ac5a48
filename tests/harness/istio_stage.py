"""The walkthrough behind one kind of proxy, with the files of its example as they are.

agent --- mTLS, token ---> Envoy, as Istio configures it ------> a small API
                             | may it?
                             v
                          deputize, as the chart configures it
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import yaml

from tests.harness.calls import Answer, Call
from tests.harness.istio_bootstrap import Surroundings
from tests.harness.istio_client import Workload
from tests.harness.istio_config import Cluster, Manifest, generate, read_manifests, run_cluster
from tests.harness.istio_proxy import IstioProxy
from tests.harness.istio_release import local_config, render
from tests.harness.istio_walkthrough import FOLDER, ISTIO, issuer
from tests.harness.loopback import HOST
from tests.harness.service import DeputizeProcess
from tests.harness.spiffe_ca import SpiffeCa, Svid
from tests.harness.upstream import Upstream, running_upstream

TRUST_DOMAIN = "cluster.local"
SERVICES = ("orders", "reviews", "ratings")
AGENTS = ("research", "planner", "support")
EDGE_HOST = "store.example.com"
EXAMPLES = ("sidecar", "local", "gateway", "waypoint")
PORT = 8080


@dataclass(frozen=True, slots=True)
class Way:
    """How something is called: the port on this machine, the host, and as which workload."""

    port: int
    host: str
    caller: Workload

    def send(self, svid: Svid | None, call: Call) -> Answer:
        """The call by whoever holds the certificate, or in plain text."""
        return replace(self.caller, svid=svid).send(self.port, call, self.host)


@dataclass(frozen=True, slots=True)
class MeshStage:
    """Everything that is up; proxies start when first needed, with their files in `proxies`."""

    example: str
    folder: Path
    proxies: Path
    mesh_config: Path
    authority: SpiffeCa
    release: list[Manifest]
    cluster: Cluster
    upstream: Upstream
    deputize: DeputizeProcess
    cleanup: ExitStack
    ways: dict[str, Way]

    def svid(self, namespace: str, account: str) -> Svid:
        """A certificate as Istio gives the service account."""
        return self.authority.issue(f"{namespace}-{account}", uris=[spiffe_id(namespace, account)])

    def send(self, agent: str, service: str, call: Call) -> Answer:
        """A call by the agent, through the proxy of the service."""
        return self.way(service).send(self.svid("agents", agent), call)

    def way(self, service: str) -> Way:
        """How the service is called in this example."""
        if service not in self.ways:
            if self.example == "gateway":
                self.ways.update(dict.fromkeys(SERVICES, self._open_gateway()))
            elif self.example == "waypoint":
                self.ways.update(self._open_waypoint())
            else:
                self.ways[service] = self.open_sidecar(service, "store", PORT)
        return self.ways[service]

    def open_sidecar(self, name: str, namespace: str, port: int) -> Way:
        """Starts the sidecar of the Deployment of that name; the way leads to the port."""
        node = self.cluster.node("sidecar", name, namespace)
        caller = Workload(
            authority=self.authority.certificate_file, redirected_from=f"{node.address}:{port}"
        )
        return Way(
            self._open(node.kind, name, namespace, "virtualInbound", {}),
            f"{name}.{namespace}:{port}",
            caller,
        )

    @contextmanager
    def changed(
        self,
        folder: Path,
        *,
        manifests: list[Manifest] | None = None,
        mesh: Mapping[str, Any] | None = None,
    ) -> Iterator[Self]:
        """The same API and deputize behind proxies of their own; `folder` exists and is empty.

        `manifests` and `mesh`, the mesh configuration, replace those of the example.
        """
        own = manifests_of(self.example) if manifests is None else manifests
        mesh_config = self.mesh_config
        if mesh is not None:
            mesh_config = folder / "mesh-config.yaml"
            mesh_config.write_text(yaml.safe_dump(mesh))
        with ExitStack() as cleanup:
            yield replace(
                self,
                proxies=folder,
                mesh_config=mesh_config,
                cluster=_cluster(own, self.release, self.authority),
                cleanup=cleanup,
                ways={},
            )

    def _open_gateway(self) -> Way:
        served = {"kubernetes-gateway://edge/store-example-com": _server(self.authority)}
        caller = Workload(authority=self.authority.certificate_file, server_name=EDGE_HOST)
        return Way(self._open("router", "edge", "edge", "0.0.0.0_443", served), EDGE_HOST, caller)

    def _open_waypoint(self) -> dict[str, Way]:
        port = self._open("waypoint", "waypoint", "store", "connect_terminate", {})
        ways = {}
        for service in SERVICES:
            address = f"{self.cluster.service_address(service, 'store')}:{PORT}"
            caller = Workload(authority=self.authority.certificate_file, tunnel_to=address)
            ways[service] = Way(port, f"{service}.store:{PORT}", caller)
        return ways

    def _open(
        self, kind: str, name: str, namespace: str, entrance: str, served: Mapping[str, Svid]
    ) -> int:
        node = self.cluster.node(kind, name, namespace)
        around = Surroundings(
            entrance=entrance,
            certificates={"default": self.svid(namespace, node.account), **served},
            authority=self.authority.certificate_file,
            addresses=self._addresses(),
        )
        sent = generate(self.mesh_config, self.cluster, node, self.proxies)
        proxy = IstioProxy(sent, around, self.proxies / f"envoy-{namespace}-{name}")
        return self.cleanup.enter_context(proxy).port

    def _addresses(self) -> dict[str, str]:
        """The clusters that calls reach, of all kinds of proxy, and where they are here."""
        api, deputize = f"{HOST}:{self.upstream.port}", self.deputize.grpc_addresses[0]
        hosts = [f"{service}.store.svc.cluster.local" for service in SERVICES]
        return {
            "outbound|9191||deputize.deputize.svc.cluster.local": deputize,
            "outbound|9191||deputize.sidecar.internal": deputize,
            "inbound|9191||": deputize,
            f"inbound|{PORT}||": api,
            # Ports of a pod that no Service names.
            "InboundPassthroughCluster": api,
            **{f"outbound|{PORT}||{host}": api for host in hosts},
            **{f"inbound-vip|{PORT}|http|{host}": api for host in hosts},
        }


def spiffe_id(namespace: str, account: str) -> str:
    """The name that Istio gives a service account."""
    return f"spiffe://{TRUST_DOMAIN}/ns/{namespace}/sa/{account}"


@contextmanager
def set_mesh_stage(example: str, folder: Path) -> Iterator[MeshStage]:
    """Sets up one of `EXAMPLES`; `folder` exists and is empty."""
    with ExitStack() as cleanup:
        authority = SpiffeCa(TRUST_DOMAIN, folder)
        issuer().write_keys(folder)
        release = release_of(example, folder)
        deputize = DeputizeProcess(local_config(release, folder), folder / "deputize")
        stage = MeshStage(
            example=example,
            folder=folder,
            proxies=folder,
            mesh_config=mesh_config_of(example),
            authority=authority,
            release=release,
            cluster=_cluster(manifests_of(example), release, authority),
            upstream=cleanup.enter_context(running_upstream()),
            deputize=cleanup.enter_context(deputize),
            cleanup=cleanup,
            ways={},
        )
        yield stage


def manifests_of(example: str) -> list[Manifest]:
    """The objects of an example, and those of the walkthrough's store and agents."""
    return read_manifests([*manifest_files(example), FOLDER / "store.yaml", FOLDER / "agents.yaml"])


def manifest_files(example: str) -> list[Path]:
    """The files of an example that `kubectl apply` takes."""
    others = ("values", "mesh-config")
    return [file for file in sorted((ISTIO / example).glob("*.yaml")) if file.stem not in others]


def mesh_config_of(example: str) -> Path:
    """The mesh configuration that goes with an example."""
    own = ISTIO / example / "mesh-config.yaml"
    return own if own.exists() else ISTIO / "mesh" / "mesh-config.yaml"


def release_of(example: str, keys: Path) -> list[Manifest]:
    """What the chart makes of an example's values."""
    namespace = "store" if example == "local" else "deputize"
    return render(ISTIO / example / "values.yaml", namespace, keys)


def _cluster(own: list[Manifest], release: list[Manifest], authority: SpiffeCa) -> Cluster:
    return run_cluster([*own, *release, *_referred(authority)])


def _referred(authority: SpiffeCa) -> list[Manifest]:
    """What the Gateway refers to. Istio looks whether it is there; Envoy gets files."""
    server = _server(authority)
    pair = {"tls.crt": server.certificate_pem, "tls.key": server.private_key_pem}
    return [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/tls",
            "metadata": {"name": "store-example-com", "namespace": "edge"},
            "data": {name: b64encode(text).decode() for name, text in pair.items()},
        },
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "agents-ca", "namespace": "edge"},
            "data": {"ca.crt": authority.certificate_file.read_text()},
        },
    ]


def _server(authority: SpiffeCa) -> Svid:
    return authority.issue("store-example-com", dns=[EDGE_HOST])
