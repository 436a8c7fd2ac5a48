"""What all configuration models have in common."""

from __future__ import annotations

from typing import get_args

from pydantic import BaseModel, ConfigDict, field_validator
from pydantic.alias_generators import to_camel


class Model(BaseModel):
    """Strict, immutable, camelCase.

    A key without a value is refused: under `when:` or `approval:` something was to stand, and what
    is left out asks for less.
    """

    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="forbid",
        frozen=True,
        strict=True,
        populate_by_name=False,
        use_attribute_docstrings=True,
    )

    @field_validator("*", mode="before")
    @classmethod
    def _has_a_value(cls, given: object) -> object:
        if given is None:
            raise ValueError("has no value; leave it out, or say what it is")
        return given


def inner_model(annotation: object) -> type[BaseModel] | None:
    """The model of a field, or of the entries of its list; None where it has none."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (inner_model(argument) for argument in get_args(annotation))
    return next((model for model in found if model is not None), None)
