from __future__ import annotations

import json

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from deputize.core.audit_event import build
from deputize.core.model import AccessRequest
from deputize.core.snapshot import Snapshot
from deputize.core.verdict import Effect, Permit
from tests.harness.dpop_client import ProofKey
from tests.harness.issuer_shapes import SHAPES, IssuerShape
from tests.harness.shaped_world import issuer_of, sign, trust_in
from tests.harness.strategies import json_values, requests, tokens
from tests.harness.world import (
    AGENT,
    NOW,
    decide_now,
    make_request,
    make_snapshot,
    make_svid,
    shared_issuer,
)

FUZZ = settings(max_examples=400, deadline=None)
LENIENT = make_snapshot(shared_issuer())
STRICT = make_snapshot(
    shared_issuer(),
    token_header="x-request-id",
    require_certificate=True,
    allowed_proxies=[AGENT],
)


@FUZZ
@given(requests(), st.sampled_from([LENIENT, LENIENT, STRICT]))
def test_every_request_gets_an_answer_that_is_not_our_fault(
    request: AccessRequest, snapshot: Snapshot
) -> None:
    decision = decide_now(request, snapshot)
    assert decision.reason.family != "system"
    assert (decision.effect is Effect.ALLOW) == isinstance(decision.verdict, Permit)
    event = build(request, decision, 1)
    assert json.loads(json.dumps(event)) == event


@FUZZ
@given(tokens)
def test_every_token_gets_an_answer_that_is_not_our_fault(token: str) -> None:
    request = make_request(token, certificate=make_svid())
    decision = decide_now(request, LENIENT)
    assert decision.reason.family != "system"
    event = json.dumps(build(request, decision, 1))
    # Short pieces of garbage may stand anywhere by chance.
    assert not any(part in event for part in token.split(".") if len(part) > 40)


@FUZZ
@given(st.dictionaries(st.text(), json_values, max_size=3))
def test_whatever_claims_are_recorded_the_event_can_be_written(claims: dict[str, object]) -> None:
    request = make_request(shared_issuer().issue(now=NOW, claims=claims))
    decision = decide_now(request, LENIENT)
    orjson.dumps(build(request, decision, 1, list(claims)))


SNAPSHOTS = {
    shape.name: make_snapshot(
        issuer_of(shape),
        trusted=[trust_in(shape)],
        rules=[],
    )
    for shape in SHAPES
}


@FUZZ
@given(st.data(), st.sampled_from(SHAPES))
def test_every_token_of_every_issuer_gets_an_answer_that_is_not_our_fault(
    data: st.DataObject, shape: IssuerShape
) -> None:
    names = st.sampled_from([*shape.claims, "act", "cnf", "status", "sub", "client_id", "scp"])
    changes = data.draw(st.dictionaries(names, json_values, max_size=3))
    removed = data.draw(st.sets(names, max_size=1))
    claims = {
        name: value for name, value in {**shape.claims, **changes}.items() if name not in removed
    }
    request = make_request(sign(shape, shape.header, claims), peer=shape.peer)
    decision = decide_now(request, SNAPSHOTS[shape.name])
    assert decision.effect is Effect.DENY
    assert decision.reason.family != "system"
    event = build(request, decision, 1)
    assert json.loads(json.dumps(event)) == event


KEY = ProofKey()
BOUND = shared_issuer().issue(now=NOW, claims={"cnf": {"jkt": KEY.thumbprint}})


@FUZZ
@given(
    st.dictionaries(st.sampled_from(["htm", "htu", "iat", "ath", "jti"]), json_values, max_size=2),
    st.dictionaries(st.sampled_from(["typ", "alg", "jwk", "kid"]), json_values, max_size=1),
    st.text(),
)
def test_every_proof_gets_an_answer_that_is_not_our_fault(
    claims: dict[str, object], header: dict[str, object], text: str
) -> None:
    good = KEY.prove(BOUND, now=NOW, claims=claims, header=header)
    for proof in (good, text, good[: len(text)] + text):
        headers = {"authorization": f"DPoP {BOUND}", "dpop": proof}
        assert decide_now(make_request(headers=headers), LENIENT).reason.family != "system"
