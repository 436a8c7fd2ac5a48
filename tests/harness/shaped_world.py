"""The world of one real issuer: its tokens, and trust in it as its built-in profile gives it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cache

from deputize.config.issuer_compiler import allowed_algorithms
from deputize.config.issuer_profiles import compile_profile, effective_keys
from deputize.config.issuer_schema import Issuer as IssuerSettings
from deputize.core.model import Json
from deputize.core.trust import TrustedIssuer
from tests.harness.issuer import Issuer
from tests.harness.issuer_shapes import IssuerShape
from tests.harness.world import (
    make_identities,
    make_mandate_rules,
    make_trusted_issuer,
    shared_issuer,
)


def trust_in(shape: IssuerShape) -> TrustedIssuer:
    """As the configuration of the issuer gives it, with nothing said but its profile."""
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
    rules = make_mandate_rules(
        shape.issuer,
        profile=compile_profile(keys),
        identities=make_identities(shape.exact, shape.templates),
    )
    return replace(
        make_trusted_issuer(shape.issuer, rules=rules),
        audiences=frozenset(settings.audiences),
        algorithms=allowed_algorithms(keys),
        max_lifetime=float(keys.max_lifetime_seconds),
    )


@cache
def issuer_at(url: str, algorithm: str) -> Issuer:
    """An issuer with the key that all of this algorithm share."""
    return Issuer(url, algorithm=algorithm, private_key=shared_issuer(algorithm).private_key)


def issuer_of(shape: IssuerShape) -> Issuer:
    """The issuer of such tokens."""
    return issuer_at(shape.issuer, shape.algorithm)


def sign(
    shape: IssuerShape,
    header: Mapping[str, Json],
    claims: Mapping[str, object],
    *,
    has_key_id: bool = True,
) -> str:
    """A token of the issuer with these members; `alg` and `kid` are its own."""
    issuer = issuer_of(shape)
    key_id = {"kid": issuer.key_id} if has_key_id else {}
    return issuer.sign({"alg": issuer.algorithm, **key_id, **header}, json.dumps(claims).encode())
