"""The case a rule is asked about, and the facts its conditions may ask for.

Rules of this file:
- A fact that is absent is None. One that is there in a form that has no single reading raises
  `EvaluationError`: who asked can then neither grant nor overlook.
- Member names of arguments are compared exactly, but another spelling of the same name is an
  error: some back ends take `Path` for `path`, and protobuf's JSON `context_id` for `contextId`.

Sources: protobuf `ProtoJSON` (names of members).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import NamedTuple

from deputize.core.claims import ClaimPath, find_claim
from deputize.core.matching import PathPattern
from deputize.core.model import (
    AccessRequest,
    Action,
    Call,
    Delegation,
    Json,
    Peer,
    Protocol,
    VerifiedToken,
)

MAX_MEMBERS = 1000
"""Of an object in which another spelling of an argument is looked for."""

_KUBERNETES_PARTS = 4


class EvaluationError(ValueError):
    """A condition cannot be evaluated; the message says why, never what was found."""


class Case(NamedTuple):
    """All that is proven about one call. `now` is in seconds since the epoch.

    `call` is one of those of the action, None for a request that has none.
    """

    request: AccessRequest
    peer: Peer
    token: VerifiedToken
    delegation: Delegation
    action: Action
    call: Call | None
    now: float


class Source(StrEnum):
    """Where a fact comes from."""

    CLAIM = "claim"
    HEADER = "header"
    ARGUMENT = "argument"
    PATH = "path"
    PEER = "peer"
    CHAIN = "chain"
    PRINCIPAL = "principal"
    TOKEN = "token"  # noqa: S105 - a word of the policy language


PEER_FACTS = ("trustDomain", "namespace", "serviceAccount", "assurance")
CHAIN_FACTS = ("actors", "depth", "origin", "style")
PRINCIPAL_FACTS = ("issuer", "kind", "subject")
TOKEN_FACTS = ("ageSeconds", "binding", "remainingSeconds")


class Fact(NamedTuple):
    """One fact. `name` has several parts for a claim or an argument inside another.

    `positions` are those of a path parameter, by the path patterns of the rule.
    """

    source: Source
    name: ClaimPath
    positions: tuple[tuple[PathPattern, int], ...] = ()

    def __str__(self) -> str:
        return f"{self.source.value} {'.'.join(self.name)}"


def read_fact(fact: Fact, case: Case) -> Json:
    """The value of the fact; None where it is absent.

    Raises:
        EvaluationError: it has no single reading.
    """
    name = fact.name[0]
    match fact.source:
        case Source.CLAIM:
            return find_claim(case.delegation.principal.claims, fact.name)
        case Source.HEADER:
            return _header(case.request.headers, name)
        case Source.ARGUMENT:
            return _argument(case.call, fact.name)
        case Source.PATH:
            return _path_parameter(fact, case.action)
        case Source.PEER:
            return _peer(case.peer, name)
        case Source.CHAIN:
            return _chain(case.delegation, name)
        case Source.PRINCIPAL:
            return _principal(case.delegation, name)
        case _:
            return _token(case.token, name, case.now)


def is_spelled_otherwise(name: str, members: Collection[str], protocol: Protocol) -> bool:
    """True where a member of arguments is another spelling of the name for some back end.

    Members that differ only in case never stand beside each other: such bodies are refused.

    Raises:
        EvaluationError: too many members to look at each of them, for every condition.
    """
    if name in members and protocol is not Protocol.A2A:
        return False
    if len(members) > MAX_MEMBERS:
        raise EvaluationError(f"more than {MAX_MEMBERS} members beside argument {name}")
    if protocol is Protocol.A2A:
        folded = _fold_proto_name(name)
        return any(other != name and _fold_proto_name(other) == folded for other in members)
    folded = name.casefold()
    return any(other.casefold() == folded for other in members)


def _fold_proto_name(name: str) -> str:
    return name.casefold().replace("_", "")


def check_header(name: str, value: str) -> None:
    """Refuses a header value with more than one reading.

    Raises:
        EvaluationError: it may be two, or stand for octets that are no text.
    """
    if "," in value or "!" in value:
        # The proxy joins what was sent twice, and back ends differ in which one they take; `!`
        # stands for an octet that is no UTF-8.
        raise EvaluationError(f"header {name} has a comma or `!`, or was sent twice")


def _header(headers: Mapping[str, str], name: str) -> str | None:
    value = headers.get(name)
    if value is not None:
        check_header(name, value)
    return value


def _argument(call: Call | None, path: ClaimPath) -> Json:
    if call is None or call.arguments is None:
        raise EvaluationError("the arguments of the call are not known")
    value: Json = dict(call.arguments)
    for name in path:
        if not isinstance(value, dict):
            raise EvaluationError(f"argument {'.'.join(path)} lies in no object")
        if is_spelled_otherwise(name, value, call.protocol):
            raise EvaluationError(f"argument {name} is spelled in another way")
        if name not in value:
            return None
        value = value[name]
    return value


def _path_parameter(fact: Fact, action: Action) -> str | None:
    segments = action.segments
    found = {segments[at] for pattern, at in fact.positions if pattern.matches(segments)}
    if len(found) > 1:
        raise EvaluationError(f"path parameter {fact.name[0]} has two readings")
    return next(iter(found), None)


def _peer(peer: Peer, name: str) -> str | None:
    parts = peer.id.path[1:].split("/")
    is_kubernetes = len(parts) == _KUBERNETES_PARTS and parts[0] == "ns" and parts[2] == "sa"
    match name:
        case "trustDomain":
            return peer.id.trust_domain.name
        case "namespace":
            return parts[1] if is_kubernetes else None
        case "serviceAccount":
            return parts[3] if is_kubernetes else None
        case _:
            return peer.assurance.value


def _chain(delegation: Delegation, name: str) -> Json:
    chain = delegation.chain
    match name:
        case "actors":
            return [actor.subject for actor in chain]
        case "depth":
            return len(chain)
        case "origin":
            return chain[-1].subject if chain else None
        case _:
            return delegation.style.value


def _principal(delegation: Delegation, name: str) -> str:
    principal = delegation.principal
    match name:
        case "issuer":
            return principal.issuer
        case "kind":
            return principal.kind.value
        case _:
            return principal.subject


def _token(token: VerifiedToken, name: str, now: float) -> Json:
    match name:
        case "ageSeconds":
            return now - token.issued_at
        case "remainingSeconds":
            return token.expires_at - now
        case _:
            bound = token.confirmation
            if bound is None:
                return "none"
            return "certificate" if bound.certificate else "key"
