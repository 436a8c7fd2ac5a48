"""deputize as an example's Helm values install it, as a process on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from tests.harness import helm
from tests.harness.istio_config import Manifest
from tests.harness.istio_walkthrough import FOLDER
from tests.harness.pod_files import mount_release
from tests.harness.service_config import on_this_machine

CHECK_SOCKET = "unix:/run/deputize/check.sock"


def render(values: Path, namespace: str, keys: Path) -> list[Manifest]:
    """The objects of the release `deputize`; `keys` has the key set of the walkthrough's issuer."""
    given = {"files": {"jwks.json": (keys / "jwks.json").read_text()}}
    example = yaml.safe_load(values.read_text())
    return helm.render(given, namespace=namespace, needed=example)


def local_config(release: list[Manifest], folder: Path) -> dict[str, Any]:
    """The release's configuration with its mounted files in `folder`, and ports of this machine."""
    # Made by the walkthrough: kubectl create configmap store-policies --from-file=policy.yaml
    policies = {"store-policies": {"policy.yaml": (FOLDER / "policy.yaml").read_text()}}
    file = mount_release(release, folder / "mounted", policies.__getitem__)
    assert file is not None
    given: dict[str, Any] = yaml.safe_load(file.read_text())
    config = on_this_machine(given)
    if given["spec"]["server"]["grpc"]["listen"] == [CHECK_SOCKET]:
        config["spec"]["server"]["grpc"]["listen"] = [f"unix:{folder / 'check.sock'}"]
    return config
