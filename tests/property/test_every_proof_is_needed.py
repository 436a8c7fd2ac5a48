from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deputize.core.model import AccessRequest
from deputize.core.snapshot import Snapshot
from deputize.core.verdict import Effect, Permit
from tests.harness.issuer import Issuer
from tests.harness.strategies import LAW
from tests.harness.world import (
    DEFAULT_RULES,
    ISSUER_URL,
    NOW,
    OTHER_AGENT,
    decide_now,
    make_request,
    make_snapshot,
    make_svid,
    shared_issuer,
    with_rules,
)

PROOFS = ("peer", "token", "delegation", "action", "grant")

paths = st.sampled_from(["/v1/orders", "/v1/orders/7", "/v1/orders/a%20b?x=1"])
chains = st.lists(st.sampled_from([OTHER_AGENT, "legacy-bot"]), max_size=2, unique=True)
certificates = st.sampled_from(["", make_svid()])
subjects = st.sampled_from(["alice", "bob", "service@example.org"])


def effect(request: AccessRequest, snapshot: Snapshot) -> Effect:
    return decide_now(request, snapshot).effect


@LAW
@given(paths, chains, certificates, subjects)
def test_without_any_one_proof_a_call_is_refused(
    path: str, chain: list[str], certificate: str, subject: str
) -> None:
    issuer, snapshot = shared_issuer(), make_snapshot(shared_issuer())
    token = issuer.issue(now=NOW, chain=chain, subject=subject)
    without_act = issuer.issue(now=NOW, subject=subject, omit=["act"])
    forged = Issuer(ISSUER_URL).issue(now=NOW, chain=chain, subject=subject)

    def ask(token: str | None, peer: str | None = None) -> AccessRequest:
        request = make_request(token, path=path, certificate=certificate)
        return request if peer is None else make_request(token, path=path, peer=peer)

    assert effect(ask(token), snapshot) is Effect.ALLOW
    assert effect(ask(token, peer=""), snapshot) is Effect.DENY
    assert effect(ask(token, peer=OTHER_AGENT), snapshot) is Effect.DENY
    assert effect(ask(None), snapshot) is Effect.DENY
    assert effect(ask(forged), snapshot) is Effect.DENY
    assert effect(ask(without_act), snapshot) is Effect.DENY
    assert effect(ask(token), with_rules(snapshot, DEFAULT_RULES[1:])) is Effect.DENY


def permit() -> Permit:
    issuer = shared_issuer()
    verdict = decide_now(make_request(issuer.issue(now=NOW)), make_snapshot(issuer)).verdict
    assert isinstance(verdict, Permit)
    return verdict


@pytest.mark.parametrize("place", range(len(PROOFS)))
@pytest.mark.parametrize("other", [None, *PROOFS, "text"])
def test_a_permit_cannot_be_built_without_its_proofs(place: int, other: str | None) -> None:
    good = permit()
    arguments = [getattr(good, name) for name in PROOFS]
    assert Permit(*arguments) == good
    if other == PROOFS[place]:
        return
    arguments[place] = getattr(good, other) if other in PROOFS else other
    with pytest.raises(TypeError):
        Permit(*arguments)
