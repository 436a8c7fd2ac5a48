"""A YAML document checked against a model, with problems a person can act on."""

from __future__ import annotations

import re
from typing import TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from deputize.config.model import Model, inner_model
from deputize.config.problems import MAX_PROBLEMS, ConfigError, Problem, nearest, show_found
from deputize.config.strict_yaml import Document

ModelT = TypeVar("ModelT", bound=Model)

_PLAIN = re.compile(r"[A-Za-z0-9/][A-Za-z0-9_./:-]*")
_KINDS = ("DelegationPolicy", "DenyList", "IssuerProfile", "PolicyTest", "ServiceConfig")
_QUOTED = '["{}"]'
_BRACES = '"{{{}}}"'


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
        found = [each for each in found if _is_other_kind(each)] or found
        raise ConfigError([_describe(model, document, details) for details in found]) from None


def _describe(model: type[BaseModel], document: Document, details: ErrorDetails) -> Problem:
    location = tuple(details["loc"])
    match details["type"]:
        case "extra_forbidden":
            message = (
                f"unknown key{_right_place(_model_at(model, location[:-1]), str(location[-1]))}"
            )
        case "missing":
            message = "required, but absent"
        case "value_error":
            found = details["input"]
            text = "" if isinstance(found, dict) else f", found {show_found(found)}"
            message = f"{details['msg'].removeprefix('Value error, ')}{text}"
        case "model_type" | "dict_type":
            message = f"must be a mapping of keys, found {show_found(details['input'])}"
        case "literal_error" if (location, details["input"]) == (("kind",), "PolicyTest"):
            message = "cases stand in a file of their own: name it `*.test.yaml`"
        case "too_short":
            message = "must not be empty"
        case _:
            message = _of_type(details)
    return document.problem(location, message)


def _of_type(details: ErrorDetails) -> str:
    """A value of another type, or none of those that are allowed."""
    found, shown = details["input"], show_found(details["input"])
    match details["type"]:
        case "list_type":
            return f"a list is wanted{_as_list(found)}"
        case "string_type":
            return f"a text is wanted{_as_text(found)}"
        case "literal_error":
            wanted = details["ctx"]["expected"].replace("True", "'true'").replace("'", "`")
            is_deny = (details["loc"][-1:], found) == (("effect",), "deny")
            hint = "; did you mean `forbid`?" if is_deny else ""
            return f"must be {wanted}, found {shown}{hint}"
    return f"{_lower_first(details['msg'])}, found {shown}"


def _is_other_kind(details: ErrorDetails) -> bool:
    """Whether this is about a file of ours that is read as something else."""
    return details["loc"] == ("kind",) and details["input"] in _KINDS


def _right_place(model: type[BaseModel], key: str) -> str:
    """Where an unknown key belongs, one level down; else what is known here."""
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    below = [
        name
        for name, field in fields.items()
        if (inner := inner_model(field.annotation)) is not None
        and not _has_list(field.annotation)
        and key in _keys_of(inner)
    ]
    return f"; it belongs under `{below[0]}`" if len(below) == 1 else nearest(key, fields)


def _as_list(found: object) -> str:
    """What was found, as the list it may be meant as."""
    if not isinstance(found, str | int | float | bool):
        return f", found {show_found(found)}"
    text = str(found).lower() if isinstance(found, bool) else str(found)
    is_plain = not isinstance(found, str) or _PLAIN.fullmatch(text)
    return f": {show_found(f'[{text}]' if is_plain else _QUOTED.format(text))}"


def _as_text(found: object) -> str:
    """What was found; of what looks like a text the same in quotes."""
    if isinstance(found, dict) and len(found) == 1 and None in found.values():
        (name,) = found
        return f": {show_found(_BRACES.format(name))}, for braces mean a mapping"
    if isinstance(found, bool | int | float):
        text = str(found).lower() if isinstance(found, bool) else str(found)
        return f', found {show_found(found)}; in quotes it is one: `"{text}"`'
    return f", found {show_found(found)}"


def _model_at(model: type[BaseModel], location: tuple[int | str, ...]) -> type[BaseModel]:
    current: type[BaseModel] = model
    for step in location:
        for field in current.model_fields.values():
            if field.alias == step:
                current = inner_model(field.annotation) or current
    return current


def _keys_of(model: type[BaseModel]) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()}


def _has_list(annotation: object) -> bool:
    return get_origin(annotation) in (list, dict) or any(map(_has_list, get_args(annotation)))


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]
