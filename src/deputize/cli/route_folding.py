"""Paths with what tells one thing from another folded into `{id}`: numbers, UUIDs, hashes.

Rules of this file:
- Folding is for telling and proposing only; no decision hangs on it.
- What cannot be written as a literal of a path template is folded too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from deputize.core.matching import PatternError, parse_path_pattern

ID = "{id}"
MAX_LITERALS = 12
"""Where more different segments than these stand in one place, each names a thing."""

_IDS = (
    re.compile(r"[0-9]+"),
    re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"),
    re.compile(r"(?=[^0-9]*[0-9])[0-9A-Fa-f]{12,}"),
    re.compile(r"[0-9A-HJKMNP-TV-Z]{26}"),
    re.compile(r"(?=(?:[^0-9]*[0-9]){4})[A-Za-z0-9_-]{16,}"),
    re.compile(r"[A-Za-z]{1,8}[-_][0-9]+"),
)
"""Numbers, UUIDs, hex of 12 and more with a digit in it, ULIDs, long texts with four digits, and
a word with a number (`ord-17`)."""

Segments = tuple[str, ...]


def fold_path(path: str) -> str:
    """The path with every identifier as `{id}`, for people."""
    return "/".join(ID if _is_id(segment) else segment for segment in path.split("/"))


def path_templates(paths: Iterable[str]) -> dict[str, str]:
    """A path template of a policy for each of these paths, all of one host and use.

    Beside identifiers, segments are folded where more than `MAX_LITERALS` different ones stand in
    one place.
    """
    split = {path: tuple(path.removeprefix("/").split("/")) for path in paths}
    folded: dict[Segments, Segments] = {}
    _fold({segments: segments for segments in split.values()}, 0, folded)
    return {path: _write(folded[segments]) for path, segments in split.items()}


def _fold(group: dict[Segments, Segments], position: int, folded: dict[Segments, Segments]) -> None:
    """Folds the segments at this position of paths that are alike before it, then those behind."""
    branches: dict[str, dict[Segments, Segments]] = {}
    for original, so_far in group.items():
        if position == len(original):
            folded[original] = so_far
        else:
            branches.setdefault(_sort(original[position]), {})[original] = so_far
    literals = [segment for segment in branches if segment not in {ID, ""}]
    if len(literals) > MAX_LITERALS:
        for segment in literals:
            branches.setdefault(ID, {}).update(branches.pop(segment))
    for segment, members in branches.items():
        inner = {
            original: (*so_far[:position], segment, *so_far[position + 1 :])
            for original, so_far in members.items()
        }
        _fold(inner, position + 1, folded)


def _sort(segment: str) -> str:
    return ID if _is_id(segment) or not _is_literal(segment) else segment


def _is_id(segment: str) -> bool:
    return any(pattern.fullmatch(segment) for pattern in _IDS)


def _is_literal(segment: str) -> bool:
    """Whether a template can have the segment as it is; the last one of a path may be empty."""
    try:
        pattern = parse_path_pattern(f"/{segment}")
    except PatternError:
        return False
    return not pattern.has_tail and segment != ID


def _write(segments: Segments) -> str:
    """The template; a parameter has a name of its own each time."""
    parts: list[str] = []
    count = 0
    for segment in segments:
        if segment == ID:
            count += 1
            parts.append(ID if count == 1 else f"{{id{count}}}")
        else:
            parts.append(segment)
    return "/" + "/".join(parts)
