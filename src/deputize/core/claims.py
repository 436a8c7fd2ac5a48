"""Reading claims by path: where an issuer writes something, and in which form.

Rules of this file:
- A path names members from the top: `act.sub`. It is read exactly so; nothing is searched for.
- A value of another type than expected is an error, never read as if it were absent; only null
  is. Where null would let more in (`act`, `cnf`, `status`, `nbf`) the reader asks for the name.
- What RFC 7519 or RFC 8693 fix (times, audience) is read here in the one way they allow.

Sources: RFC 7519 sections 2, 4.1.2 to 4.1.7; RFC 8693 sections 4.2 and 4.3; RFC 6749 section 3.3.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from deputize.core.model import Json, Scope

MAX_NUMERIC_DATE = 2**53
"""Above this a JSON number is no longer exact everywhere."""
MAX_CLAIM_TEXT = 1024

ClaimPath = tuple[str, ...]
"""Member names from the top of the claims inwards."""

_SCOPE = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+")
_PART = re.compile(r"(?:[^.\\]|\\[.\\])+")
_PATH = re.compile(rf"{_PART.pattern}(?:\.{_PART.pattern})*")
_ESCAPED = re.compile(r"\\(.)")
_MAX_PATH_PARTS = 4


class ClaimError(ValueError):
    """A claim does not have the shape it must have; the message names it, never its value."""


class ScopeClaim(NamedTuple):
    """Where scopes stand: texts with spaces between, or with `is_list` a list of texts too."""

    path: ClaimPath
    is_list: bool


def parse_claim_path(text: str) -> ClaimPath:
    r"""Reads `act.sub`; a dot that belongs to a name is written `\.`, a backslash twice.

    Raises:
        ValueError: an empty name, a backslash before anything else, or more than 4 names.
    """
    if not _PATH.fullmatch(text):
        raise ValueError(r"a claim is like `act.sub`; a dot inside a name is written `\.`")
    parts = [_ESCAPED.sub(r"\1", part) for part in _PART.findall(text)]
    if len(parts) > _MAX_PATH_PARTS:
        raise ValueError(f"a claim lies at most {_MAX_PATH_PARTS} names deep")
    return tuple(parts)


def parse_scope_claim(text: str) -> ScopeClaim:
    """Reads `scope`, or `scp[]` where the scopes may also be a list.

    Raises:
        ValueError: as of `parse_claim_path`.
    """
    return ScopeClaim(parse_claim_path(text.removesuffix("[]")), text.endswith("[]"))


def format_claim_path(path: ClaimPath) -> str:
    """The text `parse_claim_path` reads."""
    return ".".join(part.replace("\\", "\\\\").replace(".", "\\.") for part in path)


def find_claim(claims: Mapping[str, Json], path: ClaimPath) -> Json:
    """The value at the path; None where it is absent or null."""
    value = claims.get(path[0])
    for name in path[1:]:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def read_text(claims: Mapping[str, Json], path: ClaimPath) -> str:
    """A text that is not empty, printable, at most 1024 characters.

    Raises:
        ClaimError: anything else, or nothing.
    """
    value = find_claim(claims, path)
    if not isinstance(value, str) or not value:
        raise ClaimError(f"claim {format_claim_path(path)} is not a text")
    if len(value) > MAX_CLAIM_TEXT or not value.isprintable():
        raise ClaimError(f"claim {format_claim_path(path)} is too long or not printable")
    return value


def read_first_text(claims: Mapping[str, Json], paths: Iterable[ClaimPath]) -> str:
    """The text at the first path that is there; empty where none is.

    Raises:
        ClaimError: the first one there is not a text.
    """
    for path in paths:
        if find_claim(claims, path) is not None:
            return read_text(claims, path)
    return ""


def read_joined(claims: Mapping[str, Json], paths: tuple[ClaimPath, ...]) -> str:
    """The texts at all the paths, with `#` between.

    Raises:
        ClaimError: one is not a text, or one but the last holds a `#`: two readings.
    """
    texts = [read_text(claims, path) for path in paths]
    if any("#" in text for text in texts[:-1]):
        raise ClaimError("a claim that is joined with another has a `#`")
    return "#".join(texts)


def read_time(claims: Mapping[str, Json], name: str) -> float:
    """A NumericDate (RFC 7519 section 2): a JSON number, never a text; bool is no number.

    Raises:
        ClaimError: anything else.
    """
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ClaimError(f"claim {name} is not a number")
    if not 0 <= value <= MAX_NUMERIC_DATE:
        raise ClaimError(f"claim {name} is out of range")
    return float(value)


def is_within_times(claims: Mapping[str, Json], now: float, clock_skew: float) -> bool:
    """Whether `exp` and `nbf` hold, where they are there: a rule for every JWT (RFC 7519).

    `now` is in seconds since the epoch, `clock_skew` in seconds.

    Raises:
        ClaimError: one of them is no time.
    """
    if "exp" in claims and not now < read_time(claims, "exp") + clock_skew:
        return False
    return "nbf" not in claims or read_time(claims, "nbf") <= now + clock_skew


def read_audience(claims: Mapping[str, Json]) -> tuple[str, ...]:
    """`aud`: one text or a list of texts.

    Raises:
        ClaimError: anything else, or an empty list.
    """
    value = claims["aud"]
    entries = value if isinstance(value, list) else [value]
    audience = tuple(entry for entry in entries if isinstance(entry, str) and entry)
    if len(audience) != len(entries) or not audience:
        raise ClaimError("claim aud is not a text or a list of texts")
    return audience


def read_scopes(claims: Mapping[str, Json], places: Iterable[ScopeClaim]) -> frozenset[Scope]:
    """The scopes at the first place that is there; none where none is.

    Raises:
        ClaimError: the first one there has another form, or characters RFC 6749 forbids.
    """
    for place in places:
        value = find_claim(claims, place.path)
        if value is not None:
            return _scopes(value, place)
    return frozenset()


def _scopes(value: Json, place: ScopeClaim) -> frozenset[Scope]:
    if isinstance(value, str):
        words: list[Json] = list(value.split(" ")) if value else []
    elif isinstance(value, list) and place.is_list:
        words = value
    else:
        raise ClaimError(f"claim {format_claim_path(place.path)} is not of its form")
    scopes = [word for word in words if isinstance(word, str) and _SCOPE.fullmatch(word)]
    if len(scopes) != len(words):
        raise ClaimError("a scope has characters RFC 6749 section 3.3 forbids")
    return frozenset(Scope(scope) for scope in scopes)
