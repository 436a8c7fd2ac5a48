"""The strict reading of a JSON text: octets to one value that every reader sees alike, or nothing.

A back end parses the same octets again with a parser we do not know. Where two parsers may see
two values, the policy would judge one of them and the back end act on the other.

Rules of this file:
- UTF-8 without BOM, the whole text, no lone surrogates, no NaN or Infinity, bounded depth and
  number of arrays and objects.
- No object has two members of one name, nor of names that differ only in case: Go's
  `encoding/json` takes `Method` for `method`, and U+017F for `s`.
- An integer beyond 64 bits becomes the nearest double, as most parsers read it; a number beyond
  doubles is refused. So no number costs more than its text.

How duplicates are found: the parser keeps the last of two members, so what it read is written
again, and compared. Each member has one colon outside of strings, and strings keep theirs; a
member that was dropped took colons with it. So no code of ours runs for each member.

Sources: RFC 8259 sections 4, 6, 8.1 and 9; RFC 7493 sections 2.1 to 2.3; Unicode `CaseFolding.txt`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import chain

import orjson

from deputize.core.model import Json

MAX_JSON_DEPTH = 64
MAX_JSON_CONTAINERS = 5_000
"""Arrays and objects cost most for each octet of the text."""

_FEW = 8
# The closing quote is optional so that an open string is passed over once, not once per quote.
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
# The parser takes 1024 levels, the writer 254 and not one more.
_WRAPPERS = 254 - MAX_JSON_DEPTH


class JsonBodyError(ValueError):
    """The text has no reading, or more than one; the message never quotes it."""


def read_json(octets: bytes) -> Json:
    """Reads one JSON text strictly.

    Raises:
        JsonBodyError: not UTF-8, a BOM, trailing text, a duplicate member (case folded), a number
            that is not finite, a lone surrogate, too deep, or too many arrays and objects.
    """
    objects = octets.count(b"{")
    containers = objects + octets.count(b"[")
    if containers > MAX_JSON_CONTAINERS:
        _check_number_of_containers(octets)
    value, written = _parse(octets, may_be_deep=containers > MAX_JSON_DEPTH)
    # What is written with spaces or escapes differs from what we write, and is counted.
    if written != octets and written.count(b":") != _colons(octets):
        raise JsonBodyError("a duplicate JSON member")
    # Names that are alike may stand in different objects; only then the text is parsed again.
    if _has_alike_names(value, objects) and _are_alike_in_one_object(written):
        raise JsonBodyError("two JSON members that differ only in case")
    return value


def has_other_case(names: Iterable[str], known: frozenset[str]) -> bool:
    """True where a name equals one of the lower-case `known` names only after case folding."""
    return any(name not in known and name.casefold() in known for name in names)


def _parse(octets: bytes, *, may_be_deep: bool) -> tuple[Json, bytes]:
    """The value, and how it is written without spaces, escapes and duplicates."""
    try:
        value: Json = orjson.loads(octets)
        wrapped: Json = value
        if not may_be_deep:
            return value, orjson.dumps(value)
        for _ in range(_WRAPPERS):
            wrapped = [wrapped]
        return value, orjson.dumps(wrapped)[_WRAPPERS:-_WRAPPERS]
    except orjson.JSONDecodeError:
        raise JsonBodyError("not JSON") from None
    except orjson.JSONEncodeError:
        raise JsonBodyError(f"JSON deeper than {MAX_JSON_DEPTH}") from None


def _has_alike_names(value: Json, objects: int) -> bool:
    # Level by level, so that no code of ours runs for each member. Nothing more is looked at once
    # all objects are found; a brace in a string only makes us look for longer.
    names: set[str] = set()
    level = [value]
    while level:
        found = [inner for inner in level if isinstance(inner, dict)]
        if len(found) > _FEW:
            names.update(*found)
        elif any(map(_may_be_alike, found)):
            return True
        objects -= len(found)
        if not objects:
            break
        inside = chain(
            chain.from_iterable(map(dict.values, found)),
            chain.from_iterable(inner for inner in level if isinstance(inner, list)),
        )
        level = [inner for inner in inside if type(inner) is dict or type(inner) is list]
    return _may_be_alike(names)


def _may_be_alike(names: Iterable[str]) -> bool:
    # A line end in a name makes two of it, which can only find too much.
    text = "\n".join(names)
    folded = text.casefold()
    return folded != text and len(set(parts := folded.split("\n"))) != len(parts)


def _are_alike_in_one_object(written: bytes) -> bool:
    # No character folds to one that JSON gives a meaning.
    folded = written.decode().casefold().encode()
    return _parse(folded, may_be_deep=False)[1].count(b":") != folded.count(b":")


def _colons(octets: bytes) -> int:
    """The number of colons in a text, those that are written as an escape as well."""
    colons = octets.count(b":")
    if b"\\" in octets and b"\\u003" in octets:
        escapes = octets.replace(b"\\\\", b"")
        colons += escapes.count(b"\\u003a") + escapes.count(b"\\u003A")
    return colons


def _check_number_of_containers(octets: bytes) -> None:
    # Those inside of strings are none.
    structure = _STRING.sub(b"", octets)
    if structure.count(b"[") + structure.count(b"{") > MAX_JSON_CONTAINERS:
        raise JsonBodyError(f"more than {MAX_JSON_CONTAINERS} arrays and objects in JSON")
