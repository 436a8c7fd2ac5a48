"""YAML with one reading: no duplicate keys, aliases, tags or surprising types.

Plain scalars are typed as in the YAML 1.2 core schema, narrowed: `true`, `false`, `null`, decimal
numbers; everything else is text, so `no`, `on`, `1e3`, `0x10` and dates stay what they look like.

Built on libyaml's events, so that each value keeps its line for error messages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from deputize.config.problems import MAX_PROBLEMS, ConfigError, Problem
from deputize.config.yaml_complaints import describe_error

MAX_DEPTH = 32
MAX_VALUES = 2_000_000
"""In one document; bounds what reading it takes."""

Value = None | bool | int | float | str | list["Value"] | dict[str, "Value"]
Location = tuple[str | int, ...]

_ALIAS = "an alias is not allowed; a text that begins with `*` stands in quotes"
_KEY = -1
"""The place of a key itself: no key is a number, and no position is negative."""

_INT = re.compile(r"-?(?:0|[1-9][0-9]{0,15})")
_FLOAT = re.compile(r"-?(?:0|[1-9][0-9]{0,15})\.[0-9]{1,15}")
_WORDS: dict[str, bool | None] = {
    "true": True,
    "false": False,
    "null": None,
    "~": None,
    "": None,
}


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document with the line of each value and key, counted from 1."""

    file: str
    value: Value
    lines: dict[Location, int]

    def problem(self, location: Location, message: str) -> Problem:
        """A problem at a place, or at the nearest place above it that exists."""
        known = location
        while known not in self.lines and known:
            known = known[:-1]
        return Problem(self.file, self.lines.get(known, 0), format_pointer(location), message)


def format_pointer(location: Location) -> str:
    """`spec.rules[0].hosts`."""
    text = ""
    for step in location:
        text += f".{step}" if isinstance(step, str) else ".?" if step == _KEY else f"[{step}]"
    return text.removeprefix(".")


def parse_documents(octets: bytes, file: str) -> list[Document]:
    """Reads every document of a file; empty ones are left out.

    Raises:
        ConfigError: not UTF-8, not YAML, or anything this module refuses; all problems at once,
            or the first `MAX_PROBLEMS`.
    """
    problems: list[Problem] = []
    documents: list[Document] = []
    try:
        text = octets.decode("utf-8", "strict")
    except UnicodeDecodeError as error:
        raise ConfigError([Problem(file, 0, "", f"not UTF-8 at byte {error.start}")]) from None
    try:
        events = iter(yaml.parse(text, Loader=yaml.CSafeLoader))
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                builder = _Builder(file, problems, events)
                value = builder.build(next(events), ())
                if value is not None:
                    documents.append(Document(file, value, builder.lines))
    except yaml.YAMLError as error:
        problems.append(describe_error(error, text, file))
    if problems:
        raise ConfigError(problems)
    return documents


class _Builder:
    def __init__(self, file: str, problems: list[Problem], events: Iterator[yaml.Event]) -> None:
        self.file = file
        self.problems = problems
        self.events = events
        self.lines: dict[Location, int] = {}

    def build(self, event: yaml.Event, location: Location) -> Value:
        self.lines.setdefault(location, _line(event))
        if len(self.lines) > MAX_VALUES:
            self._refuse(event, location, f"more than {MAX_VALUES} values")
            raise ConfigError(self.problems)
        if isinstance(event, yaml.AliasEvent):
            self._refuse(event, location, _ALIAS)
            return None
        if not isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent):
            raise yaml.MarkedYAMLError(problem="an unexpected event")
        if event.anchor is not None:
            self._refuse(event, location, "an anchor (&) is not allowed; write the value out")
        if event.tag is not None:
            self._refuse(event, location, "a tag (!) is not allowed")
        if isinstance(event, yaml.ScalarEvent):
            if "\0" in event.value:
                self._refuse(event, location, "a NUL character is not allowed")
            return _plain(event.value) if event.implicit[0] else event.value
        if len(location) >= MAX_DEPTH:
            self._refuse(event, location, f"nested deeper than {MAX_DEPTH}")
            raise ConfigError(self.problems)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(location)
        return self._mapping(location)

    def _sequence(self, location: Location) -> list[Value]:
        values: list[Value] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            values.append(self.build(event, (*location, len(values))))
        return values

    def _mapping(self, location: Location) -> dict[str, Value]:
        values: dict[str, Value] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            key = self._key(event, location)
            inner = (*location, key)
            if key in values:
                first = self.lines[inner]
                self._refuse(event, inner, f"key stands twice, first on line {first}")
            self.lines.setdefault(inner, _line(event))
            values[key] = self.build(next(self.events), inner)
        return values

    def _key(self, event: yaml.Event, location: Location) -> str:
        place = (*location, _KEY)
        value = self.build(event, place)
        del self.lines[place]
        if not isinstance(event, yaml.ScalarEvent) or not isinstance(value, str):
            self._refuse(event, location, "a key must be text; put it in quotes")
            return str(value)
        return value

    def _refuse(self, event: yaml.Event, location: Location, message: str) -> None:
        pointer = format_pointer(location)
        self.problems.append(Problem(self.file, _line(event), pointer, message))
        if len(self.problems) >= MAX_PROBLEMS:
            raise ConfigError(self.problems)


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark is not None else 0


def _plain(text: str) -> Value:
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text
