"""deputize as an example's Helm values install it, as a process on this machine."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.harness.istio_config import Manifest
from tests.harness.istio_walkthrough import FOLDER, ISTIO
from tests.harness.loopback import HOST, free_port
from tests.tools.install import tool

CHART = ISTIO.parent / "charts" / "deputize"
CHECK_SOCKET = "unix:/run/deputize/check.sock"
_MOUNT = "/etc/deputize"
_CONFIG = "deputize-config"


def render(values: Path, namespace: str, keys: Path) -> list[Manifest]:
    """The objects of the release `deputize`; `keys` has the key set of the walkthrough's issuer."""
    command: list[str | Path] = [
        *(tool("helm"), "template", "deputize", CHART, "--namespace", namespace),
        *("--values", values, "--set-file", rf"files.jwks\.json={keys / 'jwks.json'}"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr
    return [each for each in yaml.safe_load_all(done.stdout) if each]


def local_config(release: list[Manifest], folder: Path) -> dict[str, Any]:
    """The release's configuration with its mounted files in `folder`, and ports of this machine."""
    data = {
        each["metadata"]["name"]: each["data"] for each in release if each["kind"] == "ConfigMap"
    }
    mounted = folder / "mounted"
    (mounted / "files").mkdir(parents=True)
    for name, text in data["deputize-files"].items():
        (mounted / "files" / name).write_text(text)
    # Made by the walkthrough: kubectl create configmap store-policies --from-file=policy.yaml
    policies = mounted / "policies" / "store-policies"
    policies.mkdir(parents=True)
    shutil.copy(FOLDER / "policy.yaml", policies)
    text = data[_CONFIG]["config.yaml"].replace(_MOUNT, str(mounted))
    config: dict[str, Any] = yaml.safe_load(text)
    server = config["spec"]["server"]
    is_socket = server["grpc"]["listen"] == [CHECK_SOCKET]
    own = f"unix:{folder / 'check.sock'}" if is_socket else f"{HOST}:{free_port()}"
    server["grpc"]["listen"] = [own]
    server["http"]["listen"] = f"{HOST}:{free_port()}"
    # On a busy machine a test must not fail because a decision came late.
    server["decisionTimeoutMillis"] = 2000
    server["drain"] = {"delaySeconds": 0}
    config["spec"]["audit"] = {"sink": "file", "file": "audit.jsonl"}
    return config
