"""The facts that conditions of some policies ask for, and what is known of each.

Rules of this file:
- Where all conditions on a fact tell too many values apart, those are looked into that stand in
  one of the policies only: whatever is compared has changed. Else none.
- A fact is tied where not every value of it goes with everything else that is told apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, TypeVar

from deputize.analysis.fact_atoms import FactAtoms, say
from deputize.analysis.fact_values import FactCondition
from deputize.analysis.policy_set import PolicySet
from deputize.analysis.time_atoms import TimeAtoms
from deputize.analysis.value_atoms import Said, TooManyError
from deputize.core.case import Fact, Source
from deputize.core.claims import ClaimPath
from deputize.core.comparisons import Compares, Exists
from deputize.core.conditions import Within
from deputize.core.model import Binding, Protocol

ConditionT = TypeVar("ConditionT")
TIED_CLAIMS = frozenset(
    {"acr", "act", "aud", "auth_time", "azp", "client_id", "cnf", "exp", "iat", "iss", "jti", "nbf",
     "scope", "scp", "status", "sub"}
)  # fmt: skip
"""Claims that say again what a dimension or a variable says: not every mixture of them exists."""
_TIED_SOURCES = frozenset({Source.PATH, Source.PEER, Source.CHAIN, Source.PRINCIPAL})
_TIED_HEADERS = frozenset(
    {"accept", "authorization", "connection", "content-length", "content-type", "host", "upgrade"}
)
_TIED_PREFIXES = ("mcp-", "a2a-", "x-forwarded-", "dpop")
_TIED_ARGUMENTS = {
    Protocol.MCP: frozenset({"ref", "uri"}),
    Protocol.A2A: frozenset({"id", "taskId", "task_id"}),
    Protocol.GRPC: frozenset[str](),
}
"""Parameters that are the name of a call too."""
_KNOWN_ARGUMENTS = frozenset({None, Binding.BODY, Binding.JSON_RPC})
"""Where arguments are read at all."""


class FactKey(NamedTuple):
    """Which fact. A path parameter is a segment of the path, whatever its name."""

    source: Source
    name: ClaimPath


class Facts:
    """The facts of some policies."""

    def __init__(self, sets: Sequence[PolicySet]) -> None:
        self._named = _named_claims(sets)
        rules = (rule for each in sets for rule in each.rules)
        self._protocols = {rule.call.protocol for rule in rules if rule.call is not None}
        self.is_argument_known: Final = all(
            route.resource.protocol is not Protocol.GRPC
            and route.resource.binding in _KNOWN_ARGUMENTS
            for each in sets
            for route in each.routes
        )
        """Whether the arguments of every call are read."""
        asked: dict[FactKey, list[dict[Said, FactCondition]]] = {}
        for number, each in enumerate(sets):
            for condition in _fact_conditions(each):
                listed = asked.setdefault(fact_key(condition.fact), [{} for _ in sets])
                listed[number].setdefault(say(condition), condition)
        self._similar = Counter(map(_similar, asked))
        self.claims: Final = frozenset(key.name[0] for key in asked if key.source is Source.CLAIM)
        """The first names of all claims that conditions ask for."""
        self._atoms = {key: self._build(key, listed) for key, listed in asked.items()}
        times = _times(sets)
        self._times = {
            zone: _build_times(listed, is_tied=len(times) > 1) for zone, listed in times.items()
        }

    def find(self, fact: Fact) -> FactAtoms | None:
        """What is known of the fact; None where it is not looked into."""
        return self._atoms.get(fact_key(fact))

    def find_time(self, condition: Within) -> TimeAtoms | None:
        """What is known of the time in its zone; None where it is not looked into."""
        return self._times[str(condition.zone)]

    def _build(self, key: FactKey, listed: Sequence[dict[Said, FactCondition]]) -> FactAtoms | None:
        fact = Fact(key.source, next(each for one in listed for each in one.values()).fact.name)
        is_tied = self._is_tied(key)
        for conditions, is_partial in _choices(listed):
            try:
                return FactAtoms(fact, conditions, is_tied=is_tied or is_partial)
            except TooManyError:
                continue
        return None

    def _is_tied(self, key: FactKey) -> bool:
        source, name = key
        first = name[0] if name else ""
        if source in _TIED_SOURCES or self._similar[_similar(key)] > 1:
            return True
        if source is Source.CLAIM:
            return first in TIED_CLAIMS or first in self._named
        if source is Source.HEADER:
            return first in _TIED_HEADERS or first.startswith(_TIED_PREFIXES)
        return source is Source.ARGUMENT and (
            not self.is_argument_known
            or any(first in _TIED_ARGUMENTS[each] for each in self._protocols)
        )


def _build_times(listed: Sequence[dict[Said, Within]], *, is_tied: bool) -> TimeAtoms | None:
    for conditions, is_partial in _choices(listed):
        try:
            return TimeAtoms(conditions, is_tied=is_tied or is_partial)
        except TooManyError:
            continue
    return None


def _choices(
    listed: Sequence[dict[Said, ConditionT]],
) -> Iterable[tuple[dict[Said, ConditionT], bool]]:
    """All conditions of all sets, then those only that not each of them has."""
    every = {said: condition for each in listed for said, condition in each.items()}
    yield every, False
    changed = {
        said: condition
        for said, condition in every.items()
        if not all(said in each for each in listed)
    }
    if changed:
        yield changed, True


def _times(sets: Sequence[PolicySet]) -> dict[str, list[dict[Said, Within]]]:
    """The time windows of each set by their zone."""
    found: dict[str, list[dict[Said, Within]]] = {}
    for number, each in enumerate(sets):
        for rule in each.rules:
            for condition in rule.conditions:
                if isinstance(condition, Within):
                    zone = found.setdefault(str(condition.zone), [{} for _ in sets])
                    zone[number].setdefault(condition.text, condition)
    return found


def fact_key(fact: Fact) -> FactKey:
    """Which fact it is."""
    return FactKey(fact.source, () if fact.source is Source.PATH else fact.name)


def _fact_conditions(policies: PolicySet) -> Iterable[FactCondition]:
    return (
        condition
        for rule in policies.rules
        for condition in rule.conditions
        if isinstance(condition, Compares | Exists)
    )


def _named_claims(sets: Sequence[PolicySet]) -> frozenset[str]:
    """Those by which principals are named."""
    patterns = [one for each in sets for rule in each.rules for one in rule.principals]
    for each in sets:
        patterns += (one for entry in each.limits.principal_scopes for one in entry.principals)
    return frozenset(name for pattern in patterns for name in pattern.claims)


def _similar(key: FactKey) -> tuple[Source, str]:
    """The same for facts of which one may lie in the other, or is another spelling of it."""
    first = key.name[0] if key.name else ""
    is_argument = key.source is Source.ARGUMENT
    return key.source, first.casefold().replace("_", "") if is_argument else first
