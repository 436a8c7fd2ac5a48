"""What the YAML parser complains of, in words that say how to mend it.

Rules of this file:
- The place is that of the parser; a hint is only a hint, for slips that are common in policies.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import yaml

from deputize.config.problems import MAX_FOUND, Problem, show_found

_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_WORD_END = re.compile(r"[\s,\[\]]")
_PATH = re.compile(r"/[^\s,\[\]{}]*(?:\{[A-Za-z_][A-Za-z0-9_]*\}[^\s,\[\]{}]*)+")
_NEAR = 200
"""So many characters around the place are looked at."""
_RESERVED = frozenset("@%`")
_QUOTES = "'\""


class _Place(NamedTuple):
    """Where the parser stopped: the text of the line, and the position in it, from 0."""

    line: str
    at: int
    number: int

    @property
    def char(self) -> str:
        return self.line[self.at : self.at + 1]


def describe_error(error: yaml.YAMLError, text: str, file: str) -> Problem:
    """The problem with its line, column, the text of the line, and a hint where there is one."""
    mark = getattr(error, "problem_mark", None)
    message = getattr(error, "problem", None) or getattr(error, "reason", None)
    message = str(message or "cannot be read as YAML")
    if mark is None:
        return Problem(file, 0, "", message)
    lines = _BREAK.split(text)
    line = lines[mark.line] if mark.line < len(lines) else ""
    hint = _hint(error, message, _Place(line, mark.column, mark.line + 1))
    said = f"column {mark.column + 1}: {hint or message}"
    return Problem(
        file, mark.line + 1, "", f"{said}, in {_excerpt(line, mark.column)}" if line else said
    )


def _excerpt(line: str, at: int) -> str:
    """The line, or of a long one the part with the place in it."""
    begins = at - MAX_FOUND // 2
    is_far = len(line.strip()) > MAX_FOUND and begins > 0
    return show_found(f"...{line[begins : at + MAX_FOUND]}" if is_far else line)


def _hint(error: yaml.YAMLError, message: str, place: _Place) -> str:
    """Which slip it likely is; empty where nobody knows."""
    context = str(getattr(error, "context", None) or "")
    began = getattr(error, "context_mark", None)
    first = began.line + 1 if began is not None else place.number
    before = place.line[: place.at]
    if "\t" in (before + place.char) and not (before + place.char).strip():
        return "tabs are not allowed for indentation; use spaces"
    if "alias" in context and began is not None:
        word = _word(place.line, began.column)
        return f'a text that begins with `*` stands in quotes: `"{word}"`'
    if place.char in _RESERVED:
        return f"a text that begins with {place.char} stands in quotes"
    if "flow" in context:
        return _in_brackets(place, first)
    if "quoted" in context and message.startswith("found unexpected"):
        return f"the quote that begins on line {first} is never closed"
    return _in_block(message, before, first)


def _in_brackets(place: _Place, first: int) -> str:
    near = place.line[max(0, place.at - _NEAR) : place.at + _NEAR]
    at = min(place.at, _NEAR)
    path = next((each for each in _PATH.finditer(near) if each.start() < at < each.end()), None)
    if path is not None:
        return f'a path with `{{` in it stands in quotes here: `"{path[0]}"`'
    if first != place.number:
        return f"the bracket that opens on line {first} is not closed, or a comma is missing"
    return "a comma or the closing bracket is missing"


def _in_block(message: str, before: str, first: int) -> str:
    if message.startswith("mapping values are not allowed"):
        # Where one key is on the line, it stands where none can, or the line above is no key.
        if ": " in before:
            return "a text with `: ` in it stands in quotes"
        return "wrong indentation, or the line above lacks its `:`"
    if not message.startswith("did not find expected"):
        return ""
    if not before.strip():
        return f"wrong indentation: what began on line {first} does not go on here"
    is_behind_quote = before.rstrip()[-1] in _QUOTES
    return "text behind a closed quote; put all of it in quotes" if is_behind_quote else ""


def _word(line: str, at: int) -> str:
    """The word around this position; blanks, commas and brackets end one."""
    begins = max((found.end() for found in _WORD_END.finditer(line, 0, at)), default=0)
    ends = _WORD_END.search(line, at)
    return line[begins : ends.start() if ends else len(line)]
