"""What an expression may do, so that no call that an agent sends makes it long or ambiguous.

Rules of this file:
- Only functions that are listed here. Patterns and names of time zones are literals, and right.
- One loop, never a loop in another. Each round reads few facts, none of those that the caller
  sends, and joins nothing. So the work grows with the size of a call, not with its square.
- Headers are asked for by name: only so is it known which ones must have a single reading.
- What a fact is compared with says which type it must have: for CEL, 1 and "1" just differ.
- What is not known here is refused: it cannot be bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from deputize.config.cel_syntax import (
    ARGUMENTS,
    BEGIN,
    CONDITION,
    ELEMENTS,
    ENTRIES,
    ENTRY_KEY,
    ENTRY_VALUE,
    FUNCTION,
    INDEX,
    MESSAGE,
    NAME,
    OPERAND,
    RANGE,
    RESULT,
    SECOND_VARIABLE,
    STEP,
    TARGET,
    VARIABLE,
    Fields,
    Kind,
    Node,
    Syntax,
    read_node,
    read_path,
    read_syntax,
    read_text,
    read_types,
)

MAX_JOINS = 8
"""Texts and lists put together with `+`: each makes another copy of what the caller sends."""

MAX_READS = 2
"""Facts in the body of a loop: a list of the token, for example, is searched in each round."""

HEADERS = "request.headers"
CALLER = frozenset({"call", "request"})
"""The first words of those facts that a caller can make long."""

_OPERATORS = frozenset({
    *("_&&_", "_||_", "!_", "_?_:_", "@not_strictly_false"),
    *("_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "@in", INDEX),
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
"""Their names, those of operators as the library names them."""

_LITERAL_ONLY = _TIMES | {"contains", "matches"}
_JOINS = frozenset({"add_bytes", "add_list", "add_string"})

Probe = Callable[[str, str], str | None]
"""Takes a function and a literal for it; tells what is wrong with the literal."""

Paths = Mapping[tuple[str, ...], frozenset[str]]
"""Facts, and members of facts by their names: `("call.arguments", "to", "city")`, each with the
JSON types of the literals that it is compared with."""


def check_bounds(serialized: bytes, facts: frozenset[str], probe: Probe) -> Paths:
    """What an expression, as the library serializes it, asks for; `facts` names all facts.

    Raises:
        ValueError: it is not bounded; the message says why, and where.
    """
    check = _Check(read_syntax(serialized), facts, probe)
    check.visit(check.syntax.root)
    return check.paths


class _Check:
    """One way through the tree. The library's parser has bounded its depth."""

    def __init__(self, syntax: Syntax, facts: frozenset[str], probe: Probe) -> None:
        self.syntax = syntax
        self.paths: dict[tuple[str, ...], frozenset[str]] = {}
        self._facts = facts
        self._probe = probe
        self._joins = 0
        self._reads: int | None = None  # those of the loop this is in
        self._at = 0

    def visit(self, node: Node) -> None:
        self._at = self.syntax.positions.get(node.id, self._at)
        fields = node.fields
        match node.kind:
            case Kind.CONSTANT:
                pass
            case Kind.IDENT:
                self._fact((fields.text(NAME),))
            case Kind.SELECT:
                self._member(node, fields.parts(OPERAND))
            case Kind.CALL:
                self._call(node)
            case Kind.LIST:
                self._all(fields.parts(ELEMENTS))
            case Kind.STRUCT:
                self._struct(fields)
            case Kind.LOOP:
                self._loop(fields)
            case None:
                raise self._refused("this is not known")

    def _all(self, parts: list[bytes]) -> None:
        for part in parts:
            self.visit(read_node(part))

    def _fact(self, path: tuple[str, ...]) -> None:
        fact, *names = path
        if fact not in self._facts:
            return
        self.paths.setdefault(path, frozenset())
        if fact == HEADERS and (not names or names[0] != names[0].lower()):
            raise self._refused("name one header, in lower case")
        if self._reads is not None:
            if fact.partition(".")[0] in CALLER:
                raise self._refused(f"{fact} cannot be read in each round of a loop")
            self._reads += 1
            if self._reads > MAX_READS:
                raise self._refused(f"a loop reads more than {MAX_READS} facts in each round")

    def _call(self, node: Node) -> None:
        fields = node.fields
        function, arguments = fields.text(FUNCTION), fields.parts(ARGUMENTS)
        if function not in FUNCTIONS:
            raise self._refused(f"the function {function} is not offered")
        if function == "_+_" and self.syntax.overloads.get(node.id, _JOINS) & _JOINS:
            self._join()
        for argument in arguments:
            self._literal(function, argument)
        if function == INDEX:
            self._member(node, arguments)
        elif function == "@in" and read_path(read_node(arguments[1])) == (HEADERS,):
            name = read_text(arguments[0])
            self._fact((HEADERS,) if name is None else (HEADERS, name))
        else:
            self._all(fields.parts(TARGET, ARGUMENTS))
        if function in {"_==_", "_!=_"}:
            left, right = arguments
            self._compare(left, read_types(right))
            self._compare(right, read_types(left))
        elif function == "@in" and read_node(arguments[1]).kind is Kind.LIST:
            among = [read_types(part) for part in read_node(arguments[1]).fields.parts(ELEMENTS)]
            if all(among):
                self._compare(arguments[0], frozenset[str]().union(*among))

    def _compare(self, value: bytes, types: frozenset[str]) -> None:
        path = read_path(read_node(value))
        if path in self.paths:
            self.paths[path] |= types

    def _member(self, node: Node, parts: list[bytes]) -> None:
        """`a.b`, or `a["b"]`; a fact and its members are taken together."""
        path = read_path(node)
        if path[:1] and path[0] in self._facts:
            self._fact(path)
        else:
            self._all(parts)

    def _struct(self, fields: Fields) -> None:
        if fields.text(MESSAGE):
            raise self._refused("messages are not offered")
        for entry in fields.all(ENTRIES):
            self._all(entry.parts(ENTRY_KEY, ENTRY_VALUE))

    def _join(self) -> None:
        self._joins += 1
        if self._reads is not None:
            raise self._refused("texts and lists cannot be joined in a loop")
        if self._joins > MAX_JOINS:
            raise self._refused(f"more than {MAX_JOINS} texts or lists are joined")

    def _literal(self, function: str, argument: bytes) -> None:
        text = read_text(argument)
        if text is None:
            if function in _LITERAL_ONLY:
                raise self._refused(f"what {function} asks for must be a literal text")
            return
        wrong = self._probe(function, text)
        if wrong is not None:
            raise self._refused(wrong)

    def _loop(self, fields: Fields) -> None:
        if self._reads is not None:
            raise self._refused("a loop in a loop is not offered")
        if any(read_node(part).kind is Kind.LIST for part in fields.parts(BEGIN)):
            raise self._refused("map and filter are not offered: use all, exists or exists_one")
        roots = {fact.partition(".")[0] for fact in self._facts}
        if fields.text(VARIABLE) in roots or fields.parts(SECOND_VARIABLE):
            raise self._refused("give the variable of the loop another name")
        self._all(fields.parts(RANGE))
        self._reads = 0
        self._all(fields.parts(BEGIN, CONDITION, STEP, RESULT))
        self._reads = None

    def _refused(self, what: str) -> ValueError:
        return ValueError(f"at character {self._at + 1}: {what}")
