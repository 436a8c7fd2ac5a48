"""A YAML document checked against a model, with problems a person can act on."""

from __future__ import annotations

from typing import TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from deputize.config.model import Model
from deputize.config.problems import MAX_PROBLEMS, ConfigError, Problem, nearest, show_found
from deputize.config.strict_yaml import Document

ModelT = TypeVar("ModelT", bound=Model)


def validate(model: type[ModelT], document: Document) -> ModelT:
    """Builds the model.

    Raises:
        ConfigError: each problem with line, what was found and what is allowed.
    """
    try:
        return model.model_validate(document.value)
    except ValidationError as error:
        found = error.errors(include_url=False)[:MAX_PROBLEMS]
        # All else that is wrong with it follows from its being another kind of file.
        found = [each for each in found if _is_test_file_elsewhere(each)] or found
        raise ConfigError([_describe(model, document, details) for details in found]) from None


def _describe(model: type[BaseModel], document: Document, details: ErrorDetails) -> Problem:
    location = tuple(details["loc"])
    match details["type"]:
        case "extra_forbidden":
            known = _allowed_keys(model, location[:-1])
            message = f"unknown key{nearest(str(location[-1]), known)}"
        case "missing":
            message = "required, but absent"
        case "value_error":
            found = details["input"]
            text = "" if isinstance(found, dict) else f", found {show_found(found)}"
            message = f"{details['msg'].removeprefix('Value error, ')}{text}"
        case "model_type" | "dict_type":
            message = f"must be a mapping of keys, found {show_found(details['input'])}"
        case "literal_error" if _is_test_file_elsewhere(details):
            message = "cases stand in a file of their own: name it `*.test.yaml`"
        case "literal_error" if (location[-1:], details["input"]) == (("effect",), "deny"):
            message = f"{_lower_first(details['msg'])}, found `deny`; did you mean `forbid`?"
        case "too_short":
            message = "must not be empty"
        case _:
            message = f"{_lower_first(details['msg'])}, found {show_found(details['input'])}"
    return document.problem(location, message)


def _is_test_file_elsewhere(details: ErrorDetails) -> bool:
    """Whether this is about cases for policies in a file that is read as something else."""
    return (details["loc"], details["input"]) == (("kind",), "PolicyTest")


def _allowed_keys(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    current: type[BaseModel] = model
    for step in location:
        for field in current.model_fields.values():
            if field.alias == step:
                current = _inner_model(field.annotation) or current
    return [field.alias or name for name, field in current.model_fields.items()]


def _inner_model(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in get_args(annotation):
        found = _inner_model(argument)
        if found is not None:
            return found
    return None


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]
