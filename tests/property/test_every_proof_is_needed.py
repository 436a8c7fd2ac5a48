from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deputize.core.model import AccessRequest, Introspect, UseOnce
from deputize.core.snapshot import Snapshot
from deputize.core.verdict import Effect, Permit
from tests.harness.dpop_client import ProofKey
from tests.harness.issuer import Issuer
from tests.harness.strategies import LAW
from tests.harness.world import (
    DEFAULT_RULES,
    HOST,
    ISSUER_URL,
    NOW,
    OTHER_AGENT,
    decide_now,
    make_request,
    make_rule,
    make_snapshot,
    make_svid,
    make_trusted_issuer,
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


KEY, OTHER_KEY = ProofKey(), ProofKey()
SVID, OTHER_SVID = make_svid(), make_svid(not_after=NOW + 7200)


def thumbprint(certificate: str) -> str:
    peer = decide_now(make_request(certificate=certificate), make_snapshot(shared_issuer())).proven
    assert peer.peer is not None
    return peer.peer.certificate_sha256


@LAW
@given(path=paths, chain=chains, to_key=st.booleans(), to_certificate=st.booleans())
def test_a_bound_token_needs_each_of_its_proofs(
    *, path: str, chain: list[str], to_key: bool, to_certificate: bool
) -> None:
    cnf = {
        **({"jkt": KEY.thumbprint} if to_key else {}),
        **({"x5t#S256": thumbprint(SVID)} if to_certificate else {}),
    }
    claims = {"cnf": cnf} if cnf else {}
    token = shared_issuer().issue(now=NOW, chain=chain, claims=claims)
    snapshot = make_snapshot(shared_issuer())
    url = f"https://{HOST}{path.partition('?')[0]}"

    def ask(*, scheme: str = "", key: ProofKey | None = None, certificate: str = SVID) -> Effect:
        scheme = scheme or ("DPoP" if to_key else "Bearer")
        signer = key or KEY
        proof = {"dpop": signer.prove(token, now=NOW, url=url)} if scheme == "DPoP" else {}
        headers = {"authorization": f"{scheme} {token}", **proof}
        return effect(make_request(path=path, headers=headers, certificate=certificate), snapshot)

    assert ask() is Effect.ALLOW
    assert ask(scheme="Bearer" if to_key else "DPoP") is Effect.DENY
    if to_key:
        assert ask(key=OTHER_KEY) is Effect.DENY
    if to_certificate:
        assert ask(certificate=OTHER_SVID) is Effect.DENY
        assert ask(certificate="") is Effect.DENY


@LAW
@given(introspected=st.booleans(), used_once=st.booleans(), once=st.booleans())
def test_nothing_that_is_owed_is_left_out(
    *, introspected: bool, used_once: bool, once: bool
) -> None:
    trusted = replace(make_trusted_issuer(), introspected=introspected, use_once=used_once)
    snapshot = make_snapshot(shared_issuer(), trusted=[trusted], rules=[make_rule(use_once=once)])
    verdict = decide_now(make_request(shared_issuer().issue(now=NOW)), snapshot).verdict
    assert isinstance(verdict, Permit)
    kinds = [type(owed) for owed in verdict.obligations]
    assert kinds == [Introspect] * introspected + [UseOnce] * (used_once or once)


def permit() -> Permit:
    issuer = shared_issuer()
    verdict = decide_now(make_request(issuer.issue(now=NOW)), make_snapshot(issuer)).verdict
    assert isinstance(verdict, Permit)
    return verdict


@pytest.mark.parametrize("place", range(len(PROOFS)))
@pytest.mark.parametrize("other", [None, *PROOFS, "text"])
def test_a_permit_cannot_be_built_without_its_proofs(place: int, other: str | None) -> None:
    good = permit()
    arguments = [*(getattr(good, name) for name in PROOFS), (), None]
    assert Permit(*arguments) == good
    if other == PROOFS[place]:
        return
    arguments[place] = getattr(good, other) if other in PROOFS else other
    with pytest.raises(TypeError):
        Permit(*arguments)


def test_a_permit_cannot_be_built_without_saying_what_is_owed() -> None:
    good = permit()
    proofs = [getattr(good, name) for name in PROOFS]
    for shown in (proofs, [*proofs, ()]):
        with pytest.raises(TypeError):
            Permit(*shown)
