"""The files of a pod, as its ConfigMaps give them, in a folder of the test."""

from __future__ import annotations

from pathlib import Path

import yaml

from tests.chart.chart_objects import Thing, containers, pod_specs
from tests.harness.helm import POLICY


def write_config(things: list[Thing], folder: Path) -> Path | None:
    """The configuration file, with everything it names beside it; None where it is not the chart's.

    ConfigMaps of the operator hold a policy each. `/etc/deputize` in texts becomes the folder.
    """
    made = {
        each["metadata"]["name"]: each["data"] for each in things if each["kind"] == "ConfigMap"
    }
    (spec,) = pod_specs(things)
    container = next(each for each in containers(spec) if each["name"] == "deputize")
    sources = {
        volume["name"]: volume.get("configMap", {}).get("name") for volume in spec["volumes"]
    }
    for mount in container["volumeMounts"]:
        source = sources[mount["name"]]
        if source is None or not mount["mountPath"].startswith("/etc/deputize/"):
            continue
        files = made.get(source) or {f"{source}.yaml": _policy_of(source)}
        for name, text in files.items():
            file = folder / Path(mount["mountPath"]).relative_to("/etc/deputize") / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text.replace("/etc/deputize", str(folder)))
    config = folder / "config/config.yaml"
    return config if config.is_file() else None


def _policy_of(name: str) -> str:
    return yaml.safe_dump({**POLICY, "metadata": {"name": name}})
