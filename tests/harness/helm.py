"""The chart, rendered by the real Helm.

Tests give the values they are about; the few that every installation needs are added (`NEEDED`).
Equal values are rendered once in a run of the tests.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.tools.install import tool

CHART = Path(__file__).resolve().parents[2] / "charts/deputize"
KUBE_VERSION = "1.33"
Values = Mapping[str, Any]

POLICY: Values = {
    "apiVersion": "deputize.dev/v1alpha1",
    "kind": "DelegationPolicy",
    "metadata": {"name": "orders"},
    "spec": {
        "rules": [
            {
                "name": "read-orders",
                "effect": "allow",
                "agents": ["spiffe://cluster.local/ns/agents/sa/research"],
                "onBehalfOf": [{"issuer": "https://idp.example.org", "anyone": True}],
                "hosts": ["orders.example"],
                "methods": ["GET"],
                "paths": ["/v1/orders"],
                "scopes": ["orders:read"],
            }
        ]
    },
}
NEEDED: Values = {
    "config": {
        "peer": {"trustDomains": ["cluster.local"]},
        "issuers": [
            {
                "issuer": "https://idp.example.org",
                "audiences": ["orders"],
                "keys": {"discovery": True},
            }
        ],
    },
    "policies": {"orders": POLICY},
}
"""Without these there is nothing to decide by, and the chart says so."""


class ChartRefused(Exception):  # noqa: N818 - what Helm does, not a fault of ours
    """Helm made nothing of these values; the message is what it said."""


def render(
    values: Values,
    *,
    name: str = "deputize",
    namespace: str = "deputize",
    kube_version: str = KUBE_VERSION,
    needed: Values = NEEDED,
) -> list[dict[str, Any]]:
    """Every object of the chart, in Helm's order.

    Raises:
        ChartRefused: the values are wrong.
    """
    flags = (f"--namespace={namespace}", f"--kube-version={kube_version}")
    text = _helm(
        ("template", name, str(CHART), *flags, "--values=-"),
        _text(values, needed),
    )
    # The parser in C: tests ask for the same objects again and again, and may change what they get.
    things = yaml.load_all(text, Loader=yaml.CSafeLoader)
    return [each for each in things if each is not None]


def notes(
    values: Values,
    *,
    name: str = "deputize",
    namespace: str = "deputize",
    needed: Values = NEEDED,
) -> str:
    """What Helm tells who installs the chart.

    Raises:
        ChartRefused: the values are wrong.
    """
    command = ("install", name, str(CHART), f"--namespace={namespace}", "--dry-run=client")
    printed = _helm((*command, "--values=-"), _text(values, needed))
    return printed.partition("\nNOTES:\n")[2]


def lint(values: Values, *, needed: Values = NEEDED) -> str:
    """What `helm lint --strict` prints. It checks each value, but not whether they go together.

    Raises:
        ChartRefused: it found something.
    """
    command = ("lint", str(CHART), "--strict", f"--kube-version={KUBE_VERSION}", "--values=-")
    return _helm(command, _text(values, needed))


def overlay(below: Values, above: Values) -> dict[str, Any]:
    """Both, as Helm merges values: `above` wins, maps are merged, lists replaced; None removes."""
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        if isinstance(value, Mapping) and isinstance(under, Mapping):
            merged[key] = overlay(under, value)
        elif value is None and key in merged:
            del merged[key]
        else:
            merged[key] = value
    return merged


def run_helm(*arguments: str, values: str = "", folder: Path | None = None) -> str:
    """What Helm prints, in that folder; the values are its standard input.

    Raises:
        ChartRefused: it failed.
    """
    # No cluster, whatever the machine knows of one.
    environment = os.environ | {"KUBECONFIG": os.devnull}
    done = subprocess.run(  # noqa: S603 - Helm, on our own charts
        [tool("helm"), *arguments],
        input=values,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ChartRefused(done.stderr + done.stdout)
    return done.stdout


@cache
def _helm(arguments: tuple[str, ...], values: str) -> str:
    return run_helm(*arguments, values=values)


def _text(values: Values, needed: Values) -> str:
    return json.dumps(overlay(needed, values))
