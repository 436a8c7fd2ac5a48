"""The JSON Schemas that are shipped with the package (draft 2020-12)."""

from __future__ import annotations

import json
from pathlib import Path

from deputize.config.deny_list import DenyList
from deputize.config.model import Model
from deputize.config.policy_schema import DelegationPolicy
from deputize.config.policy_test_schema import PolicyTest
from deputize.config.schema import ServiceConfig
from scripts.reference.audit_schema import audit_schema
from scripts.reference.json_types import Schema

FOLDER = Path("src/deputize/schemas")
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def generate(_root: Path) -> dict[Path, bytes]:
    """One file per document that people or programs write or read."""
    documents = {
        "service-config": model_schema(ServiceConfig),
        "delegation-policy": model_schema(DelegationPolicy),
        "policy-test": model_schema(PolicyTest),
        "deny-list": model_schema(DenyList),
        "audit-event": audit_schema(),
    }
    return {
        FOLDER / f"{name}.schema.json": _render(name, schema) for name, schema in documents.items()
    }


def model_schema(model: type[Model]) -> Schema:
    """The schema of a model as one writes it in YAML."""
    schema = _tidy(model.model_json_schema(by_alias=True))
    assert isinstance(schema, dict)  # noqa: S101 - _tidy keeps the kind of what it is given
    return schema


def _tidy(node: object, *, names: bool = False) -> object:
    """Without titles that only repeat the key; `names` are keys of a document, not of a schema."""
    if isinstance(node, list):
        return [_tidy(entry) for entry in node]
    if not isinstance(node, dict):
        return node
    tidy: dict[str, object] = {}
    for key, value in node.items():
        if key == "title" and not names:
            continue
        if key == "description" and isinstance(value, str):
            tidy[key] = " ".join(value.split())
        else:
            tidy[key] = _tidy(value, names=not names and key in {"properties", "$defs"})
    return tidy


def _render(name: str, schema: Schema) -> bytes:
    head: Schema = {"$schema": _DIALECT, "$id": f"urn:deputize:schema:{name}"}
    return (json.dumps({**head, **schema}, indent=2, ensure_ascii=False) + "\n").encode()
