from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deputize.core.jws import JwsError
from deputize.core.keys import Algorithm, parse_jwk_set
from tests.harness.issuer import public_jwk
from tests.harness.strategies import LAW, json_values
from tests.harness.world import shared_issuer

JWKS = [
    {**public_jwk(shared_issuer(name).private_key), "kid": name, "alg": name} for name in Algorithm
]
members = st.sampled_from(["kty", "crv", "x", "y", "n", "e", "kid", "alg", "use", "key_ops", "d"])


@LAW
@given(st.sampled_from(JWKS), st.dictionaries(members, json_values, min_size=1, max_size=2))
def test_a_key_is_usable_or_left_out_with_a_reason(
    jwk: dict[str, str], changes: dict[str, object]
) -> None:
    document = json.dumps({"keys": [{**jwk, **changes}]}).encode()
    try:
        usable, left_out = parse_jwk_set(document, tuple(Algorithm))
    except JwsError:
        return
    assert len(usable) + len(left_out) == 1


@LAW
@given(st.binary() | st.builds(lambda value: json.dumps({"keys": value}).encode(), json_values))
def test_a_document_is_a_key_set_or_is_refused(document: bytes) -> None:
    try:
        usable, _ = parse_jwk_set(document, tuple(Algorithm))
    except JwsError:
        return
    assert usable == {}


@pytest.mark.parametrize("algorithm", Algorithm)
@pytest.mark.parametrize("allowed", Algorithm)
def test_a_key_is_used_only_for_an_allowed_algorithm(
    algorithm: Algorithm, allowed: Algorithm
) -> None:
    usable, _ = parse_jwk_set(shared_issuer(algorithm).jwks(), (allowed,))
    assert bool(usable) == (algorithm is allowed)
