"""Every Kubernetes object in the examples, put before a real API server.

It knows more than schemas say: rules in CEL, defaults, what may stand together.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.harness.api_server import ApiServer
from tests.harness.kube_schemas import complaints
from tests.harness.published_crds import ROOT, definitions_of

FOLDERS = ("istio", "docs/examples/gateways")


def _examples() -> Iterator[Any]:
    for folder in FOLDERS:
        for file in sorted((ROOT / folder).rglob("*.yaml")):
            for position, thing in enumerate(yaml.safe_load_all(file.read_text())):
                if _is_kubernetes(thing):
                    name = f"{file.relative_to(ROOT)}:{position}"
                    yield pytest.param(thing, id=name)


def _is_kubernetes(thing: object) -> bool:
    """Files of Helm values, of proxies and of ours are none; nor are Istio's install files."""
    return (
        isinstance(thing, dict)
        and {"apiVersion", "kind", "metadata"} <= thing.keys()
        and thing["kind"] != "IstioOperator"
    )


EXAMPLES = list(_examples())


@pytest.fixture(scope="module")
def server(api_server: ApiServer) -> ApiServer:
    """With the definitions of every project whose objects the examples have."""
    api_server.install_definitions(definitions_of(example.values[0] for example in EXAMPLES))
    return api_server


@pytest.mark.parametrize("thing", EXAMPLES)
def test_example_is_accepted(server: ApiServer, thing: dict[str, Any]) -> None:
    assert complaints(thing) == []
    assert server.would_refuse(thing) == ""


def test_each_folder_has_examples() -> None:
    files = [str(example.id) for example in EXAMPLES]
    assert [
        folder for folder in FOLDERS if not any(name.startswith(folder) for name in files)
    ] == []


def test_server_refuses_what_it_should(server: ApiServer) -> None:
    thing = {
        "apiVersion": "security.istio.io/v1",
        "kind": "AuthorizationPolicy",
        "metadata": {"name": "misspelt", "namespace": "default"},
        "spec": {"action": "CUSTOM", "providers": {"name": "deputize"}},
    }
    assert complaints(thing)
    assert server.would_refuse(thing)
