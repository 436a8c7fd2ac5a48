"""Targets whose input is signed, or stands where something signed is expected.

Each is a plain function of bytes that returns when its law holds, and needs no fuzzer.
"""

from __future__ import annotations

import json
from typing import TypeGuard

from deputize.core.audit_event import build
from deputize.core.decide import decide
from deputize.core.model import AccessRequest, UseOnce
from deputize.core.reasons import Reason
from deputize.core.snapshot import Snapshot
from deputize.core.status_list import (
    MAX_LIST_BYTES,
    StatusListError,
    read_status_list,
    status_at,
)
from deputize.core.verdict import Decision, Effect, Permit
from tests.fuzz.worlds import (
    BOUND_TOKEN,
    GOOD_TOKEN,
    ISSUER,
    ISSUERS,
    JWK,
    PLAIN,
    RING,
    STATUS_URI,
    THUMBPRINT,
    TOKEN_DIGEST,
    WORLDS,
    names_agent,
)
from tests.harness.issuer import encode_base64url
from tests.harness.issuer_shapes import SHAPES, IssuerShape
from tests.harness.world import NOW, PROOF_MAX_AGE, SKEW, decide_now, make_request

_ALGORITHMS = tuple({key.algorithm for key in RING.keys.values()})


def fuzz_compact(octets: bytes) -> None:
    """Any text as the token: nothing but the one good token is let in."""
    token = octets.decode("utf-8", "replace")
    decision = _decide(make_request(token), PLAIN)
    assert decision.reason.family != "system", decision
    if decision.effect is Effect.ALLOW:
        # What is signed with the key of the issuer anywhere is one of these two.
        assert token.strip(" ") in {GOOD_TOKEN, BOUND_TOKEN}


def fuzz_token(octets: bytes) -> None:
    """Any header and claims, signed, at each kind of issuer: an allow is of the current actor.

    The first byte chooses the issuer.
    """
    shape = SHAPES[octets[0] % len(SHAPES)] if octets else SHAPES[0]
    header, _, claims = octets[1:].partition(b"\0")
    request = make_request(ISSUERS[shape.issuer].sign_parts(header, claims), peer=shape.peer)
    world = WORLDS[shape.name]
    decision = _decide(request, world)
    if decision.reason.family == "system":
        # The one thing that a token may say and that only the shell can find out.
        assert decision.reason is Reason.SYSTEM_STATUS_UNAVAILABLE, decision
        assert "status" in json.loads(claims)
    permit = decision.verdict
    if isinstance(permit, Permit):
        assert permit.peer.id.text == permit.delegation.agent.text == shape.peer
        assert _current_actor_is(shape, json.loads(claims))
    if (known := decision.proven.token) is not None:
        again = decide(request, world, NOW, lambda _text: known)
        assert (again.reason, again.rule) == (decision.reason, decision.rule)


def fuzz_proof(octets: bytes) -> None:
    """Any DPoP proof, signed: an allow is for this key, method and token, and for once."""
    header, _, claims = octets.partition(b"\0")
    proof = ISSUER.sign_parts(header, claims)
    headers = {"authorization": f"DPoP {BOUND_TOKEN}", "dpop": proof}
    decision = _decide(make_request(headers=headers), PLAIN)
    assert decision.reason.family != "system", decision
    if isinstance(decision.verdict, Permit):
        proven = json.loads(claims)
        assert json.loads(header)["jwk"]["x"] == JWK["x"]
        assert (proven["htm"], proven["ath"]) == ("GET", TOKEN_DIGEST)
        assert abs(proven["iat"] - NOW) <= PROOF_MAX_AGE + SKEW
        (owed,) = decision.verdict.obligations
        assert isinstance(owed, UseOnce)
        assert THUMBPRINT in owed.key
        assert owed.until >= proven["iat"] + PROOF_MAX_AGE + SKEW


def fuzz_status_list(octets: bytes) -> None:
    """Any status list, signed: read within its bounds, or refused.

    After header and claims may stand the packed values, which take the place of those in the
    claims, so that a mutation comes past the base64url.
    """
    header, _, rest = octets.partition(b"\0")
    claims, divider, packed = rest.partition(b"\0")
    compact = ISSUER.sign_parts(header, _with_values(claims, packed) if divider else claims)
    try:
        found = read_status_list(compact, STATUS_URI, RING, _ALGORITHMS, NOW, SKEW)
    except StatusListError:
        return
    assert len(found.octets) <= MAX_LIST_BYTES
    assert found.usable_until > NOW
    entries = len(found.octets) * 8 // found.bits
    for index in {0, entries // 2, entries - 1} if entries else ():
        assert 0 <= status_at(found, index) < 1 << found.bits
    try:
        status_at(found, entries)
    except StatusListError:
        return
    raise AssertionError("a place after the end has a value")


def _decide(request: AccessRequest, snapshot: Snapshot) -> Decision:
    """The decision; whatever it is, there must be an audit event of it that JSON can hold."""
    decision = decide_now(request, snapshot)
    assert (decision.effect is Effect.ALLOW) == isinstance(decision.verdict, Permit)
    event = build(request, decision, 1)
    assert json.loads(json.dumps(event)) == event
    return decision


def _current_actor_is(shape: IssuerShape, claims: dict[str, object]) -> bool:
    """True when the outermost `act` names the peer, or without one anything else in the token."""
    act = claims.get("act")
    if not _is_object(act):
        return names_agent(shape, claims.values(), shape.peer)
    own = [value for name, value in act.items() if name != "act"]
    inner = [text for value in own if _is_object(value) for text in value.values()]
    return names_agent(shape, [*own, *inner], shape.peer)


def _is_object(value: object) -> TypeGuard[dict[str, object]]:
    return isinstance(value, dict)


def _with_values(claims: bytes, packed: bytes) -> bytes:
    try:
        members = json.loads(claims)
        members["status_list"]["lst"] = encode_base64url(packed)
    except (ValueError, TypeError, KeyError, RecursionError):
        return claims
    return json.dumps(members).encode()
