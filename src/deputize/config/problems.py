"""What is wrong with a configuration: every problem at once, each with its place."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass

MAX_FOUND = 60
MAX_PROBLEMS = 100
"""Of one file by one check; after so many nothing further is looked for."""

_OTHER_TYPE = re.compile(r"-?[0-9.]*|true|false|null|~")


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One problem: `file:line: pointer: message`, printable and on one line as text.

    `line` counts from 1, 0 for the whole file.
    """

    file: str
    line: int
    pointer: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        pointer = f"{self.pointer}: " if self.pointer else ""
        text = f"{place}: {pointer}{self.message}"
        # Keys and values are quoted in it, and must not start a line of their own in a log.
        return visible_text(text)


class ConfigError(Exception):
    """The configuration is wrong. `problems` has all of them, in file order."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(str(problem) for problem in self.problems))


def visible_text(text: str) -> str:
    """The text with everything that cannot be seen written as escapes."""
    return text if text.isprintable() else "".join(map(_escape, text))


def show_found(value: object) -> str:
    """A found value, short enough for one line; a text that looks like another type in quotes."""
    text = value if isinstance(value, str) else repr(value)
    if isinstance(value, str) and _OTHER_TYPE.fullmatch(value):
        text = f'"{value}"'
    text = " ".join(text.split())
    return f"`{text}`" if len(text) <= MAX_FOUND else f"`{text[:MAX_FOUND]}...`"


def nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean ...?` for a likely slip of the pen, else what is known."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1)
    return f"; did you mean `{close[0]}`?" if close else f"; known: {', '.join(names)}"


def _escape(char: str) -> str:
    return char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
