from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from deputize.core.audit_event import build
from deputize.core.model import AccessRequest
from deputize.core.snapshot import Snapshot
from deputize.core.verdict import Effect, Permit
from tests.harness.strategies import requests, tokens
from tests.harness.world import (
    AGENT,
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
