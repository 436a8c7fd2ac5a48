"""Expressions of the Common Expression Language (CEL), compiled when a policy is loaded.

Rules of this file:
- The library (extra `deputize[cel]`) is imported when the first expression is compiled.
- Names and types are checked at load: each fact is a variable of its own, with its type. Only
  claims and arguments have a type that is known no sooner than when they are there.
- A fact that is absent is not given: to ask for it is an error, and an error denies.
- An error of the library is a value there. Here it is raised, and never tells what was found.

Sources: the CEL specification (doc/langdef.md).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import import_module
from typing import NamedTuple, Protocol, cast

from deputize.config.cel_bounds import HEADERS, Paths, check_bounds
from deputize.core.case import EvaluationError, check_header, is_spelled_otherwise
from deputize.core.model import Json
from deputize.core.model import Protocol as CallProtocol

MAX_LENGTH = 4096
MAX_MESSAGE = 400
"""Of what the library says about a wrong expression; it shows the line for each mistake."""

_BOOL, _DYN, _ERROR = "BOOL", "DYN", "ERROR"
_TEXT, _TEXTS, _TIME = "string", "list(string)", "timestamp"
FACTS: Mapping[str, str] = {
    "agent": _TEXT,
    "principal.issuer": _TEXT,
    "principal.subject": _TEXT,
    "principal.kind": _TEXT,
    "principal.claims": "map(string, dyn)",
    "chain": _TEXTS,
    "scopes": _TEXTS,
    "peer.trustDomain": _TEXT,
    "peer.namespace": _TEXT,
    "peer.serviceAccount": _TEXT,
    "peer.assurance": _TEXT,
    "request.method": _TEXT,
    "request.host": _TEXT,
    "request.path": _TEXT,
    "request.headers": "map(string, string)",
    "call.protocol": _TEXT,
    "call.method": _TEXT,
    "call.name": _TEXT,
    "call.arguments": "map(string, dyn)",
    "now": _TIME,
}
"""Each fact with its CEL type."""

# The library would open any file: `file:/path`, or a path out of its folder of zones.
_ZONE = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*|[+-]?[0-9]{2}:[0-9]{2}")
_PROBES = {
    "matches": "''.matches(literal)",
    "timestamp": "timestamp(literal) == timestamp(literal)",
    "duration": "duration(literal) == duration(literal)",
    "getHours": "timestamp(0).getHours(literal) == 0",
}


def compile_expression(source: str) -> Callable[[Mapping[str, Json]], Json]:
    """What evaluates the expression for the facts of a case; it gives true or false.

    It may be called by several threads, and raises EvaluationError for whatever has no answer.

    Raises:
        ValueError: the expression is wrong, or could take long; the message says where.
        ImportError: the extra is not installed.
    """
    library = _library()
    if len(source) > MAX_LENGTH:
        raise ValueError(f"an expression has at most {MAX_LENGTH} characters")
    try:
        source.encode()
        program = library.env.compile(source)
        gives = program.return_type().name()
        serialized = program.serialize()
    except UnicodeEncodeError:
        raise ValueError("an expression is Unicode text") from None
    except RuntimeError as error:
        raise ValueError(_complaint(str(error))) from None
    if gives not in {_BOOL, _DYN}:
        raise ValueError(f"an expression gives true or false, not {gives.lower()}")
    paths = check_bounds(serialized, frozenset(FACTS), library.probe)
    return _Program(program, frozenset(fact for fact, *_ in paths), paths, _members(paths))


class _Type(Protocol):
    def name(self) -> str: ...


class _Value(Protocol):
    def type(self) -> _Type: ...
    def value(self) -> object: ...


class _Expression(Protocol):
    def eval(self, *, data: Mapping[str, object]) -> _Value: ...
    def return_type(self) -> _Type: ...
    def serialize(self) -> bytes: ...


class _Env(Protocol):
    def compile(self, expression: str) -> _Expression: ...


class _Library(NamedTuple):
    env: _Env
    probes: Mapping[str, _Expression]

    def probe(self, function: str, literal: str) -> str | None:
        """What is wrong with a literal; None if nothing is."""
        if function.startswith("get"):
            if not _ZONE.fullmatch(literal):
                return f"{function}: no name of a time zone"
            function = "getHours"
        if function not in self.probes:
            return None
        answer = self.probes[function].eval(data={"literal": literal})
        if answer.type().name() != _ERROR:
            return None
        return f"{function}: {_complaint(str(answer.value()))}"


@cache
def _library() -> _Library:
    try:
        cel = import_module("cel_expr_python.cel")
    except ImportError as error:
        raise ImportError("a condition `cel` needs the extra `deputize[cel]`") from error
    text = cel.Type.STRING
    types = {
        _TEXT: text,
        _TEXTS: cel.Type.List(text),
        _TIME: cel.Type.TIMESTAMP,
        "map(string, dyn)": cel.Type.Map(text, cel.Type.DYN),
        "map(string, string)": cel.Type.Map(text, text),
    }
    small = cast("_Env", cel.NewEnv(variables={"literal": text}))
    return _Library(
        env=cast("_Env", cel.NewEnv(variables={fact: types[FACTS[fact]] for fact in FACTS})),
        probes={function: small.compile(probe) for function, probe in _PROBES.items()},
    )


@dataclass(frozen=True, slots=True)
class _Program:
    program: _Expression
    facts: frozenset[str]
    paths: Paths
    members: Mapping[str, frozenset[str]]
    """Of facts that are asked for nothing but these: the others are not given, however many the
    caller sends, since the library looks at each."""

    def __call__(self, facts: Mapping[str, Json]) -> Json:
        found = {name: _find(facts, name) for name in self.facts}
        protocol = _find(facts, "call.protocol")
        for (fact, *names), types in self.paths.items():
            _check_reading(fact, found[fact], names, types, protocol)
        data: dict[str, object] = {}
        for name, value in found.items():
            if isinstance(value, dict) and name in self.members:
                asked = self.members[name].intersection(value)
                data[name] = {member: value[member] for member in asked}
            elif value is not None:
                data[name] = value
        try:
            answer = self.program.eval(data=data)
            kind, truth = answer.type().name(), answer.value()
        except RuntimeError:
            # Too many rounds, or a text that is no text, such as half a surrogate pair.
            raise EvaluationError("the expression cannot be evaluated") from None
        if kind == _ERROR:
            raise EvaluationError("the expression fails: a wrong type, or something is absent")
        if kind != _BOOL or not isinstance(truth, bool):
            raise EvaluationError("the expression gives neither true nor false")
        return truth


def _members(paths: Paths) -> Mapping[str, frozenset[str]]:
    whole = {path[0] for path in paths if len(path) == 1}
    facts = {path[0] for path in paths} - whole
    return {fact: frozenset(path[1] for path in paths if path[0] == fact) for fact in facts}


def _find(facts: Mapping[str, Json], name: str) -> Json | datetime:
    value: Json = dict(facts)
    for part in name.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(part)
    if name == "now" and isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC)
    return value


def _check_reading(
    fact: str, value: object, names: list[str], types: frozenset[str], protocol: object
) -> None:
    """As the core: no list in a header, no argument in another spelling, or of another type."""
    for name in names:
        if not isinstance(value, dict):
            return
        if fact == "call.arguments" and is_spelled_otherwise(
            name, value, CallProtocol(str(protocol))
        ):
            raise EvaluationError(f"argument {name} is spelled in another way")
        if name not in value:
            return
        value = value[name]
        if fact == HEADERS and isinstance(value, str):
            check_header(name, value)
    if names and types and _type_of(value) not in types:
        raise EvaluationError(f"{'.'.join(names)} is of another type than it is compared with")


def _type_of(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "text"
    return "list" if isinstance(value, list) else "object"


def _complaint(text: str) -> str:
    """The words of the library for the first error, without its code and the text around it."""
    code, _, message = text.partition(": ")
    message = message.removesuffix(f" [{code}]").removeprefix("ERROR: <input>:")
    message = message.partition("\n")[0]
    return message if len(message) <= MAX_MESSAGE else message[:MAX_MESSAGE] + " ..."
