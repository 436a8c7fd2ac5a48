"""Tokens as real issuers write them, through `token.verify` and `delegation.bind`."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from deputize.config.issuer_profiles import known_profiles
from deputize.core.delegation import ChainRules, bind
from deputize.core.model import Assurance, Delegation, Kind, Peer, PeerSource
from deputize.core.reasons import Reason
from deputize.core.spiffe import parse_spiffe_id
from deputize.core.token import verify
from tests.harness.expect import refused
from tests.harness.issuer_shapes import SHAPES, Case, IssuerShape, token_parts
from tests.harness.shaped_world import issuer_of, sign, trust_in
from tests.harness.world import NOW, bearer, make_key_ring, no_recall

CASES = [(shape, case) for shape in SHAPES for case in shape.cases]
CHAINS = ChainRules(4, frozenset(), frozenset())


def bind_case(shape: IssuerShape, case: Case | None = None) -> Delegation:
    header, claims = token_parts(shape, case)
    has_key_id = case is None or "kid" not in case.omit
    compact = sign(shape, header, claims, has_key_id=has_key_id)
    rings = {shape.issuer: make_key_ring(issuer_of(shape))}
    token = verify(bearer(compact), {shape.issuer: trust_in(shape)}, rings, NOW, no_recall)
    sender = parse_spiffe_id((case.peer if case else "") or shape.peer)
    peer = Peer(sender, Assurance.CERTIFICATE_CHECKED, PeerSource.PRINCIPAL, "")
    return bind(token, peer, CHAINS, frozenset())


def test_every_profile_has_a_shape() -> None:
    assert {shape.profile for shape in SHAPES} == known_profiles().keys()


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_a_good_token_is_a_mandate(shape: IssuerShape) -> None:
    delegation = bind_case(shape)
    assert delegation.principal.subject == shape.principal
    assert delegation.principal.kind in {Kind.USER, Kind.UNKNOWN}
    assert delegation.agent.text == shape.peer
    assert delegation.scopes == shape.scopes
    assert delegation.style is shape.style


@pytest.mark.parametrize(
    ("shape", "case"), CASES, ids=[f"{shape.name}: {case.name}" for shape, case in CASES]
)
def test_what_is_like_it_is_told_apart(shape: IssuerShape, case: Case) -> None:
    with nullcontext() if case.reason is None else refused(case.reason):
        assert bind_case(shape, case).agent.text == shape.peer


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_a_token_of_one_issuer_is_of_no_use_to_another_workload(shape: IssuerShape) -> None:
    thief = Case("sent by a thief", None, peer="spiffe://prod.example.org/ns/other/sa/thief")
    with refused(Reason.DELEGATION_ACTOR_MISMATCH):
        bind_case(shape, thief)


def test_roles_can_be_asked_for_by_a_short_name() -> None:
    (keycloak,) = (shape for shape in SHAPES if shape.profile == "keycloak")
    assert bind_case(keycloak).principal.claims["roles"] == ["buyer"]
