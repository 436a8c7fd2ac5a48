"""Tokens that are genuine, but whose claims do not hold."""

from __future__ import annotations

from deputize.core.reasons import Reason
from scripts.vectors.cast import IDP, NOW, PARTNER, PARTNER_AUDIENCE, RESEARCH, issue
from scripts.vectors.rows import Row, check, group

_SKEW = 10
_EXPIRY = NOW + 300
"""Of a token that says nothing else."""


def _claims(name: str, title: str, **claims: object) -> Row:
    return name, title, check(issue(claims=claims))


def _without(name: str) -> Row:
    return f"{name.replace('_', '-')}-absent", f"no {name}", check(issue(omit=(name,)))


VECTORS = (
    *group(
        Reason.TOKEN_CLAIM_MISSING,
        "RFC 9068 sections 2.2 and 4",
        *(_without(name) for name in ("iss", "exp", "aud", "sub", "client_id", "iat", "jti")),
        _claims("exp-null", "exp that is null", exp=None),
    ),
    *group(
        Reason.TOKEN_UNKNOWN_ISSUER,
        "RFC 7519 section 4.1.1; RFC 8414 section 3.3; RFC 8725 section 3.8",
        _claims("iss-other", "an issuer nobody configured", iss="https://idp.evil.example"),
        _claims("iss-longer", "a known issuer and more", iss=f"{IDP.url}.evil.example"),
        (
            "iss-slash-left-out",
            "a known issuer without its slash",
            check(issue(PARTNER, iss=PARTNER.url[:-1])),
        ),
        _claims("iss-slash-added", "a known issuer and a slash", iss=f"{IDP.url}/"),
        _claims("iss-upper-case", "a known issuer in another case", iss=IDP.url.upper()),
        _claims("iss-list", "a list that holds a known issuer", iss=[IDP.url]),
        importance="critical",
    ),
    *group(
        Reason.TOKEN_WRONG_AUDIENCE,
        "RFC 7519 section 4.1.3; RFC 8725 section 3.9; RFC 9068 section 4",
        _claims("aud-other", "another audience", aud="invoices"),
        _claims(
            "aud-in-actor",
            "our audience inside act",
            aud="invoices",
            act={"sub": RESEARCH, "aud": "orders"},
        ),
        _claims("aud-sts", "a token meant for exchange", aud=f"{IDP.url}/token"),
        _claims("aud-longer", "our audience and more", aud="orders2"),
        _claims(
            "aud-spiffe-longer",
            "our SPIFFE ID and more",
            aud="spiffe://prod.example.org/ns/shop/sa/orders2",
        ),
        _claims("aud-upper-case", "our audience in another case", aud="Orders"),
        _claims("aud-of-other-issuer", "what only the other issuer may name", aud=PARTNER_AUDIENCE),
        importance="critical",
    ),
    *group(
        Reason.TOKEN_MALFORMED,
        "RFC 7519 section 4.1.3",
        _claims("aud-empty", "aud that is empty", aud=""),
        _claims("aud-nested-list", "our audience in a list in a list", aud=[["orders"]]),
        _claims("aud-empty-list", "aud that is an empty list", aud=[]),
        _claims("aud-mixed-list", "a number beside our audience", aud=["orders", 1]),
        _claims("aud-object", "aud that is an object", aud={"orders": True}),
    ),
    *group(
        Reason.TOKEN_EXPIRED,
        "RFC 7519 section 4.1.4",
        _claims("exp-past", "expired an hour ago", iat=NOW - 3900, exp=NOW - 3600),
        _claims(
            "exp-in-actor",
            "a later end inside act",
            iat=NOW - 360,
            exp=NOW - 60,
            act={"sub": RESEARCH, "exp": NOW + 300},
        ),
        importance="critical",
    ),
    *group(
        Reason.TOKEN_EXPIRED,
        "RFC 7519 section 4.1.4",
        ("exp-skew-over", "the last tolerated second is over", check()),
        importance="critical",
        now=_EXPIRY + _SKEW,
    ),
    *group(
        Reason.TOKEN_NOT_YET_VALID,
        "RFC 7519 sections 4.1.5 and 4.1.6",
        _claims("nbf-future", "nbf just beyond the tolerated skew", nbf=NOW + _SKEW + 1),
        _claims("iat-future", "issued just beyond the tolerated skew", iat=NOW + _SKEW + 1),
    ),
    *group(
        Reason.TOKEN_MALFORMED,
        "RFC 7519 sections 4.1.4 and 4.1.6",
        _claims("lifetime-negative", "it ended before it began", iat=NOW + 5, exp=NOW - 5),
    ),
    *group(
        Reason.TOKEN_LIFETIME_TOO_LONG,
        "own; `maxLifetimeSeconds` of an issuer",
        _claims("lifetime-too-long", "a second more than allowed", exp=NOW + 3601),
        _claims("lifetime-forever", "no end in sight", exp=2**53),
        (
            "lifetime-of-other-issuer",
            "longer than this issuer may, though another might",
            check(issue(PARTNER, exp=NOW + 601)),
        ),
    ),
    *group(
        Reason.TOKEN_MALFORMED,
        "RFC 7519 section 2 (NumericDate)",
        _claims("exp-text", "exp as text", exp=str(_EXPIRY)),
        _claims("exp-boolean", "exp as a boolean", exp=True),
        _claims("exp-negative", "exp before 1970", exp=-1),
        _claims("nbf-text", "nbf as text", nbf=str(NOW)),
        _claims("nbf-null", "nbf that is null", nbf=None),
    ),
    *group(
        Reason.TOKEN_MALFORMED,
        "RFC 7519 sections 4.1.2 and 4.1.7; RFC 8693 section 4.3",
        _claims("sub-empty", "sub that is empty", sub=""),
        _claims("sub-number", "sub as a number", sub=7),
        _claims("sub-control", "a line end in sub", sub="alice\nadmin"),
        _claims("jti-number", "jti as a number", jti=1),
    ),
    *group(
        Reason.TOKEN_MALFORMED,
        "RFC 8693 section 4.2; RFC 6749 section 3.3",
        _claims("scope-list", "scope as a list", scope=["orders:read"]),
        _claims("scope-control", "a tab between scopes", scope="orders:read\torders:write"),
        _claims("scope-quote", "a quote in a scope", scope='orders:read" realm="x'),
        _claims("scope-two-spaces", "two spaces between scopes", scope="orders:read  orders:write"),
    ),
)
