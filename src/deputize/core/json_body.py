"""The strict reading of a JSON text: octets to one value that every reader sees alike, or nothing.

A back end parses the same octets again with a parser we do not know. Where two parsers may see
two values, the policy would judge one of them and the back end act on the other.

Rules of this file:
- UTF-8 without BOM, the whole text, no lone surrogates, no NaN or Infinity, bounded depth and
  number of values.
- No object has two members of one name, nor of names that differ only in case: Go's
  `encoding/json` takes `Method` for `method`, and U+017F for `s`.
- An integer beyond 64 bits becomes the nearest double, as most parsers read it; a number beyond
  doubles is refused. So no number costs more than its text.

Sources: RFC 8259 sections 4, 6, 8.1 and 9; RFC 7493 sections 2.1 to 2.3; Unicode `CaseFolding.txt`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator

from deputize.core.model import Json

MAX_JSON_DEPTH = 64
MAX_JSON_VALUES = 10_000
"""Names of members are not counted; 64 kB of a vector of numbers have about 3,000."""

_MIN_INTEGER, _MAX_INTEGER = -(2**63), 2**64 - 1
_MAX_INTEGER_TEXT = 20
# The closing quote is optional so that an open string is passed over once, not once per quote.
_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
_SEPARATORS = (",", "[", "{")


class JsonBodyError(ValueError):
    """The text has no reading, or more than one; the message never quotes it."""


def read_json(octets: bytes) -> Json:
    """Reads one JSON text strictly.

    Raises:
        JsonBodyError: not UTF-8, a BOM, trailing text, a duplicate member (case folded), a number
            that is not finite, a lone surrogate, too deep, or too many values.
    """
    names: set[str] = set()

    def object_of(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
        members = unique_members(pairs)
        names.update(members)
        return members

    try:
        text = octets.decode("utf-8", "strict")
        _check_number_of_values(text)
        value: Json = strict_decoder(object_of).decode(text)
    except JsonBodyError:
        raise
    except (ValueError, RecursionError) as error:
        raise JsonBodyError(f"not JSON: {type(error).__name__}") from None
    if text.count("[") + text.count("{") > MAX_JSON_DEPTH:
        _check_depth(value)
    if "\\u" in text:
        check_surrogates(value)
    if _are_alike(names):
        _check_names(value)
    return value


def spelled_otherwise(names: Iterable[str], known: frozenset[str]) -> bool:
    """True where a name equals one of the lower-case `known` names only after case folding."""
    return any(name not in known and name.casefold() in known for name in names)


def unique_members(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    """Makes an object of its members.

    Raises:
        JsonBodyError: a name stands twice.
    """
    members = dict(pairs)
    if len(members) != len(pairs):
        raise JsonBodyError("a duplicate JSON member")
    return members


def strict_decoder(
    object_of: Callable[[list[tuple[str, Json]]], dict[str, Json]] = unique_members,
) -> json.JSONDecoder:
    """A decoder that makes objects with `object_of` and refuses numbers that are not finite."""
    return json.JSONDecoder(
        object_pairs_hook=object_of,
        parse_constant=_refuse_constant,
        parse_float=_finite_float,
        parse_int=_bounded_integer,
    )


def check_surrogates(value: Json) -> None:
    """Refuses an escaped lone surrogate: it has no UTF-8 form, so others may see another text.

    Raises:
        JsonBodyError: there is one.
    """
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8", "strict")
    except UnicodeEncodeError:
        raise JsonBodyError("a lone surrogate") from None


def _check_number_of_values(text: str) -> None:
    # Each value but the first of all follows a comma or an opening bracket. Only where that many
    # stand in the text are those inside of strings taken out of it.
    if _separators(text) >= MAX_JSON_VALUES and (
        _separators(_STRING.sub("", text)) >= MAX_JSON_VALUES
    ):
        raise JsonBodyError(f"more than {MAX_JSON_VALUES} JSON values")


def _separators(text: str) -> int:
    return sum(map(text.count, _SEPARATORS))


def _containers(values: Iterable[Json]) -> Iterator[list[Json] | dict[str, Json]]:
    for value in values:
        if isinstance(value, list | dict):
            yield value


def _inner(container: list[Json] | dict[str, Json]) -> Iterable[Json]:
    return container if isinstance(container, list) else container.values()


def _check_depth(value: Json) -> None:
    level = list(_containers([value]))
    depth = 0
    while level:
        depth += 1
        if depth > MAX_JSON_DEPTH:
            raise JsonBodyError(f"JSON deeper than {MAX_JSON_DEPTH}")
        level = [inner for container in level for inner in _containers(_inner(container))]


def _are_alike(names: Collection[str]) -> bool:
    return len({name.casefold() for name in names}) != len(names)


def _check_names(value: Json) -> None:
    # Two names of the text are alike; they may stand in different objects.
    rest = list(_containers([value]))
    while rest:
        container = rest.pop()
        if isinstance(container, dict) and _are_alike(container):
            raise JsonBodyError("two JSON members that differ only in case")
        rest.extend(_containers(_inner(container)))


def _refuse_constant(_name: str) -> Json:
    raise JsonBodyError("NaN or Infinity in JSON")


def _finite_float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise JsonBodyError("a JSON number out of range")
    return value


def _bounded_integer(text: str) -> float:
    if len(text) <= _MAX_INTEGER_TEXT:
        value = int(text)
        if _MIN_INTEGER <= value <= _MAX_INTEGER:
            return value
    return _finite_float(text)
