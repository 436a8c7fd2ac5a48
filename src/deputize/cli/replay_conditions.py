"""Conditions of rules, asked about recorded facts.

Rules of this file:
- A fact that the supposed call has itself is asked as it is; one that an event records is asked of
  the claim that holds it; all else is unknown.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from deputize.cli.replay_expressions import (
    ask_expression,
    claim_of_claim,
    claim_of_fact,
    claims_of_expression,
    find_unrecorded,
)
from deputize.core.case import Fact, Source
from deputize.core.comparisons import Compares, EqualsClaim, Exists
from deputize.core.conditions import Condition, Expression, Within

_AS_IT_IS = {
    *((Source.PEER, name) for name in ("trustDomain", "namespace", "serviceAccount")),
    *((Source.PRINCIPAL, name) for name in ("issuer", "subject")),
}
"""Facts that the supposed call has itself."""
RECORDED_FACTS = {
    (Source.PEER, "assurance"),
    *((Source.CHAIN, name) for name in ("actors", "depth", "origin", "style")),
    (Source.PRINCIPAL, "kind"),
    (Source.TOKEN, "binding"),
    (Source.TOKEN, "remainingSeconds"),
}
"""Facts that the supposed token gets as claims."""


class Unknown(NamedTuple):
    """Something an answer may hang on that no event records; `claim` is one that could be."""

    text: str
    claim: str = ""


def unknown_claim(name: str) -> Unknown:
    """A claim that is not recorded."""
    return Unknown(f"claim {name}", name)


def claims_of(condition: Condition) -> set[str]:
    """The claims a condition asks about."""
    match condition:
        case Compares(fact=fact) | Exists(fact=fact):
            facts = [fact]
        case EqualsClaim(fact=fact, claim=claim):
            facts = [fact, Fact(Source.CLAIM, claim)]
        case Expression():
            return claims_of_expression(condition)
        case _:
            facts = []
    return {fact.name[0] for fact in facts if fact.source is Source.CLAIM}


def find_in_condition(condition: Condition, known: frozenset[str]) -> list[Unknown]:
    """What the condition hangs on beside these claims that no event records."""
    match condition:
        case Within():
            return []
        case Compares(fact=fact) | Exists(fact=fact) | EqualsClaim(fact=fact):
            claims = sorted(claims_of(condition) - known)
            key = (fact.source, fact.name[0])
            sources = {Source.CLAIM, Source.PATH}
            is_known = fact.source in sources or key in RECORDED_FACTS | _AS_IT_IS
            return [*map(unknown_claim, claims), *([] if is_known else [Unknown(str(fact))])]
        case Expression():
            text = find_unrecorded(condition)
            claims = sorted(claims_of(condition) - known)
            return [*map(unknown_claim, claims), *([] if text is None else [Unknown(text)])]
        case _:
            return [Unknown(condition.text)]


def ask_condition(condition: Condition) -> Condition:
    """The same of the claim that holds the recorded fact."""
    match condition:
        case Compares() | Exists():
            return replace(condition, fact=_moved(condition.fact))
        case EqualsClaim():
            claim = (claim_of_claim(condition.claim[0]), *condition.claim[1:])
            return replace(condition, fact=_moved(condition.fact), claim=claim)
        case Expression():
            return ask_expression(condition)
        case _:
            return condition


def _moved(fact: Fact) -> Fact:
    first, *rest = fact.name
    if fact.source is Source.CLAIM:
        return Fact(Source.CLAIM, (claim_of_claim(first), *rest))
    if (fact.source, first) in RECORDED_FACTS:
        return Fact(Source.CLAIM, (claim_of_fact(fact.source, first),))
    return fact
