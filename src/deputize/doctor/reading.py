"""YAML of others, read for looking only: every value keeps its line, nothing is typed yet.

Manifests come from many hands, so anchors and aliases are followed here, which our own files may
not have. Everything else with two readings is refused: tags, merge keys (`<<`), keys that stand
twice, NUL. An alias counts as what it stands for, so that small files cannot become large ones.
"""

from __future__ import annotations

from collections.abc import Iterator

import yaml

from deputize.config.problems import ConfigError, Problem
from deputize.config.yaml_complaints import describe_error
from deputize.doctor.place import At, Node

MAX_DEPTH = 100
MAX_VALUES = 1_000_000
"""In one file, aliases written out; bounds what reading and walking take."""


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


def read_inner_documents(at: At) -> list[At]:
    """The documents in the text at a place, with lines of the outer file.

    Raises:
        ConfigError: it is no YAML, or refused as any other.
    """
    if at.node is None or not at.text:
        return []
    shift = at.line if at.node.is_block else at.line - 1
    return read_documents(at.text.encode(), at.file, shift=shift, prefix=at.pointer)


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
