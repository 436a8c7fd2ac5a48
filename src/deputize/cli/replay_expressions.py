"""CEL expressions of rules, asked about recorded facts.

The facts of a supposed call differ from those recorded: some stand in claims of our own. Before an
expression is evaluated, they are put where they belong.

Rules of this file:
- Headers, arguments, and claims as a whole are never recorded, so what asks for them is unknown.

Sources: `core/case.py` for the names of the facts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Protocol, runtime_checkable

from deputize.core.case import Source
from deputize.core.conditions import Expression
from deputize.core.model import Json

CLAIM_PREFIX = "recorded_claim_"
"""Before the name of a recorded claim."""
_CLAIMS = "principal.claims"
_NEVER = frozenset({"request.headers", "call.arguments"})
_RECORDED: Mapping[str, tuple[Source, str]] = {
    "chain": (Source.CHAIN, "actors"),
    "principal.kind": (Source.PRINCIPAL, "kind"),
    "peer.assurance": (Source.PEER, "assurance"),
}
"""Facts of expressions that the supposed token has as claims."""


def claim_of_fact(source: Source, name: str) -> str:
    """The claim of a supposed token that holds a recorded fact."""
    return f"recorded_{source.value}_{name}"


def claim_of_claim(name: str) -> str:
    """The claim of a supposed token that holds a recorded claim: none may look like our own."""
    return f"{CLAIM_PREFIX}{name}"


def find_unrecorded(expression: Expression) -> str | None:
    """What the expression asks for that no event records; None where there is nothing."""
    paths = _paths(expression)
    if paths is None:
        return expression.text
    for path in paths:
        if path[0] in _NEVER or path == (_CLAIMS,):
            return expression.text
    return None


def claims_of_expression(expression: Expression) -> set[str]:
    """The claims it asks about by name."""
    return {path[1] for path in _paths(expression) or () if path[0] == _CLAIMS and path[1:]}


def facts_of_expression(expression: Expression) -> set[tuple[Source, str]]:
    """The facts it asks about that the supposed token has as claims."""
    return {_RECORDED[path[0]] for path in _paths(expression) or () if path[0] in _RECORDED}


def asks_for_time(expression: Expression) -> bool:
    """Whether the answer changes with time."""
    return any(path[0] == "now" for path in _paths(expression) or ())


def ask_expression(expression: Expression) -> Expression:
    """The same, of the recorded facts."""
    evaluate = expression.evaluate
    return replace(expression, evaluate=lambda facts: evaluate(dict(_recorded(facts))))


def _recorded(facts: Mapping[str, Json]) -> Iterator[tuple[str, Json]]:
    principal, peer = facts["principal"], facts["peer"]
    claims = principal["claims"] if isinstance(principal, dict) else None
    if (
        not isinstance(principal, dict)
        or not isinstance(peer, dict)
        or not isinstance(claims, dict)
    ):
        raise TypeError("the facts of a case have another form")
    said = {name: claims.get(claim_of_fact(*fact)) for name, fact in _RECORDED.items()}
    recorded: dict[str, Json] = {
        name.removeprefix(CLAIM_PREFIX): value
        for name, value in claims.items()
        if name.startswith(CLAIM_PREFIX)
    }
    yield from facts.items()
    yield "chain", said["chain"]
    yield "principal", {**principal, "kind": said["principal.kind"], "claims": recorded}
    yield "peer", {**peer, "assurance": said["peer.assurance"]}


@runtime_checkable
class _Asking(Protocol):
    """A compiled expression that says what it asks for."""

    @property
    def paths(self) -> Mapping[tuple[str, ...], frozenset[str]]: ...


def _paths(expression: Expression) -> Mapping[tuple[str, ...], frozenset[str]] | None:
    program: object = expression.evaluate
    return program.paths if isinstance(program, _Asking) else None
