"""Tokens as real issuers write them, through `token.verify` and `delegation.bind`."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import replace
from functools import cache

import pytest

from deputize.config.issuer_compiler import allowed_algorithms
from deputize.config.issuer_profiles import compile_profile, effective_keys, known_profiles
from deputize.config.issuer_schema import Issuer as IssuerSettings
from deputize.core.delegation import ChainRules, bind
from deputize.core.model import Assurance, Delegation, Kind, Peer, PeerSource
from deputize.core.reasons import Reason
from deputize.core.spiffe import parse_spiffe_id
from deputize.core.token import verify
from deputize.core.trust import TrustedIssuer
from tests.harness.expect import refused
from tests.harness.issuer import Issuer
from tests.harness.issuer_shapes import SHAPES, Case, IssuerShape, token_parts
from tests.harness.world import (
    NOW,
    bearer,
    make_identities,
    make_key_ring,
    make_mandate_rules,
    make_trusted_issuer,
    no_recall,
    shared_issuer,
)

CASES = [(shape, case) for shape in SHAPES for case in shape.cases]
CHAINS = ChainRules(4, frozenset(), frozenset())


def trust_in(shape: IssuerShape) -> TrustedIssuer:
    """As the configuration of the issuer with its profile gives it."""
    settings = IssuerSettings.model_validate(
        {
            "issuer": shape.issuer,
            "profile": shape.profile,
            "audiences": [shape.audience],
            "keys": {"file": "jwks.json"},
        }
    )
    keys = effective_keys(settings)
    assert keys.max_lifetime_seconds is not None
    return replace(
        make_trusted_issuer(
            shape.issuer,
            rules=make_mandate_rules(
                shape.issuer,
                profile=compile_profile(keys),
                identities=make_identities(shape.exact, shape.templates),
            ),
        ),
        audiences=frozenset(settings.audiences),
        algorithms=allowed_algorithms(settings),
        max_lifetime=float(keys.max_lifetime_seconds),
    )


@cache
def issuer_of(shape_name: str) -> Issuer:
    (shape,) = (each for each in SHAPES if each.name == shape_name)
    key = shared_issuer(shape.algorithm).private_key
    return Issuer(shape.issuer, algorithm=shape.algorithm, private_key=key)


def bind_case(shape: IssuerShape, case: Case | None = None) -> Delegation:
    issuer = issuer_of(shape.name)
    changes, claims = token_parts(shape, case)
    own = {"alg": issuer.algorithm, "kid": issuer.key_id}
    omitted = case.omit if case else ()
    header = {name: value for name, value in own.items() if name not in omitted}
    compact = issuer.sign({**header, **changes}, json.dumps(claims).encode())
    rings = {shape.issuer: make_key_ring(issuer)}
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
