"""The parts of the chart's values schema that are the service's own models.

`charts/deputize/values.schema.json` is written by hand, but for `config` and the definitions that
begin with a capital letter. So Helm refuses a wrong policy before the service would.
"""

from __future__ import annotations

import json
from pathlib import Path

from deputize.config.policy_schema import DelegationPolicy
from deputize.config.schema import ServiceConfig
from scripts.reference.json_types import Schema
from scripts.reference.schemas import model_schema

FILE = Path("charts/deputize/values.schema.json")
_CHARTS_OWN = {
    "ServiceSpec": ("policies", "kubernetes"),
    "Server": ("http",),
    "Grpc": ("listen", "tls"),
    "Replay": ("store", "urlFile"),
    "Audit": ("sink", "file"),
}
"""Keys that only the chart can know. Audit events go to standard output: a pod has no disk."""
_UNUSED = ("GrpcTls", "Http")


def generate(root: Path) -> dict[Path, bytes]:
    """The schema, with the models as they are now."""
    schema: Schema = json.loads((root / FILE).read_text(encoding="utf-8"))
    written = {name: each for name, each in schema["$defs"].items() if name[0].islower()}
    models = _models()
    schema["$defs"] = {**written, "config": models.pop("ServiceSpec"), **models}
    return {FILE: (json.dumps(schema, indent=2, ensure_ascii=False) + "\n").encode()}


def _models() -> dict[str, Schema]:
    policy = model_schema(DelegationPolicy)
    models: dict[str, Schema] = {
        **model_schema(ServiceConfig)["$defs"],
        **policy.pop("$defs"),
        "DelegationPolicy": policy,
    }
    for name, keys in _CHARTS_OWN.items():
        models[name] = _without(models[name], keys)
    # The rest may be in a ConfigMap of the operator; the chart itself says what is missing.
    for name in ("ServiceSpec", "Server", "Grpc"):
        models[name].pop("required", None)
    return {name: model for name, model in sorted(models.items()) if name not in _UNUSED}


def _without(model: Schema, keys: tuple[str, ...]) -> Schema:
    properties = {key: each for key, each in model["properties"].items() if key not in keys}
    return {**model, "properties": properties}
