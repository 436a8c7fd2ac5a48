"""The syntax tree of a compiled CEL expression, read from its serialized form.

Rules of this file:
- The tree is the one that the library evaluates: macros are expanded, names are resolved. Nothing
  is read from the text of an expression, which has many spellings for one thing.
- It is read without the definitions of its messages, which no package has: by field numbers.

Sources: cel.expr.CheckedExpr and cel.expr.Expr of the CEL specification (proto/cel/expr).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import NamedTuple

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.empty_pb2 import Empty
from google.protobuf.unknown_fields import UnknownFieldSet

INDEX = "_[_]"
"""The function of `a[b]`."""


class Kind(IntEnum):
    """The kinds of a node by their field numbers in Expr."""

    CONSTANT = 3
    IDENT = 4
    SELECT = 5
    CALL = 6
    LIST = 7
    STRUCT = 8
    LOOP = 9


# Field numbers of CheckedExpr, of an entry of a map, of Reference and SourceInfo, of Expr.
_REFERENCES, _TREE, _SOURCE = 2, 4, 5
_KEY, _VALUE = 1, 2
_OVERLOADS, _POSITIONS = 3, 4
_ID = 2
# Of the kinds of Expr.
TEXT = 6
_LITERALS = {1: "null", 2: "boolean", 3: "number", 4: "number", 5: "number", TEXT: "text"}
NAME = 1
OPERAND, MEMBER = 1, 2
TARGET, FUNCTION, ARGUMENTS = 1, 2, 3
ELEMENTS = 1
MESSAGE, ENTRIES, ENTRY_KEY, ENTRY_VALUE = 1, 2, 3, 4
VARIABLE, RANGE, BEGIN, CONDITION, STEP, RESULT, SECOND_VARIABLE = 1, 2, 4, 5, 6, 7, 8


class Fields:
    """The fields of one message, by number; `given` are those that are there."""

    def __init__(self, octets: bytes) -> None:
        self._numbers: dict[int, int] = {}
        self._parts: dict[int, list[bytes]] = {}
        self.given: set[int] = set()
        fields = UnknownFieldSet(Empty.FromString(octets))
        for field in (fields[index] for index in range(len(fields))):
            self.given.add(field.field_number)
            if isinstance(field.data, bytes):
                self._parts.setdefault(field.field_number, []).append(field.data)
            else:
                self._numbers[field.field_number] = field.data

    def number(self, number: int) -> int:
        """0 where there is none."""
        return self._numbers.get(number, 0)

    def parts(self, *numbers: int) -> list[bytes]:
        """All messages and texts with these numbers."""
        return [part for number in numbers for part in self._parts.get(number, [])]

    def text(self, number: int) -> str:
        """Empty where there is none."""
        return b"".join(self.parts(number)).decode()

    def all(self, number: int) -> list[Fields]:
        """All messages with this number."""
        return [Fields(part) for part in self.parts(number)]


class Node(NamedTuple):
    """One node. `kind` is None for one that is not known here."""

    id: int
    kind: Kind | None
    fields: Fields


class Syntax(NamedTuple):
    """The tree, and per node, by its id: the functions it may call, and where it stands."""

    root: Node
    overloads: Mapping[int, frozenset[str]]
    positions: Mapping[int, int]


def read_syntax(serialized: bytes) -> Syntax:
    """The tree of an expression as the library serializes it."""
    checked = Fields(AnyMessage.FromString(serialized).value)
    (root,) = checked.parts(_TREE)
    overloads = {
        entry.number(_KEY): frozenset(
            name.decode() for value in entry.all(_VALUE) for name in value.parts(_OVERLOADS)
        )
        for entry in checked.all(_REFERENCES)
    }
    positions = {
        entry.number(_KEY): entry.number(_VALUE)
        for source in checked.all(_SOURCE)
        for entry in source.all(_POSITIONS)
    }
    return Syntax(read_node(root), overloads, positions)


def read_node(octets: bytes) -> Node:
    """One node, those below it unread."""
    fields = Fields(octets)
    found = [(kind, part) for kind in Kind for part in fields.parts(kind)]
    kind, part = found[0] if len(found) == 1 else (None, b"")
    return Node(fields.number(_ID), kind, Fields(part))


def read_text(octets: bytes) -> str | None:
    """The text of a node that is a literal text; None for another."""
    node = read_node(octets)
    texts = node.fields.parts(TEXT) if node.kind is Kind.CONSTANT else []
    return texts[0].decode() if texts else None


def read_types(octets: bytes) -> frozenset[str]:
    """The JSON type of a literal, a list or a map; empty for another node."""
    node = read_node(octets)
    match node.kind:
        case Kind.CONSTANT:
            return frozenset(_LITERALS[at] for at in node.fields.given if at in _LITERALS)
        case Kind.LIST:
            return frozenset({"list"})
        case Kind.STRUCT:
            return frozenset({"object"})
        case _:
            return frozenset()


def read_path(node: Node) -> tuple[str, ...]:
    """The variable and the names of members of a node such as `a.b["c"]`; empty for another."""
    fields = node.fields
    if node.kind is Kind.IDENT:
        return (fields.text(NAME),)
    if node.kind is Kind.SELECT:
        (value,) = fields.parts(OPERAND)
        return _below(value, fields.text(MEMBER))
    if node.kind is Kind.CALL and fields.text(FUNCTION) == INDEX:
        value, index = fields.parts(ARGUMENTS)
        return _below(value, read_text(index))
    return ()


def _below(value: bytes, name: str | None) -> tuple[str, ...]:
    path = read_path(read_node(value))
    return (*path, name) if path and name is not None else ()
