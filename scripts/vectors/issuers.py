"""Tokens as real issuers write them, and what is like them: the shapes of the harness as data."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from deputize.core.reasons import Reason
from scripts.vectors.cast import DOMAIN, shape_issuer
from scripts.vectors.rows import check, group
from tests.harness.issuer_shapes import AUTH0_PLAIN, SHAPES, Case, IssuerShape, token_parts
from tests.harness.vector_files import ISSUERS_WORLD, Vector

_EVERY_SHAPE = (
    Case("a good token", None),
    Case(
        "a good token that was stolen",
        Reason.DELEGATION_ACTOR_MISMATCH,
        peer=f"{DOMAIN}/ns/other/sa/thief",
    ),
)


def _token(shape: IssuerShape, case: Case) -> str:
    issuer = shape_issuer(shape.issuer, shape.algorithm)
    header, claims = token_parts(shape, case)
    key_id = {} if "kid" in case.omit else {"kid": issuer.key_id}
    return issuer.sign({"alg": shape.algorithm, **key_id, **header}, json.dumps(claims).encode())


def _vectors(shape: IssuerShape) -> Iterator[Vector]:
    # Two shapes have this profile.
    prefix = "auth0-obo" if shape is AUTH0_PLAIN else shape.profile
    for case in (*_EVERY_SHAPE, *shape.cases):
        name = re.sub("[^a-z0-9]+", "-", case.name.lower()).strip("-")
        request = check(_token(shape, case), peer=case.peer or shape.peer)
        yield from group(
            case.reason or Reason.POLICY_ALLOWED,
            f"src/deputize/profiles/{shape.profile}.yaml (sources)",
            (f"{prefix}-{name}", f"{shape.name}: {case.name}", request),
            rule=None if case.reason else f"issuers/{shape.profile}",
            world=ISSUERS_WORLD,
        )


VECTORS = tuple(vector for shape in SHAPES for vector in _vectors(shape))
