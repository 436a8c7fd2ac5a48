"""What the chart makes, by kind and name, and the parts that tests look at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from tests.harness.helm import Values, render
from tests.harness.pod_files import WORKLOADS

Thing = dict[str, Any]


def objects(values: Values, kind: str, /, **release: Any) -> list[Thing]:  # noqa: ANN401
    """All objects of a kind."""
    return [each for each in render(values, **release) if each["kind"] == kind]


def only(values: Values, kind: str, called: str = "deputize", /, **release: Any) -> Thing:  # noqa: ANN401
    """The one object of this kind and name.

    Raises:
        ValueError: there is none, or there are more.
    """
    named = [
        each for each in objects(values, kind, **release) if each["metadata"]["name"] == called
    ]
    (found,) = named
    return found


def pod_spec(values: Values) -> Thing:
    """The pod of the workload."""
    (workload,) = (each for each in render(values) if each["kind"] in WORKLOADS)
    spec: Thing = workload["spec"]["template"]["spec"]
    return spec


def container(values: Values) -> Thing:
    """Our container in it."""
    (found,) = pod_spec(values)["containers"]
    assert isinstance(found, dict)
    return found


def sidecar_patch(values: Values) -> Thing:
    """The patch for pods of others."""
    patch: Thing = yaml.safe_load(
        only(values, "ConfigMap", "deputize-sidecar")["data"]["patch.yaml"]
    )
    return patch


def service_config(values: Values) -> Thing:
    """`spec` of the ServiceConfig."""
    text = only(values, "ConfigMap", "deputize-config")["data"]["config.yaml"]
    spec: Thing = yaml.safe_load(text)["spec"]
    return spec


def ports_from(policy: Thing, peer: Mapping[str, Any]) -> set[int]:
    """The ports on which a network policy lets this very peer in."""
    return {
        port["port"]
        for rule in policy["spec"]["ingress"]
        if peer in rule["from"]
        for port in rule["ports"]
    }


def ports_to(policy: Thing, peer: Mapping[str, Any]) -> set[int]:
    """The ports on which a network policy lets pods reach this very peer."""
    return {
        port["port"]
        for rule in policy["spec"]["egress"]
        if peer in rule["to"]
        for port in rule["ports"]
    }
