"""One request out of a box, in full, so that it can be tried.

Rules of this file:
- What the box leaves open is left out of the request: no scope, no claim more than it needs.
"""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import quote

from deputize.analysis.boxes import Box, Mask
from deputize.analysis.call_atoms import OTHER_BODY
from deputize.analysis.dimension import first_bit
from deputize.analysis.space import Space
from deputize.analysis.telling import state_text
from deputize.analysis.variables import YES, Kind
from deputize.core.a2a import GRPC_SERVICE
from deputize.core.call_patterns import text_matches
from deputize.core.model import Call, Protocol

_PLAIN = "~!$&'()*+,=:@"
_TASK = "task"
_WITH_TASK = ("GetTask*", "CancelTask", "SubscribeToTask", "Create*", "ListTaskP*", "Delete*")


class Hinge(NamedTuple):
    """Something that is not looked into, and what it must be for the request to be an example."""

    number: int
    text: str
    value: Mask


class Witness(NamedTuple):
    """A request; `acr` is empty and `login_age` None where they do not matter.

    `has_other_body` asks for a body that is no call of any protocol.
    """

    agent: str
    issuer: str
    subject: str
    claims: dict[str, list[str]]
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
            "scopes": self.scopes,
            "acr": self.acr or None,
            "loginAgeSeconds": self.login_age,
            "chainDepth": self.depth,
            "method": self.method,
            "host": self.host,
            "path": self.path,
            "upgrade": self.upgrade or None,
            "call": None
            if call is None
            else {"protocol": call.protocol.value, "method": call.method, "name": call.name},
            "otherBody": self.has_other_body,
            "provided": [hinge.text for hinge in self.hinges],
        }


def pick(space: Space, box: Box) -> Witness:
    """A request that lies in the box, which is not empty."""
    agent, principal, host, method, path, call, upgrade, depth = box.dense
    issuer, subject = space.principals.example(principal)
    claims: dict[str, list[str]] = {}
    scopes: list[str] = []
    acr, login_age = "", None
    hinges: list[Hinge] = []
    variables = space.variables
    for number, mask in sorted(box.sparse.items()):
        variable, value = variables.listed[number], mask & -mask
        if variable.kind is Kind.CLAIM:
            if value == YES:
                claims.setdefault(variable.name, []).append(variable.text)
        elif variable.kind is Kind.SCOPE:
            if value == YES:
                scopes.append(variable.text)
        elif variable.kind is Kind.CONTEXT:
            acr = ("", *variables.contexts)[first_bit(mask)]
        elif variable.kind is Kind.LOGIN_AGE:
            login_age = (None, *variables.login_ages)[first_bit(mask)]
        else:
            hinges.append(Hinge(number, state_text(variables, number, value), value))
    segments = space.paths.example(path)
    return Witness(
        agent="spiffe://" + "/".join(space.agents.example(agent)),
        issuer=issuer,
        subject=subject,
        claims=claims,
        scopes=sorted(scopes),
        acr=acr,
        login_age=login_age,
        depth=space.depths.example(depth),
        method=space.methods.example(method),
        host=space.hosts.example(host),
        segments=segments,
        upgrade=space.upgrades.example(upgrade),
        call=_call(space, call, segments),
        has_other_body=space.calls.example(call) == OTHER_BODY,
        hinges=hinges,
    )


def _call(space: Space, mask: Mask, segments: tuple[str, ...]) -> Call | None:
    atom = space.calls.example(mask)
    if atom.protocol is None:
        return None
    method, name = atom.method, atom.name
    if atom.protocol is Protocol.GRPC and space.call_atoms.read_grpc(segments) & mask:
        method = "/".join(segments)
    if atom.protocol is Protocol.A2A and any(text_matches(each, method) for each in _WITH_TASK):
        name = "" if segments[0] == GRPC_SERVICE else _TASK
    return Call(atom.protocol, method, name, {}, 1)
