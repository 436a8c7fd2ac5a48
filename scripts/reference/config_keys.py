"""The reference pages of the four YAML files: every key, object by object.

The tables come from the JSON Schemas. Rules that span keys come from the text of the validators
of the models, so that nothing is written twice.
"""

from __future__ import annotations

import ast
import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from deputize.config import deny_list, issuer_schema, policy_schema, policy_test_schema
from deputize.config import schema as service_schema
from deputize.config.deny_list import DenyList
from deputize.config.model import Model
from deputize.config.policy_schema import DelegationPolicy
from deputize.config.policy_test_schema import PolicyTest
from deputize.config.schema import ServiceConfig
from scripts.reference.json_types import Schema
from scripts.reference.markdown import code, page, table
from scripts.reference.schemas import model_schema

_MODULES = (service_schema, policy_schema, issuer_schema, policy_test_schema, deny_list)
"""Where models stand; none of their names stands in two of them."""
_NAMES_OF_TYPES = {
    "string": "text",
    "integer": "integer",
    "number": "number",
    "boolean": "boolean",
}
_ANY = "#/$defs/JsonValue"
_HEADER = ("Key", "Type", "Default", "Limits", "Meaning")
_INTRODUCTION = """\
One row per key. Keys that are not listed are refused, and so are values of another type: `"10"` is
not a number. The YAML itself must have one reading: no duplicate keys, no aliases, anchors or
tags.

The JSON Schema for editors is `src/deputize/schemas/{schema}`; put this line
first in a file and most editors check while you type (the path is relative to the file):"""


def generate(root: Path) -> dict[Path, bytes]:
    """The four pages."""
    service = _page(root, "service-config", "Service configuration", ServiceConfig, "config.yaml")
    policy = _page(
        root, "delegation-policy", "Delegation policy", DelegationPolicy, "policies/orders.yaml"
    )
    test = _page(root, "policy-test", "Policy tests", PolicyTest, "policies/orders.test.yaml")
    denied = _page(root, "deny-list", "Deny list", DenyList, "deny.yaml")
    return {**service, **policy, **test, **denied}


def _page(root: Path, name: str, title: str, model: type[Model], example: str) -> dict[Path, bytes]:
    schema = model_schema(model)
    text = (root / "docs/examples" / example).read_text(encoding="utf-8")
    parts = [
        _INTRODUCTION.format(schema=f"{name}.schema.json"),
        code("yaml", text.partition("\n")[0]),
        f"A complete example is [docs/examples/{example}](../examples/{example}):",
        code("yaml", text.partition("\n")[2].removeprefix("#\n")),
        "## Keys",
    ]
    parts += _sections(schema, schema, "")
    source = "`src/" + model.__module__.replace(".", "/") + ".py`"
    return page(f"{name}.md", title, source, parts)


def _sections(schema: Schema, root: Schema, pointer: str) -> Iterator[str]:
    """The table of an object, then those of the objects in it."""
    yield f"### `{pointer}`" if pointer else "### The file"
    yield str(schema["description"])
    required = set(schema.get("required", ()))
    properties: Schema = schema["properties"]
    yield table(
        _HEADER,
        [_row(name, node, root, required=name in required) for name, node in properties.items()],
    )
    name = _name_of(schema, root)
    rules = [rule for module in _MODULES for rule in _rules(module, name)]
    if rules:
        yield "Besides:"
        yield "\n".join(f"- {rule}" for rule in rules)
    for name, node in properties.items():
        inner, suffix = _inner_object(node, root)
        if inner is not None:
            yield from _sections(inner, root, f"{pointer}.{name}".removeprefix(".") + suffix)


def _row(name: str, node: Schema, root: Schema, *, required: bool) -> tuple[str, ...]:
    kind, inner = _without_null(node), _inner_object(node, root)[0] or {}
    if required:
        default = "required"
    elif node.get("default") is None:
        default = "none"
    elif inner and isinstance(node["default"], dict):
        default = "see below"
    else:
        default = f"`{json.dumps(node['default'])}`"
    # A key described in the very words of its object has no description of its own.
    meaning = node.get("description") or inner.get("description", "")
    return f"`{name}`", _type(kind, root), default, _limits(kind), str(meaning)


def _type(node: Schema, root: Schema) -> str:
    if "$ref" in node:
        return "any value" if node["$ref"] == _ANY else "object"
    if "anyOf" in node:
        return " or ".join(dict.fromkeys(_type(choice, root) for choice in node["anyOf"]))
    if "const" in node:
        return f"`{json.dumps(node['const']).strip(chr(34))}`"
    if "enum" in node:
        return " or ".join(f"`{value}`" for value in node["enum"])
    if node["type"] == "array":
        return f"list of {_type(node['items'], root)}"
    if node["type"] == "object":
        # Keys with a pattern make values stand behind it.
        values = node.get("additionalProperties") or next(iter(node["patternProperties"].values()))
        return f"map of text to {_type(values, root)}"
    return _NAMES_OF_TYPES[str(node["type"])]


def _limits(node: Schema) -> str:
    limits: list[str] = []
    if "minimum" in node:
        limits.append(f"{node['minimum']} to {node['maximum']}")
    if node.get("minItems") or node.get("minProperties"):
        limits.append("not empty")
    if "maxItems" in node:
        limits.append(f"at most {node['maxItems']} entries")
    if "maxLength" in node:
        limits.append(
            f"{node['minLength']} to {node['maxLength']} characters"
            if "minLength" in node
            else f"at most {node['maxLength']} characters"
        )
    if "pattern" in node:
        limits.append(f"`{node['pattern']}`")
    if isinstance(node.get("items"), dict):
        inner = _limits(node["items"])
        limits.append(f"each {inner}" if inner else "")
    return "; ".join(limit for limit in limits if limit)


def _without_null(node: Schema) -> Schema:
    """The schema of a value that is given, where the key may also be left out."""
    choices = [choice for choice in node.get("anyOf", ()) if choice.get("type") != "null"]
    if len(choices) > 1:
        return {"anyOf": choices}
    return dict(choices[0]) if choices else node


def _inner_object(node: Schema, root: Schema) -> tuple[Schema | None, str]:
    """The object a key leads to, and `[]` where it leads to a list of them."""
    kind, suffix = _without_null(node), ""
    if kind.get("type") == "array":
        kind, suffix = kind["items"], "[]"
    if "$ref" not in kind:
        return None, ""
    inner: Schema = root["$defs"][kind["$ref"].rpartition("/")[2]]
    return inner, suffix


def _name_of(schema: Schema, root: Schema) -> str:
    return next((name for name, inner in root["$defs"].items() if inner is schema), "")


def _rules(module: ModuleType, model: str) -> list[str]:
    """What the validators of a model refuse, in the words of their messages."""
    tree = ast.parse(inspect.getsource(module))
    owner = next((node for node in tree.body if getattr(node, "name", "") == model), None)
    raises = [node for node in ast.walk(owner) if isinstance(node, ast.Raise)] if owner else []
    return [text for node in raises if (text := _message(node))]


def _message(node: ast.Raise) -> str:
    """The message where it is one text; others name the key that was found."""
    call = node.exc
    argument = call.args[0] if isinstance(call, ast.Call) else None
    return str(argument.value) if isinstance(argument, ast.Constant) else ""
