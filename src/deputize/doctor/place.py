"""Places in YAML of others, where something may stand or not; nothing is typed yet.

A plain word is read when it is asked for: `yes`, `on` and `True` count as true, because the readers
of these files differ, and the wrong side of that would be silence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from deputize.config.strict_yaml import Location, format_pointer

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"true", "yes", "on", "y"})
_WHOLE = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Node:
    """One value; `size` counts it and all below it."""

    value: str | list[Node] | dict[str, Node]
    line: int
    size: int
    is_plain: bool = False
    is_block: bool = False

    @property
    def is_null(self) -> bool:
        """Nothing stands there."""
        return self.is_plain and isinstance(self.value, str) and self.value in _NULL


@dataclass(frozen=True, slots=True)
class At:
    """A place in a document, whether anything stands there or not."""

    file: str
    node: Node | None
    line: int
    steps: Location = ()
    prefix: str = ""
    """Where the document itself stands, if inside of another."""

    def __getitem__(self, step: str | int) -> At:
        inner: Node | None = None
        value = None if self.node is None else self.node.value
        if isinstance(value, dict) and isinstance(step, str):
            inner = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            inner = value[step]
        if inner is not None and inner.is_null:
            inner = None
        line = self.line if inner is None else inner.line
        return At(self.file, inner, line, (*self.steps, step), self.prefix)

    def dig(self, *steps: str | int) -> At:
        """The place further in."""
        place = self
        for step in steps:
            place = place[step]
        return place

    @property
    def exists(self) -> bool:
        """Whether a value stands there."""
        return self.node is not None

    @property
    def if_there(self) -> At | None:
        """This place, None where nothing stands."""
        return self if self.exists else None

    @property
    def if_on(self) -> At | None:
        """This place, None where nothing stands that could be taken for true."""
        return self if self.is_on else None

    @property
    def text(self) -> str:
        """The text there; empty where there is none."""
        return self.node.value if self.node and isinstance(self.node.value, str) else ""

    @property
    def whole(self) -> int | None:
        """The whole number there."""
        return int(self.text) if _WHOLE.fullmatch(self.text) else None

    @property
    def is_on(self) -> bool:
        """Whether a reader of YAML could take it for true."""
        return self.text.lower() in _TRUE

    @property
    def is_mapping(self) -> bool:
        """Whether keys stand there, or could: `{}`."""
        return self.node is not None and isinstance(self.node.value, dict)

    @property
    def items(self) -> list[At]:
        """The entries of the list there."""
        value = self.node.value if self.node else None
        return [self[number] for number in range(len(value))] if isinstance(value, list) else []

    @property
    def entries(self) -> list[tuple[str, At]]:
        """The keys there, with what stands under them."""
        value = self.node.value if self.node else None
        return [(key, self[key]) for key in value] if isinstance(value, dict) else []

    @property
    def texts(self) -> list[str]:
        """The texts of the list there."""
        return [item.text for item in self.items]

    @property
    def words(self) -> dict[str, str]:
        """The texts under keys, as labels are written."""
        return {key: value.text for key, value in self.entries}

    @property
    def where(self) -> str:
        """`file:line: pointer`."""
        return ": ".join(filter(None, (f"{self.file}:{self.line}", self.pointer)))

    @property
    def pointer(self) -> str:
        """The way to it in its file; an object of a list is named, not counted."""
        return ": ".join(filter(None, (self.prefix, format_pointer(self.steps))))

    def as_document(self, prefix: str) -> At:
        """The same, as if a document of its own began here."""
        return At(self.file, self.node, self.line, (), prefix)

    def walk(self) -> Iterator[At]:
        """This place, and all below it that hold keys."""
        stack = [self]
        while stack:
            place = stack.pop()
            below = [inner for _key, inner in place.entries] or place.items
            stack += reversed(below)
            if place.is_mapping:
                yield place
