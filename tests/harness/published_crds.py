"""Custom resource definitions as the projects publish them, read from their pinned modules."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.tools.install import module_folder

ROOT = Path(__file__).resolve().parents[2]
OURS = ROOT / "charts/deputize/files/crds"

_PLACES = (
    ("istio.io/istio", "manifests/charts/base/files/crd-all.gen.yaml"),
    ("sigs.k8s.io/gateway-api", "config/crd/experimental/gateway.networking.*.yaml"),
    ("github.com/cert-manager/cert-manager", "deploy/crds/*.yaml"),
    (
        "github.com/prometheus-operator/prometheus-operator",
        "example/prometheus-operator-crd/*.yaml",
    ),
    (
        "github.com/agentgateway/agentgateway",
        "controller/install/helm/agentgateway-crds/templates/*.yaml",
    ),
    ("github.com/kgateway-dev/kgateway/v2", "install/helm/kgateway-crds/templates/*.yaml"),
    ("github.com/envoyproxy/gateway", "charts/gateway-helm/charts/crds/crds/generated/*.yaml"),
)
_HEAD = re.compile(
    r"^  group: (?P<group>\S+)$.*?^    kind: (?P<kind>\S+)$", re.MULTILINE | re.DOTALL
)


class _Loader(yaml.CSafeLoader):
    """Reads `=` as the text it is, not as YAML 1.1's default value."""


_Loader.add_constructor("tag:yaml.org,2002:value", lambda _loader, node: node.value)


@dataclass(frozen=True, slots=True)
class Definition:
    """A definition that was found, not parsed yet: most are large and few are needed."""

    group: str
    kind: str
    text: str

    def parse(self) -> dict[str, Any]:
        """The definition as an object."""
        found: dict[str, Any] = yaml.load(self.text, _Loader)  # noqa: S506 - a safe one
        return found


@cache
def definitions() -> Mapping[tuple[str, str], Definition]:
    """Every definition, ours too, by group and kind."""
    return {(found.group, found.kind): found for found in _find()}


def definitions_of(things: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """The definitions that an API server needs to take these objects."""
    wanted = {(each["apiVersion"].rpartition("/")[0], each["kind"]) for each in things}
    known = definitions()
    return (known[each].parse() for each in sorted(wanted & known.keys()))


def _find() -> Iterator[Definition]:
    files = [
        file for module, pattern in _PLACES for file in sorted(module_folder(module).glob(pattern))
    ]
    for file in [*files, *sorted(OURS.glob("*.yaml"))]:
        for text in re.split(r"^---.*$", file.read_text(), flags=re.MULTILINE):
            head = _HEAD.search(text)
            if head and "\nkind: CustomResourceDefinition" in f"\n{text}":
                yield Definition(head["group"], head["kind"], text)
