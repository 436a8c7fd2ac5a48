"""What an expression may do, so that no call that an agent sends makes it long.

Rules of this file:
- The tree is read that the library evaluates: macros expanded, names resolved. Nothing is read
  from the text of the expression, which has many spellings for one thing.
- Only functions that are listed here. Patterns and names of time zones are literals, and right.
- One loop, never a loop in another; in each round nothing is read again that the caller sends,
  and nothing is joined. So the work grows with the call, not with its square.
- A node of a kind that is not known here is refused: what cannot be read cannot be bounded.

Sources: cel.expr.CheckedExpr and cel.expr.Expr of the CEL specification (proto/cel/expr).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.empty_pb2 import Empty
from google.protobuf.unknown_fields import UnknownFieldSet

MAX_JOINS = 8
"""Strings and lists put together with `+`: each makes another copy of what the caller sends."""

FACTS_OF_THE_CALLER = frozenset({"call.arguments", "request.headers", "request.path"})
"""What a caller can make long."""

_OPERATORS = frozenset({
    *("_&&_", "_||_", "!_", "_?_:_", "@not_strictly_false"),
    *("_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "@in", "_[_]"),
    *("_+_", "_-_", "_*_", "_/_", "_%_", "-_"),
})  # fmt: skip
_CONVERSIONS = frozenset({
    *("bool", "double", "dyn", "duration", "int", "string", "timestamp", "type", "uint"),
})  # fmt: skip
_TIMES = frozenset({
    *("getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear", "getFullYear", "getHours"),
    *("getMilliseconds", "getMinutes", "getMonth", "getSeconds"),
})  # fmt: skip
_TEXTS = frozenset({"contains", "endsWith", "matches", "size", "startsWith"})
FUNCTIONS = _OPERATORS | _CONVERSIONS | _TIMES | _TEXTS
"""Their names, those of operators as the CEL specification has them."""

_LITERAL_ONLY = _TIMES | {"contains", "matches"}
_JOINS = frozenset({"add_bytes", "add_list", "add_string"})

# Field numbers: of CheckedExpr, of an entry of a map, of Reference, of SourceInfo.
_REFERENCES, _TREE, _SOURCE = 2, 4, 5
_KEY, _VALUE = 1, 2
_OVERLOADS = 3
_POSITIONS = 4
# Of Expr: its id and its kinds; then of each of these kinds.
_ID, _CONSTANT, _IDENT, _SELECT, _CALL, _LIST, _STRUCT, _LOOP = 2, 3, 4, 5, 6, 7, 8, 9
_KINDS = (_CONSTANT, _IDENT, _SELECT, _CALL, _LIST, _STRUCT, _LOOP)
_TEXT = 6
_NAME = 1
_TESTS = 3
_TARGET, _FUNCTION, _ARGUMENTS = 1, 2, 3
_ELEMENTS = 1
_MESSAGE, _ENTRIES, _ENTRY_KEY, _ENTRY_VALUE = 1, 2, 3, 4
_VARIABLE, _RANGE, _INIT, _EACH, _SECOND_VARIABLE = 1, 2, 4, (4, 5, 6, 7), 8

Probe = Callable[[str, str], str | None]
"""Takes a function and a literal for it; tells what is wrong with the literal."""


class _Fields:
    """The fields of one message, by number."""

    def __init__(self, octets: bytes) -> None:
        self._numbers: dict[int, int] = {}
        self._parts: dict[int, list[bytes]] = {}
        fields = UnknownFieldSet(Empty.FromString(octets))
        for field in (fields[index] for index in range(len(fields))):
            if isinstance(field.data, bytes):
                self._parts.setdefault(field.field_number, []).append(field.data)
            else:
                self._numbers[field.field_number] = field.data

    def number(self, number: int) -> int:
        return self._numbers.get(number, 0)

    def parts(self, *numbers: int) -> list[bytes]:
        return [part for number in numbers for part in self._parts.get(number, [])]

    def text(self, number: int) -> str:
        return b"".join(self.parts(number)).decode()

    def entries(self, number: int) -> Iterator[_Fields]:
        return map(_Fields, self.parts(number))


def check_bounds(serialized: bytes, facts: frozenset[str], probe: Probe) -> frozenset[str]:
    """Those of the facts that an expression, as the library serializes it, asks for.

    Raises:
        ValueError: what is wrong, and where.
    """
    checked = _Fields(AnyMessage.FromString(serialized).value)
    (tree,) = checked.parts(_TREE)
    (source,) = checked.entries(_SOURCE)
    walk = _Walk(facts, probe)
    for reference in checked.entries(_REFERENCES):
        names = _Fields(b"".join(reference.parts(_VALUE))).parts(_OVERLOADS)
        walk.overloads[reference.number(_KEY)] = frozenset(name.decode() for name in names)
    for entry in source.entries(_POSITIONS):
        walk.positions[entry.number(_KEY)] = entry.number(_VALUE)
    walk.visit(tree, in_loop=False)
    return frozenset(walk.found)


class _Walk:
    """One way through the tree. The library's parser has bounded its depth."""

    def __init__(self, facts: frozenset[str], probe: Probe) -> None:
        self.overloads: dict[int, frozenset[str]] = {}
        self.positions: dict[int, int] = {}
        self.found: set[str] = set()
        self._joins = 0
        self._facts = facts
        self._roots = {fact.partition(".")[0] for fact in facts}
        self._probe = probe
        self._at = 0

    def visit(self, octets: bytes, *, in_loop: bool) -> None:
        node = _Fields(octets)
        number = node.number(_ID)
        self._at = self.positions.get(number, self._at)
        kinds = [(kind, part) for kind in _KINDS for part in node.parts(kind)]
        if len(kinds) != 1:
            raise self._refused("something here is not known")
        kind, part = kinds[0]
        inner = _Fields(part)
        if kind == _IDENT:
            self._ident(inner.text(_NAME), in_loop=in_loop)
        elif kind == _CALL:
            self._call(inner, self.overloads.get(number, frozenset()), in_loop=in_loop)
        elif kind == _LOOP:
            self._loop(inner, in_loop=in_loop)
        elif kind != _CONSTANT:
            self._value(kind, inner, in_loop=in_loop)

    def _ident(self, name: str, *, in_loop: bool) -> None:
        if name not in self._facts:
            return
        if in_loop and name in FACTS_OF_THE_CALLER:
            raise self._refused(f"{name} cannot be read in each round of a loop")
        self.found.add(name)

    def _call(self, inner: _Fields, overloads: frozenset[str], *, in_loop: bool) -> None:
        function = inner.text(_FUNCTION)
        if function not in FUNCTIONS:
            raise self._refused(f"the function {function} is not offered")
        if function == "_+_" and overloads & _JOINS:
            self._joins += 1
            if in_loop:
                raise self._refused("texts and lists cannot be joined in a loop")
            if self._joins > MAX_JOINS:
                raise self._refused(f"more than {MAX_JOINS} texts or lists are joined")
        self._literals(function, inner)
        for part in inner.parts(_TARGET, _ARGUMENTS):
            self.visit(part, in_loop=in_loop)

    def _literals(self, function: str, inner: _Fields) -> None:
        for argument in inner.parts(_ARGUMENTS):
            constants = _Fields(argument).parts(_CONSTANT)
            if not constants and function in _LITERAL_ONLY:
                raise self._refused(f"what {function} asks for must be a literal")
            for text in (part for constant in constants for part in _Fields(constant).parts(_TEXT)):
                wrong = self._probe(function, text.decode())
                if wrong is not None:
                    raise self._refused(wrong)

    def _loop(self, inner: _Fields, *, in_loop: bool) -> None:
        if in_loop:
            raise self._refused("a loop in a loop is not offered")
        if any(_Fields(init).parts(_LIST) for init in inner.parts(_INIT)):
            raise self._refused("map and filter are not offered: use all, exists or exists_one")
        if inner.text(_VARIABLE) in self._roots or inner.parts(_SECOND_VARIABLE):
            raise self._refused("give the variable of the loop another name")
        for items in inner.parts(_RANGE):
            self.visit(items, in_loop=False)
        for part in inner.parts(*_EACH):
            self.visit(part, in_loop=True)

    def _value(self, kind: int, inner: _Fields, *, in_loop: bool) -> None:
        """A member of a value, a list, or a map."""
        parts = inner.parts(_ELEMENTS)
        if kind == _STRUCT:
            if inner.text(_MESSAGE):
                raise self._refused("messages are not offered")
            parts = [
                part
                for entry in inner.entries(_ENTRIES)
                for part in entry.parts(_ENTRY_KEY, _ENTRY_VALUE)
            ]
        for part in parts:
            self.visit(part, in_loop=in_loop)

    def _refused(self, what: str) -> ValueError:
        return ValueError(f"at character {self._at + 1}: {what}")
