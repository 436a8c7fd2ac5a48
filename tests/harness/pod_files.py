"""What pods of deputize mount of ConfigMaps, in a folder of the test: there is no node.

`/etc/deputize` in texts becomes the folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.harness.helm import POLICY
from tests.harness.mounted import Mounted

Thing = dict[str, Any]
Files = Mapping[str, str]
"""Texts by the names of their files: the data of a ConfigMap."""

MOUNT_ROOT = "/etc/deputize"
WORKLOADS = ("Deployment", "DaemonSet")


def pod_specs(things: Iterable[Thing]) -> Iterator[Thing]:
    """Every pod that the objects make, now or in a patch."""
    for each in things:
        if each["kind"] in WORKLOADS:
            yield each["spec"]["template"]["spec"]
        elif "patch.yaml" in each.get("data", {}):
            yield yaml.safe_load(each["data"]["patch.yaml"])["spec"]["template"]["spec"]


def containers(spec: Mapping[str, Any]) -> list[Thing]:
    """All containers of a pod."""
    return [*spec.get("initContainers", ()), *spec.get("containers", ())]


def mount_files(
    spec: Mapping[str, Any], folder: Path, read: Callable[[str], Files], version: str = "first"
) -> None:
    """Shows what the container `deputize` mounts, as a kubelet does; no version comes twice.

    `read` gives the ConfigMap of a name.
    """
    (container,) = (each for each in containers(spec) if each["name"] == "deputize")
    sources = {
        volume["name"]: volume["configMap"]["name"]
        for volume in spec["volumes"]
        if "configMap" in volume
    }
    for mount in container["volumeMounts"]:
        if mount["name"] in sources and mount["mountPath"].startswith(f"{MOUNT_ROOT}/"):
            files = read(sources[mount["name"]])
            here = {name: text.replace(MOUNT_ROOT, str(folder)) for name, text in files.items()}
            target = folder / Path(mount["mountPath"]).relative_to(MOUNT_ROOT)
            Mounted(target).publish(version, here)


def policy_of(name: str) -> Files:
    """A ConfigMap of the operator with one policy, of the same name."""
    return {f"{name}.yaml": yaml.safe_dump({**POLICY, "metadata": {"name": name}})}


def mount_release(
    things: list[Thing], folder: Path, read: Callable[[str], Files] = policy_of
) -> Path | None:
    """Mounts what the chart made; gives the configuration file, None where it is not the chart's.

    `read` gives the operator's ConfigMaps.
    """
    made = {
        each["metadata"]["name"]: each["data"] for each in things if each["kind"] == "ConfigMap"
    }
    (spec,) = pod_specs(things)
    mount_files(spec, folder, lambda name: made[name] if name in made else read(name))
    config = folder / "config/config.yaml"
    return config if config.is_file() else None
