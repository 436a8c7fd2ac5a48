from __future__ import annotations

from collections.abc import Iterator

import pytest

from deputize.config.issuer_schema import IssuerProfileFile
from deputize.config.model import Model, inner_model
from deputize.config.policy_schema import DelegationPolicy
from scripts.reference.crd_rules import ENTRIES, NAMED_ENTRIES, ONE_OF, RULES, WATCHER_ONLY
from scripts.reference.crds import object_schema
from scripts.reference.json_types import Schema


def models_in(model: type[Model]) -> Iterator[type[Model]]:
    """The model and all those inside it."""
    yield model
    for field in model.model_fields.values():
        inner = inner_model(field.annotation)
        if inner is not None and issubclass(inner, Model):
            yield from models_in(inner)


MODELS = {model for root in (DelegationPolicy, IssuerProfileFile) for model in models_in(root)}
OWNERS = {owner for model in MODELS for owner in model.__mro__ if issubclass(owner, Model)} - {
    Model
}


def validators(owner: type[Model]) -> set[str]:
    return {name for name in owner.__pydantic_decorators__.model_validators if name in vars(owner)}


def test_every_validator_has_a_rule_or_a_reason_why_not() -> None:
    said = {(owner, name) for owner, rules in RULES.items() for name in rules if name}
    assert {(owner, name) for owner in OWNERS for name in validators(owner)} == said
    assert set(WATCHER_ONLY) <= said, "of these only a part cannot be checked"


def test_every_table_is_about_models_that_are_there() -> None:
    assert set(RULES) | set(ONE_OF) <= OWNERS
    for owner, name in (*ENTRIES, *NAMED_ENTRIES):
        assert owner in OWNERS
        assert name in owner.model_fields


def nodes(schema: Schema) -> Iterator[Schema]:
    yield schema
    inner = [*schema.get("properties", {}).values()]
    inner += [schema[key] for key in ("items", "additionalProperties") if key in schema]
    for each in inner:
        yield from nodes(each)


@pytest.mark.parametrize("model", [DelegationPolicy, IssuerProfileFile])
def test_nothing_in_a_spec_can_be_dropped(model: type[Model]) -> None:
    spec = object_schema(model)["properties"]["spec"]
    for node in nodes(spec):
        required = node.get("required", ())
        for name, inner in node.get("properties", {}).items():
            assert inner.get("nullable", False) == (name not in required), name
            assert inner["description"]
        if "properties" in node:
            assert node["x-kubernetes-preserve-unknown-fields"] is True
        assert "default" not in node
