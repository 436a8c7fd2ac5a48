"""The reference page of the chart's values: what the schema says of each, with its default."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import yaml

from scripts.reference import chart_schema
from scripts.reference.json_types import Schema
from scripts.reference.markdown import code, page, table

_CHART = Path("charts/deputize")
_INTRODUCTION = """\
Helm refuses values that are not listed, are of another type, or do not go together; it says all
at once what is wrong. Needed are a policy, and in `config` `peer.trustDomains` and `issuers`. The
shortest useful values:"""
SHORTEST = """\
proxies: # nobody else may ask
  - namespace: istio-ingress
    podLabels: {istio: ingressgateway}
    serviceAccount: istio-ingress
config:
  peer:
    trustDomains: [cluster.local]
  issuers:
    - issuer: https://idp.example.org
      audiences: [orders]
      keys: {discovery: true}
policyConfigMaps: [policies]
istio:
  enabled: true"""
_PAGES = {
    "config": "[service configuration](service-config.md)",
    "DelegationPolicy": "[delegation policy](delegation-policy.md)",
}
"""What has a page of its own."""
_HEADER = ("Key", "Type", "Default", "Meaning")


def generate(root: Path) -> dict[Path, bytes]:
    """The page."""
    schema: Schema = json.loads(chart_schema.generate(root)[chart_schema.FILE])
    values = yaml.safe_load((root / _CHART / "values.yaml").read_text(encoding="utf-8"))
    rows = [
        (f"`{name}`", _kind(node, schema), _default(values, name), str(node["description"]))
        for name, node in _leaves(schema, schema)
    ]
    parts = [_INTRODUCTION, code("yaml", SHORTEST), "## Keys", table(_HEADER, rows)]
    for name, node in _leaves(schema, schema):
        entry = _entry(node, schema)
        if entry is not None:
            parts += [f"### Entries of `{name}`", _entry_table(entry, schema)]
    source = f"`{_CHART}/values.schema.json` and `values.yaml`"
    return page("chart-values.md", "Values of the Helm chart", source, parts)


def _entry_table(entry: Schema, root: Schema) -> str:
    required = set(entry.get("required", ()))
    return table(
        ("Key", "Type", "Meaning"),
        [
            (
                f"`{name}`" + (" (required)" if name in required else ""),
                _kind(node, root),
                str(node["description"]),
            )
            for name, node in _leaves(entry, root)
        ],
    )


def _leaves(node: Schema, root: Schema, before: str = "") -> Iterator[tuple[str, Schema]]:
    """Every key that is no map of known keys, by its path."""
    for name, inner in node["properties"].items():
        path = before + name
        known = _resolved(inner, root)
        if _page_of(inner) is None and "properties" in known:
            yield from _leaves(known, root, f"{path}.")
        else:
            yield path, inner


def _entry(node: Schema, root: Schema) -> Schema | None:
    """What a list consists of, where that has keys."""
    if node.get("type") != "array":
        return None
    items = _resolved(node["items"], root)
    return items if "properties" in items else None


def _kind(node: Schema, root: Schema) -> str:
    known = _resolved(node, root)
    linked = _page_of(node) or _page_of(
        next(iter(known.get("patternProperties", {}).values()), None)
    )
    if linked is not None:
        return linked
    if "enum" in known:
        return " or ".join(f"`{choice}`" for choice in known["enum"])
    if known["type"] == "array":
        return f"list of {_kind(known['items'], root)}"
    if known["type"] == "object":
        return "object" if "properties" in known else "map"
    kinds: list[str] = known["type"] if isinstance(known["type"], list) else [known["type"]]
    text = " or ".join({"string": "text", "null": "`null`"}.get(kind, kind) for kind in kinds)
    if "maximum" in known:
        text += f", {known['minimum']} to {known['maximum']}"
    return text


def _page_of(node: object) -> str | None:
    reference = node.get("$ref", "") if isinstance(node, dict) else ""
    return _PAGES.get(str(reference).rpartition("/")[2])


def _resolved(node: Schema, root: Schema) -> Schema:
    if "$ref" not in node:
        return node
    found: Schema = root["$defs"][node["$ref"].rpartition("/")[2]]
    return found


def _default(values: Schema, name: str) -> str:
    value: object = values
    for key in name.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    if value is None or value in ("", [], {}):
        return ""
    return f"`{json.dumps(value) if not isinstance(value, str) else value}`"
