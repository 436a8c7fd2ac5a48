"""One request out of a box, in full, so that it can be tried.

Rules of this file:
- What the box leaves open is left out of the request: no scope, no claim more than it needs.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from urllib.parse import quote

from deputize.analysis.boxes import Box, Mask
from deputize.analysis.call_atoms import OTHER_BODY
from deputize.analysis.dimension import first_bit
from deputize.analysis.fact_atoms import FactAtoms
from deputize.analysis.space import Space
from deputize.analysis.telling import state_text
from deputize.analysis.time_atoms import TimeAtoms
from deputize.analysis.variables import YES, Kind
from deputize.core.a2a import GRPC_SERVICE
from deputize.core.call_patterns import text_matches
from deputize.core.case import Source
from deputize.core.matching import claim_values
from deputize.core.model import Call, Json, Protocol

_PLAIN = "~!$&'()*+,=:@"
_TASK = "task"
_WITH_TASK = ("GetTask*", "CancelTask", "SubscribeToTask", "Create*", "ListTaskP*", "Delete*")


class Hinge(NamedTuple):
    """Something that is not looked into, and what it must be for the request to be an example."""

    number: int
    text: str
    value: Mask


class Witness(NamedTuple):
    """A request; `acr` is empty, `login_age` and `at` (its time) None where they do not matter.

    `has_other_body` asks for a body that is no call of any protocol.
    """

    agent: str
    issuer: str
    subject: str
    claims: dict[str, Json]
    headers: dict[str, Json]
    scopes: list[str]
    acr: str
    login_age: int | None
    depth: int
    method: str
    host: str
    segments: tuple[str, ...]
    upgrade: str
    call: Call | None
    has_other_body: bool
    at: datetime | None
    hinges: list[Hinge]

    @property
    def path(self) -> str:
        """The path as it is sent."""
        return "/" + "/".join(quote(segment, safe=_PLAIN) for segment in self.segments)

    def to_json(self) -> dict[str, object]:
        """The request for programs."""
        call = self.call
        return {
            "agent": self.agent,
            "issuer": self.issuer,
            "subject": self.subject,
            "claims": self.claims,
            "headers": self.headers,
            "scopes": self.scopes,
            "acr": self.acr or None,
            "login_age_seconds": self.login_age,
            "chain_depth": self.depth,
            "method": self.method,
            "host": self.host,
            "path": self.path,
            "upgrade": self.upgrade or None,
            "call": None
            if call is None
            else {
                "protocol": call.protocol.value,
                "method": call.method,
                "name": call.name,
                "arguments": dict(call.arguments or {}),
            },
            "at": None if self.at is None else self.at.isoformat(),
            "other_body": self.has_other_body,
            "provided": [hinge.text for hinge in self.hinges],
        }


def pick(space: Space, box: Box) -> Witness:
    """A request that lies in the box, which is not empty."""
    agent, principal, host, method, path, call, upgrade, depth = box.dense
    issuer, subject = space.principals.example(principal)
    values: dict[str, list[str]] = {}
    facts = _Facts({}, {}, {})
    scopes: list[str] = []
    acr, login_age = "", None
    at: datetime | None = None
    hinges: list[Hinge] = []
    variables = space.variables
    # Facts last: what is a claim of the principal already is not put there again.
    for number, mask in sorted(
        box.sparse.items(), key=lambda item: (variables.listed[item[0]].kind is Kind.FACT, item)
    ):
        variable, value = variables.listed[number], mask & -mask
        if variable.kind is Kind.CLAIM:
            if value == YES:
                values.setdefault(variable.name, []).append(variable.text)
        elif variable.kind is Kind.SCOPE:
            if value == YES:
                scopes.append(variable.text)
        elif variable.kind is Kind.CONTEXT:
            acr = ("", *variables.contexts)[first_bit(mask)]
        elif variable.kind is Kind.LOGIN_AGE:
            login_age = (None, *variables.login_ages)[first_bit(mask)]
        elif isinstance(variable.of, TimeAtoms) and at is None:
            at = variable.of.moment(first_bit(mask))
        elif not (
            isinstance(variable.of, FactAtoms) and facts.put(variable.of, first_bit(mask), values)
        ):
            hinges.append(Hinge(number, state_text(variables, number, value), value))
    claims: dict[str, Json] = {
        **facts.claims,
        **{name: list[Json](each) for name, each in values.items()},
    }
    segments = space.paths.example(path)
    return Witness(
        agent="spiffe://" + "/".join(space.agents.example(agent)),
        issuer=issuer,
        subject=subject,
        claims=claims,
        headers=facts.headers,
        scopes=sorted(scopes),
        acr=acr,
        login_age=login_age,
        depth=space.depths.example(depth),
        method=space.methods.example(method),
        host=space.hosts.example(host),
        segments=segments,
        upgrade=space.upgrades.example(upgrade),
        call=_call(space, call, segments, facts.arguments),
        has_other_body=space.calls.example(call) == OTHER_BODY,
        at=at,
        hinges=hinges,
    )


class _Facts(NamedTuple):
    """Where values of facts are put."""

    claims: dict[str, Json]
    headers: dict[str, Json]
    arguments: dict[str, Json]

    def put(self, atoms: FactAtoms, number: int, values: dict[str, list[str]]) -> bool:
        """Puts the value of this atom in its place; False where it has none.

        `values` are those that claims must have: one that has them all takes their place.
        """
        example, fact = atoms.examples[number], atoms.fact
        if fact.source is Source.CLAIM and fact.name[0] in values:
            if set(claim_values(example.value)) != set(values[fact.name[0]]) or fact.name[1:]:
                return False
            del values[fact.name[0]]
        trees = {
            Source.CLAIM: self.claims,
            Source.HEADER: self.headers,
            Source.ARGUMENT: self.arguments,
        }
        tree = trees.get(fact.source)
        if tree is None or not example.is_readable:
            return False
        if example.value is None:
            return True
        for name in fact.name[:-1]:
            inner = tree.setdefault(name, {})
            if not isinstance(inner, dict):
                return False
            tree = inner
        if fact.name[-1] in tree:
            return False
        tree[fact.name[-1]] = example.value
        return True


def _call(
    space: Space, mask: Mask, segments: tuple[str, ...], arguments: dict[str, Json]
) -> Call | None:
    atom = space.calls.example(mask)
    if atom.protocol is None:
        return None
    method, name = atom.method, atom.name
    if atom.protocol is Protocol.GRPC and space.call_atoms.read_grpc(segments) & mask:
        method = "/".join(segments)
    if atom.protocol is Protocol.A2A and any(text_matches(each, method) for each in _WITH_TASK):
        name = "" if segments[0] == GRPC_SERVICE else _TASK
    return Call(atom.protocol, method, name, arguments, 1)
