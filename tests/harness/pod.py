"""What a kubelet does with a pod of the chart, done by hand: there is no node.

Files of ConfigMaps lie where the pod mounts them, below a folder of the test; a token of the pod's
service account is made, with the rights it has and no others; the container's command is run by
this Python instead of in its image. `/etc/deputize` in texts becomes the folder.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import yaml

from tests.harness.api_server import ApiServer
from tests.harness.loopback import HOST, free_port, get
from tests.harness.pod_files import MOUNT_ROOT, mount_files
from tests.harness.processes import ChildProcess

_START_SECONDS = 30


class Pod:
    """A context: within it the container of the Deployment runs. `address` is its Check port."""

    def __init__(self, server: ApiServer, namespace: str, deployment: str, folder: Path) -> None:
        self._server = server
        self._namespace = namespace
        self._folder = folder
        self._versions = itertools.count(1)
        self._grpc, self._http = f"{HOST}:{free_port()}", f"{HOST}:{free_port()}"
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{deployment}"
        self._spec = server.request("GET", path).json()["spec"]["template"]["spec"]
        (self._container,) = self._spec["containers"]
        self._process: ChildProcess | None = None

    def __enter__(self) -> Self:
        self.mount()
        kubeconfig = self._folder / "kubeconfig.yaml"
        kubeconfig.write_text(yaml.safe_dump(self._server.kubeconfig_with(self._token())))
        arguments = [
            text.replace(MOUNT_ROOT, str(self._folder)) for text in self._container["args"]
        ]
        command = [
            *("/usr/bin/env", f"KUBECONFIG={kubeconfig}"),
            *(sys.executable, "-m", "deputize.cli.main", *arguments),
        ]
        self._process = ChildProcess(command, self._folder / "deputize.log")
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.stop()

    @property
    def address(self) -> str:
        return self._grpc

    @property
    def url(self) -> str:
        """Of health and metrics."""
        return f"http://{self._http}"

    def wait_ready(self) -> None:
        """Waits until its readiness probe succeeds."""
        assert self._process is not None
        self._process.wait_ready(lambda: self._answers("/readyz"), _START_SECONDS)

    def mount(self) -> None:
        """Brings the files up to date with the cluster, as a kubelet does now and then."""
        mount_files(self._spec, self._folder, self._files, f"v{next(self._versions)}")

    def _answers(self, path: str) -> bool:
        answer = get(f"{self.url}{path}")
        return answer is not None and answer.is_success

    def _files(self, config_map: str) -> Mapping[str, str]:
        path = f"/api/v1/namespaces/{self._namespace}/configmaps/{config_map}"
        data: dict[str, str] = self._server.request("GET", path).json()["data"]
        return {name: self._as_here(text) for name, text in data.items()}

    def _as_here(self, text: str) -> str:
        """The same with ports of this machine, which other tests use too."""
        for inside, here in (
            ("0.0.0.0:9191", self._grpc),
            ("0.0.0.0:8080", self._http),
        ):
            text = text.replace(inside, here)
        return text

    def _token(self) -> str:
        account = self._spec["serviceAccountName"]
        path = f"/api/v1/namespaces/{self._namespace}/serviceaccounts/{account}/token"
        body: dict[str, Any] = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest"}
        answer = self._server.request("POST", path, body | {"spec": {}})
        assert answer.is_success, answer.text
        token: str = answer.json()["status"]["token"]
        return token
