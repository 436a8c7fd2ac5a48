"""What is wrong with a configuration: every problem at once, each with its place."""

from __future__ import annotations

from dataclasses import dataclass

MAX_FOUND = 60


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One problem: `file:line: pointer: message`. `line` counts from 1, 0 for the whole file."""

    file: str
    line: int
    pointer: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return (
            f"{place}: {self.pointer}: {self.message}"
            if self.pointer
            else (f"{place}: {self.message}")
        )


class ConfigError(Exception):
    """The configuration is wrong. `problems` has all of them, in file order."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(str(problem) for problem in self.problems))


def show_found(value: object) -> str:
    """A found value, short enough for one line."""
    text = repr(value) if not isinstance(value, str) else value
    text = " ".join(text.split())
    return f"`{text}`" if len(text) <= MAX_FOUND else f"`{text[:MAX_FOUND]}...`"
