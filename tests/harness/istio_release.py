"""deputize as an example's Helm values install it, as a process on this machine."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import yaml

from tests.harness import helm
from tests.harness.istio_config import Manifest
from tests.harness.istio_walkthrough import FOLDER
from tests.harness.service_config import on_this_machine

CHECK_SOCKET = "unix:/run/deputize/check.sock"
_MOUNT = "/etc/deputize"
_CONFIG = "deputize-config"


def render(values: Path, namespace: str, keys: Path) -> list[Manifest]:
    """The objects of the release `deputize`; `keys` has the key set of the walkthrough's issuer."""
    given = {"files": {"jwks.json": (keys / "jwks.json").read_text()}}
    example = yaml.safe_load(values.read_text())
    return helm.render(given, namespace=namespace, needed=example)


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
    given: dict[str, Any] = yaml.safe_load(text)
    config = on_this_machine(given)
    if given["spec"]["server"]["grpc"]["listen"] == [CHECK_SOCKET]:
        config["spec"]["server"]["grpc"]["listen"] = [f"unix:{folder / 'check.sock'}"]
    return config
