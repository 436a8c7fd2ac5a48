"""YAML as a tree of how it is written, for writing it anew in another form.

Rules of this file:
- Only for text that `strict_yaml` reads: no aliases, anchors, tags, or keys that are no text.
- Comments are placed by `yaml_comments.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import yaml


@dataclass(slots=True, eq=False)
class Scalar:
    """One value. `source` is how it is written, with its quotes or block header."""

    start: int
    end: int
    value: str
    is_plain: bool
    source: str


@dataclass(slots=True, eq=False)
class Collection:
    """A mapping, whose entries have keys, or a sequence. `tail` are comments at its end."""

    start: int
    is_mapping: bool
    is_flow: bool
    owner: Entry | None
    end: int = 0
    entries: list[Entry] = field(default_factory=list)
    tail: list[str] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Entry:
    """A key with its value, or an item of a sequence, with its comments.

    `above` are those on lines of their own, an empty one for blank lines; `beside` is the one
    behind it.
    """

    start: int
    parent: Collection
    key: Scalar | None
    value: Node
    above: list[str] = field(default_factory=list)
    beside: str = ""


Node = Scalar | Collection


@dataclass(slots=True, eq=False)
class Tree:
    """One document, from `start` on. `head` are comments before its first entry."""

    start: int
    root: Node
    entries: list[Entry]
    scalars: list[Scalar]
    head: list[str] = field(default_factory=list)


def read_trees(text: str) -> list[Tree]:
    """All documents of a text that `strict_yaml` has read, those without a value too."""
    events = iter(yaml.parse(text, Loader=yaml.CSafeLoader))
    trees: list[Tree] = []
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            reader = _Reader(text, events)
            start = _start(event) if trees else 0
            root = reader.node(next(events), None)
            trees.append(Tree(start, root, reader.entries, reader.scalars))
    return trees


def walk(node: Node) -> Iterator[Collection]:
    """The collection and all in it."""
    if isinstance(node, Collection):
        yield node
        for entry in node.entries:
            yield from walk(entry.value)


def above_in(entry: Entry) -> Iterable[Collection]:
    """The collections an entry stands in, the innermost first."""
    parent: Collection | None = entry.parent
    while parent is not None:
        yield parent
        parent = parent.owner.parent if parent.owner is not None else None


class _Reader:
    def __init__(self, text: str, events: Iterator[yaml.Event]) -> None:
        self.text = text
        self.events = events
        self.entries: list[Entry] = []
        self.scalars: list[Scalar] = []

    def node(self, event: yaml.Event, owner: Entry | None) -> Node:
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        is_mapping = isinstance(event, yaml.MappingStartEvent)
        is_flow = bool(getattr(event, "flow_style", False))
        node = Collection(_start(event), is_mapping, is_flow, owner)
        while not isinstance(event := next(self.events), yaml.CollectionEndEvent):
            key = None
            start = _start(event)
            if is_mapping:
                key = self._scalar(event)
                event = next(self.events)
            entry = Entry(start, node, key, Scalar(start, start, "", is_plain=True, source=""))
            node.entries.append(entry)
            self.entries.append(entry)
            entry.value = self.node(event, entry)
        node.end = _end(event)
        return node

    def _scalar(self, event: yaml.Event) -> Scalar:
        start, end = _start(event), _end(event)
        is_plain = bool(getattr(event, "implicit", (False,))[0])
        value = str(getattr(event, "value", ""))
        scalar = Scalar(start, end, value, is_plain, self.text[start:end])
        self.scalars.append(scalar)
        return scalar


def _start(event: yaml.Event) -> int:
    return int(event.start_mark.index) if event.start_mark is not None else 0


def _end(event: yaml.Event) -> int:
    return int(event.end_mark.index) if event.end_mark is not None else 0
