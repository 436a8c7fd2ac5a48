"""Signed tokens of other kinds: by their type, or by a shape that no access token has."""

from __future__ import annotations

from deputize.core.reasons import Reason
from scripts.vectors.cast import IDP, RESEARCH, issue
from scripts.vectors.rows import Row, check, group


def _typ(name: str, token_type: str) -> Row:
    return f"type-{name}", f"a token of type {token_type}", check(issue(header={"typ": token_type}))


def _shape(name: str, title: str, *, omit: tuple[str, ...] = (), **claims: object) -> Row:
    return f"kind-{name}", title, check(issue(claims=claims, omit=omit))


VECTORS = (
    *group(
        Reason.TOKEN_WRONG_TYPE,
        "RFC 9068 section 4; RFC 8725 section 3.11",
        ("type-absent", "no typ", check(issue(omit=("typ",)))),
        _typ("jwt", "JWT"),
        _typ("dpop", "dpop+jwt"),
        _typ("id-jag", "oauth-id-jag+jwt"),
        _typ("id-token", "id_token+jwt"),
        _typ("logout", "logout+jwt"),
        _typ("security-event", "secevent+jwt"),
        _typ("status-list", "statuslist+jwt"),
        _typ("transaction", "txntoken+jwt"),
        _typ("workload", "wit+jwt"),
        importance="critical",
    ),
    *group(
        Reason.TOKEN_WRONG_TYPE,
        "OpenID Connect Core 1.0 sections 2 and 3.1.3.6; RFC 8725 section 3.12",
        _shape("id-token", "an ID token, by its nonce", nonce="n-0S6"),
        _shape("id-token-at-hash", "an ID token, by the digest of another token", at_hash="x"),
        importance="critical",
    ),
    *group(
        Reason.TOKEN_WRONG_TYPE,
        "SPIFFE JWT-SVID section 3",
        _shape(
            "jwt-svid", "a workload's own JWT-SVID", omit=("act", "client_id", "jti"), sub=RESEARCH
        ),
        importance="critical",
    ),
    *group(
        Reason.TOKEN_WRONG_TYPE,
        "draft-ietf-oauth-transaction-tokens section 9",
        _shape("transaction", "a transaction token", tctx={"amount": 7}),
        _shape("transaction-request", "a transaction token, by who asked", req_wl=RESEARCH),
        importance="critical",
    ),
    *group(
        Reason.TOKEN_WRONG_TYPE,
        "RFC 8417 section 2.2; RFC 9449 section 4.2; RFC 7523 section 3; RFC 9701 section 5",
        _shape("event", "a logout or event token", events={}),
        _shape("proof", "a DPoP proof", htm="GET", htu="https://orders.example/v1/orders/7"),
        _shape("client-assertion", "a client that speaks for itself", sub=IDP.url),
        _shape("introspection", "an introspection answer", token_introspection={"active": True}),
        _shape("status-list", "a status list", status_list={"bits": 1, "lst": "eA"}),
        importance="critical",
    ),
)
