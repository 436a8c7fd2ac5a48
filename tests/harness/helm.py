"""The chart, rendered by the real Helm. Equal values are rendered once in a run of the tests."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.tools.install import tool

CHART = Path(__file__).resolve().parents[2] / "charts/deputize"
KUBE_VERSION = "1.33"
Values = Mapping[str, Any]


class ChartRefused(Exception):  # noqa: N818 - what Helm does, not a fault of ours
    """Helm made nothing of these values; the message is what it said."""


def render(
    values: Values,
    *,
    name: str = "deputize",
    namespace: str = "deputize",
    kube_version: str = KUBE_VERSION,
    api_versions: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Every object of the chart, in Helm's order.

    Raises:
        ChartRefused: the values are wrong.
    """
    text = template(
        values,
        name=name,
        namespace=namespace,
        kube_version=kube_version,
        api_versions=api_versions,
    )
    return [each for each in yaml.safe_load_all(text) if each is not None]


def template(
    values: Values,
    *,
    name: str = "deputize",
    namespace: str = "deputize",
    kube_version: str = KUBE_VERSION,
    api_versions: Sequence[str] = (),
) -> str:
    """What `helm template` prints.

    Raises:
        ChartRefused: the values are wrong.
    """
    flags = [f"--kube-version={kube_version}", *(f"--api-versions={each}" for each in api_versions)]
    return _helm(
        ("template", name, str(CHART), f"--namespace={namespace}", *flags, "--values=-"),
        json.dumps(values, sort_keys=True),
    )


def notes(values: Values, *, name: str = "deputize", namespace: str = "deputize") -> str:
    """What Helm tells who installs the chart.

    Raises:
        ChartRefused: the values are wrong.
    """
    command = ("install", name, str(CHART), f"--namespace={namespace}", "--dry-run=client")
    printed = _helm((*command, "--values=-"), json.dumps(values, sort_keys=True))
    return printed.partition("\nNOTES:\n")[2]


def lint(values: Values) -> str:
    """What `helm lint --strict` prints.

    Raises:
        ChartRefused: it found something.
    """
    command = ("lint", str(CHART), "--strict", f"--kube-version={KUBE_VERSION}", "--values=-")
    return _helm(command, json.dumps(values, sort_keys=True))


@cache
def _helm(arguments: tuple[str, ...], values: str) -> str:
    # No cluster, whatever the machine knows of one.
    environment = os.environ | {"KUBECONFIG": os.devnull}
    done = subprocess.run(  # noqa: S603 - Helm, on our own chart
        [tool("helm"), *arguments],
        input=values,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ChartRefused(done.stderr + done.stdout)
    return done.stdout
