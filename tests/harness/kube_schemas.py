"""Kubernetes objects checked as strictly as an API server does, without one.

The schemas are the published ones: Kubernetes' own OpenAPI description, and the custom resource
definitions of other projects and ours. Keys that no schema knows are refused everywhere, as
`kubectl --validate=strict` does. Rules in CEL are for the API server itself (`tests/cluster`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import jsonschema

from tests.harness.published_crds import definitions
from tests.tools.install import module_folder

_MAX_COMPLAINTS = 20
_OPEN = ("preserve-unknown-fields", "embedded-resource")
_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"


def complaints(thing: Mapping[str, Any]) -> list[str]:
    """What is wrong with the object, each with its place; empty when an API server takes it."""
    group, _, version = str(thing.get("apiVersion")).rpartition("/")
    kind = str(thing.get("kind"))
    validator = _validator(group, version, kind)
    if validator is None:
        return [f"no schema for {thing.get('apiVersion')} {kind}"]
    found = sorted(validator.iter_errors(thing), key=lambda error: list(map(str, error.path)))
    name = thing.get("metadata", {}).get("name")
    return [
        f"{kind} {name}: {'.'.join(map(str, error.path))}: {error.message}"
        for error in found[:_MAX_COMPLAINTS]
    ]


@cache
def _validator(group: str, version: str, kind: str) -> jsonschema.Draft202012Validator | None:
    definition = definitions().get((group, kind))
    if definition is None:
        return _built_in(group, version, kind)
    for entry in definition.parse()["spec"]["versions"]:
        if entry["name"] == version and entry["served"]:
            schema = _strict(entry["schema"]["openAPIV3Schema"])
            # Every object has these; not every definition says so.
            schema["properties"] |= {
                "apiVersion": {"const": f"{group}/{version}"},
                "kind": {"const": kind},
                "metadata": {"$ref": f"#/components/schemas/{_META}"},
            }
            schema["components"] = _described("", "v1")["components"]
            return jsonschema.Draft202012Validator(schema)
    return None


@cache
def _built_in(group: str, version: str, kind: str) -> jsonschema.Draft202012Validator | None:
    described = _described(group, version)
    for name, schema in described.get("components", {}).get("schemas", {}).items():
        names = schema.get("x-kubernetes-group-version-kind", [])
        if {"group": group, "version": version, "kind": kind} in names:
            whole = {"$ref": f"#/components/schemas/{name}", "components": described["components"]}
            return jsonschema.Draft202012Validator(whole)
    return None


@cache
def _described(group: str, version: str) -> dict[str, Any]:
    name = f"apis__{group}__{version}_openapi.json" if group else f"api__{version}_openapi.json"
    file = module_folder("k8s.io/kubernetes") / "api/openapi-spec/v3" / name
    if not file.is_file():
        return {}
    described: dict[str, Any] = json.loads(file.read_text())
    schemas = described["components"]["schemas"]
    described["components"]["schemas"] = {key: _strict(each) for key, each in schemas.items()}
    return described


def _strict(schema: dict[str, Any]) -> dict[str, Any]:
    """The same schema as JSON Schema, closed where an API server would drop what it knows not."""
    changed = dict(schema)
    if "properties" in changed:
        changed["properties"] = {name: _strict(each) for name, each in schema["properties"].items()}
    for inside in ("items", "additionalProperties"):
        if isinstance(changed.get(inside), dict):
            changed[inside] = _strict(changed[inside])
    if changed.get("x-kubernetes-int-or-string"):
        changed.pop("type", None)
    is_open = any(changed.get(f"x-kubernetes-{mark}") for mark in _OPEN)
    if changed.get("properties") and not is_open:
        changed.setdefault("additionalProperties", False)
    if changed.pop("nullable", False) and "type" in changed:
        changed["type"] = [changed["type"], "null"]
    return changed
