"""A real Kubernetes API server with its etcd, on loopback: everything but controllers and nodes."""

from __future__ import annotations

import json
import secrets
import ssl
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import httpx
import lightkube
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.harness.loopback import HOST, free_port
from tests.harness.polling import wait_until
from tests.harness.processes import ChildProcess
from tests.harness.spiffe_ca import SpiffeCa
from tests.tools.install import tool

_START_SECONDS = 90
_ESTABLISHED_SECONDS = 30
_ADMIN_GROUP = "system:masters"


class ApiServer:
    """A context: within it the server answers. Its files are in `folder`.

    `kubeconfig` is that of an administrator. There is no controller manager: deployments make no
    pods, and nobody cleans up.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._etcd_ports = free_port(), free_port()
        self._port = free_port()
        self._token = secrets.token_hex(16)
        self._authority = SpiffeCa("kubernetes.example", folder)
        self._processes: list[ChildProcess] = []
        self.kubeconfig = folder / "kubeconfig.yaml"

    def __enter__(self) -> Self:
        self._write_files()
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._http.close()

    @property
    def url(self) -> str:
        return f"https://{HOST}:{self._port}"

    def start(self) -> None:
        """Starts both, on the same ports and with the same data each time."""
        for command, is_ready in (
            (self._etcd_command(), self._etcd_is_ready),
            (self._server_command(), self._server_is_ready),
        ):
            process = ChildProcess(command, self._folder / f"{Path(command[0]).name}.log")
            self._processes.append(process)
            process.wait_ready(is_ready, _START_SECONDS)

    def stop(self) -> None:
        """Ends both, the server first; their data stays."""
        while self._processes:
            # The server would wait for watches to end; nobody needs their end.
            self._processes.pop().stop(1)

    def client(self) -> lightkube.Client:
        """A client with all rights."""
        return lightkube.Client(
            config=lightkube.KubeConfig.from_file(self.kubeconfig), trust_env=False
        )

    def request(
        self, method: str, path: str, body: object = None, **parameters: str
    ) -> httpx.Response:
        """Asks the API as it is, as an administrator; `body` is sent as JSON."""
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        return self._http.request(
            method,
            path,
            params=parameters,
            content=None if body is None else json.dumps(body),
            headers={"content-type": kind},
        )

    def install_definitions(self, definitions: Iterable[Mapping[str, Any]]) -> None:
        """Installs custom resource definitions, and waits until they are served."""
        path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        installed = []
        for definition in definitions:
            answer = self.request("POST", path, definition)
            assert answer.status_code in {201, 409}, answer.text
            installed.append(f"{path}/{definition['metadata']['name']}")
        wait_until(lambda: all(map(self._is_established, installed)), _ESTABLISHED_SECONDS)

    def would_refuse(self, thing: Mapping[str, Any]) -> str:
        """Why the server would not take this object, in its own words; empty if it would.

        Nothing is changed, but a namespace that is missing is made. Unknown fields are refused.
        """
        version = str(thing["apiVersion"])
        root = f"/apis/{version}" if "/" in version else f"/api/{version}"
        served = {entry["kind"]: entry for entry in self._resources(root)}
        if thing["kind"] not in served:
            return f"{version} {thing['kind']} is not served"
        resource = served[thing["kind"]]
        path = f"{root}/{resource['name']}"
        if resource["namespaced"]:
            namespace = thing["metadata"].get("namespace", "default")
            self.create_namespace(namespace)
            path = f"{root}/namespaces/{namespace}/{resource['name']}"
        answer = self.request("POST", path, thing, dryRun="All", fieldValidation="Strict")
        if answer.status_code in {201, 409}:
            return ""
        return f"{thing['kind']} {thing['metadata'].get('name')}: {answer.json()['message']}"

    def _resources(self, root: str) -> list[dict[str, Any]]:
        found = self.request("GET", root).json().get("resources", [])
        return [entry for entry in found if "/" not in entry["name"]]

    def create_namespace(self, name: str) -> None:
        """Makes a namespace, if it is not there."""
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        answer = self.request("POST", "/api/v1/namespaces", body)
        assert answer.status_code in {201, 409}, answer.text

    def _is_established(self, path: str) -> bool:
        # At first the conditions are there, and null.
        conditions = self.request("GET", path).json().get("status", {}).get("conditions") or ()
        return ("Established", "True") in [(each["type"], each["status"]) for each in conditions]

    @cached_property
    def _http(self) -> httpx.Client:
        return httpx.Client(
            base_url=self.url,
            headers={"authorization": f"Bearer {self._token}"},
            verify=ssl.create_default_context(cafile=self._authority.certificate_file),
            trust_env=False,
            timeout=30,
        )

    def _write_files(self) -> None:
        self._svid = self._authority.issue("kube-apiserver", addresses=[HOST])
        key = ec.generate_private_key(ec.SECP256R1())
        (self._folder / "accounts.pem").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.TraditionalOpenSSL,
                serialization.NoEncryption(),
            )
        )
        (self._folder / "tokens.csv").write_text(f'{self._token},admin,admin,"{_ADMIN_GROUP}"\n')
        self.kubeconfig.write_text(yaml.safe_dump(self.kubeconfig_with(self._token)))

    def kubeconfig_with(self, token: str, namespace: str = "default") -> dict[str, Any]:
        """The kubeconfig of whoever has this token."""
        cluster = {
            "server": self.url,
            "certificate-authority": str(self._authority.certificate_file),
        }
        context = {"cluster": "test", "user": "test", "namespace": namespace}
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "test", "user": {"token": token}}],
            "contexts": [{"name": "test", "context": context}],
            "current-context": "test",
        }

    def _etcd_command(self) -> list[str | Path]:
        client, peer = (f"http://{HOST}:{port}" for port in self._etcd_ports)
        return [
            tool("etcd"),
            f"--data-dir={self._folder / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            # Nothing here must outlive the machine.
            "--unsafe-no-fsync",
        ]

    def _server_command(self) -> list[str | Path]:
        return [
            tool("kube-apiserver"),
            f"--etcd-servers=http://{HOST}:{self._etcd_ports[0]}",
            f"--bind-address={HOST}",
            f"--advertise-address={HOST}",
            f"--secure-port={self._port}",
            f"--tls-cert-file={self._svid.certificate_file}",
            f"--tls-private-key-file={self._svid.private_key_file}",
            f"--cert-dir={self._folder}",
            f"--token-auth-file={self._folder / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={self._folder / 'accounts.pem'}",
            f"--service-account-signing-key-file={self._folder / 'accounts.pem'}",
            # No controller makes the default accounts that it would wait for.
            "--disable-admission-plugins=ServiceAccount",
        ]

    def _etcd_is_ready(self) -> bool:
        return _says_ok(f"http://{HOST}:{self._etcd_ports[0]}/health")

    def _server_is_ready(self) -> bool:
        try:
            return self._http.get("/readyz").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False


def _says_ok(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False
