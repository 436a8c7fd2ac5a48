"""YAML of others, read for looking only: every value keeps its line, nothing is typed yet.

Manifests come from many hands, so anchors and aliases are followed here, which our own files may
not have. Everything else with two readings is refused: tags, merge keys (`<<`), keys that stand
twice, NUL. An alias counts as what it stands for, so that small files cannot become large ones.

A plain word is read when it is asked for: `yes`, `on` and `True` count as true, because the readers
of these files differ, and the wrong side of that would be silence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from deputize.config.problems import ConfigError, Problem
from deputize.config.strict_yaml import Location, format_pointer
from deputize.config.yaml_complaints import describe_error

MAX_DEPTH = 100
MAX_VALUES = 1_000_000
"""In one file, aliases written out; bounds what reading and walking take."""

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
        pointer = " ".join(filter(None, (self.prefix, format_pointer(self.steps))))
        return f"{self.file}:{self.line}" + (f": {pointer}" if pointer else "")

    def walk(self) -> Iterator[At]:
        """This place, and all below it that hold keys."""
        stack = [self]
        while stack:
            place = stack.pop()
            below = [inner for _key, inner in place.entries] or place.items
            stack += reversed(below)
            if place.is_mapping:
                yield place

    def inner_documents(self) -> list[At]:
        """The documents in the text there, with lines of the outer file.

        Raises:
            ConfigError: it is no YAML, or refused as any other.
        """
        if self.node is None or not self.text:
            return []
        shift = self.line if self.node.is_block else self.line - 1
        pointer = format_pointer(self.steps)
        return read_documents(self.text.encode(), self.file, shift=shift, prefix=f"{pointer}:")


def read_documents(octets: bytes, file: str, *, shift: int = 0, prefix: str = "") -> list[At]:
    """The documents of a file that are not empty.

    Raises:
        ConfigError: not UTF-8, not YAML, or what this module refuses.
    """
    try:
        text = octets.decode("utf-8-sig", "strict")
    except UnicodeDecodeError as error:
        raise ConfigError([Problem(file, 0, "", f"not UTF-8 at byte {error.start}")]) from None
    documents: list[At] = []
    reader = _Reader(file, shift)
    try:
        events = iter(yaml.parse(text, Loader=yaml.CSafeLoader))
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                node = reader.read_document(events)
                if not node.is_null:
                    documents.append(At(file, node, node.line, (), prefix))
    except yaml.YAMLError as error:
        problem = describe_error(error, text, file)
        line = problem.line + shift if problem.line else 0
        raise ConfigError([Problem(file, line, problem.pointer, problem.message)]) from None
    return documents


class _Reader:
    def __init__(self, file: str, shift: int) -> None:
        self._file = file
        self._shift = shift
        self._left = MAX_VALUES
        self._anchors: dict[str, Node] = {}

    def read_document(self, events: Iterator[yaml.Event]) -> Node:
        self._anchors = {}
        return self._read(next(events), events, 0)

    def _read(self, event: yaml.Event, events: Iterator[yaml.Event], depth: int) -> Node:
        if isinstance(event, yaml.AliasEvent):
            node = self._anchors.get(event.anchor or "")
            if node is None:
                raise self._refuse(event, "an alias of nothing before it, or of what it stands in")
            self._count(event, node.size)
            return node
        self._count(event, 1)
        if depth > MAX_DEPTH:
            raise self._refuse(event, f"nested deeper than {MAX_DEPTH}")
        if not isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent):
            raise self._refuse(event, "an unexpected event")
        if event.tag is not None:
            raise self._refuse(event, "a tag (!) is not allowed")
        if isinstance(event, yaml.ScalarEvent):
            node = self._scalar(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._sequence(event, events, depth)
        else:
            node = self._mapping(event, events, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _scalar(self, event: yaml.ScalarEvent) -> Node:
        if "\0" in event.value:
            raise self._refuse(event, "a NUL character is not allowed")
        line = self._line(event)
        return Node(event.value, line, 1, event.implicit[0], event.style in {"|", ">"})

    def _sequence(self, start: yaml.Event, events: Iterator[yaml.Event], depth: int) -> Node:
        nodes: list[Node] = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            nodes.append(self._read(event, events, depth + 1))
        return Node(nodes, self._line(start), 1 + sum(node.size for node in nodes))

    def _mapping(self, start: yaml.Event, events: Iterator[yaml.Event], depth: int) -> Node:
        nodes: dict[str, Node] = {}
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent) or event.value == "<<":
                raise self._refuse(event, "a key must be text, and no merge key")
            if event.value in nodes:
                raise self._refuse(event, "key stands twice")
            nodes[event.value] = self._read(next(events), events, depth + 1)
        size = 1 + sum(node.size for node in nodes.values())
        return Node(nodes, self._line(start), size)

    def _count(self, event: yaml.Event, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise self._refuse(event, f"more than {MAX_VALUES} values")

    def _line(self, event: yaml.Event) -> int:
        return self._shift + (event.start_mark.line + 1 if event.start_mark is not None else 0)

    def _refuse(self, event: yaml.Event, message: str) -> ConfigError:
        return ConfigError([Problem(self._file, self._line(event), "", message)])
