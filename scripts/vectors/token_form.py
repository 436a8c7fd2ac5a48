"""Tokens that are absent, or whose text is no well-formed JWS."""

from __future__ import annotations

from deputize.core.reasons import Reason
from scripts.vectors.cast import IDP, issue
from scripts.vectors.forging import (
    HEADER,
    PAYLOAD,
    SIGNATURE,
    TOKEN,
    deep,
    loose_bits,
    signed,
    with_header,
    with_payload,
)
from scripts.vectors.rows import Row, check, group, with_raw_headers
from tests.harness.issuer import decode_base64url

_OCTETS = decode_base64url(PAYLOAD)
_SUB = '"sub": "alice"'


def _sent(name: str, title: str, token: str) -> Row:
    return name, title, check(token)


def _credential(name: str, title: str, value: str) -> Row:
    return name, title, check(headers={"authorization": value})


VECTORS = (
    *group(
        Reason.TOKEN_MISSING,
        "RFC 6750 sections 2.1 and 3; RFC 9110 section 11.1",
        ("absent", "no Authorization header", check(omit=("authorization",))),
        _credential("other-scheme", "another scheme", "Basic YWxpY2U6c2VjcmV0"),
        _credential("other-scheme-token", "a token under another scheme", f"Token {TOKEN}"),
        _credential("scheme-only", "a scheme without a credential", "Bearer"),
        _credential("no-scheme", "a token without a scheme", TOKEN),
        (
            "in-other-header",
            "a token in a header that is not the configured one",
            check(omit=("authorization",), headers={"x-forwarded-access-token": TOKEN}),
        ),
    ),
    *group(
        Reason.TOKEN_MALFORMED,
        "RFC 7515 sections 2 and 7.1; RFC 4648 section 3.5",
        _sent("padding", "base64url with padding", f"{HEADER}.{PAYLOAD}.{SIGNATURE}=="),
        _sent(
            "standard-alphabet", "base64 as it is not for URLs", f"{HEADER}.{PAYLOAD}.+/{SIGNATURE}"
        ),
        _sent("braces", "braces around it", f"{{{TOKEN}}}"),
        _sent("space-inside", "a space inside", f"{HEADER}.{PAYLOAD} .{SIGNATURE}"),
        _sent("line-end", "a line end behind", f"{TOKEN}\n"),
        _sent("loose-bits", "the same bytes by another text", loose_bits(TOKEN)),
        (
            "raw-not-utf-8",
            "a raw header value that is no UTF-8",
            with_raw_headers(
                check(omit=("authorization",)),
                ("authorization", f"Bearer {TOKEN}".encode() + b"\xff"),
            ),
        ),
    ),
    *group(
        Reason.TOKEN_MALFORMED,
        "RFC 7515 section 7.1; RFC 7516 section 7.1",
        _sent("one-part", "one part", "opaque-token"),
        _sent("two-parts", "no signature part", f"{HEADER}.{PAYLOAD}"),
        _sent("empty-signature", "an empty signature", f"{HEADER}.{PAYLOAD}."),
        _sent("four-parts", "four parts", f"{TOKEN}.{HEADER}"),
        _sent("six-parts", "six parts", f"{TOKEN}.{TOKEN}"),
        _sent("five-parts", "five parts, as an encrypted token has", f"{TOKEN}.{HEADER}.{PAYLOAD}"),
    ),
    *group(
        Reason.TOKEN_MALFORMED,
        "RFC 7515 section 2; RFC 7519 section 7.2; RFC 8725 section 3.7",
        _sent("utf-16", "a payload in UTF-16", signed(_OCTETS.decode().encode("utf-16"))),
        _sent(
            "byte-order-mark", "a payload with a byte order mark", signed(b"\xef\xbb\xbf" + _OCTETS)
        ),
        _sent("payload-not-utf-8", "a payload that is no UTF-8", signed(_OCTETS + b"\xff")),
        _sent(
            "header-not-utf-8", "a header that is no UTF-8", IDP.sign_parts(b'{"\xff":1}', _OCTETS)
        ),
        _sent("header-list", "a header that is a list", with_header('["ES256"]')),
        _sent("payload-list", "a payload that is a list", signed(b"[]")),
        _sent("payload-text", "a payload that is a text", signed(b'"alice"')),
        _sent("payload-number", "a payload that is a number", signed(b"7")),
        _sent("payload-null", "a payload that is null", signed(b"null")),
        _sent("trailing-text", "text behind the payload's object", signed(_OCTETS + b"{}")),
    ),
    *group(
        Reason.TOKEN_MALFORMED,
        "RFC 7515 section 4; RFC 7519 section 4; RFC 7493 section 2.3",
        _sent(
            "header-member-twice",
            "a header member twice",
            with_header('{"typ":"at+jwt","alg":"none","alg":"ES256","kid":"idp-es256"}'),
        ),
        _sent("claim-twice", "a claim twice", with_payload(_SUB, f'"sub": "mallory", {_SUB}')),
        _sent(
            "claim-twice-escaped",
            "a claim twice, once with an escape in its name",
            with_payload(_SUB, f'"su\\u0062": "mallory", {_SUB}'),
        ),
        _sent(
            "actor-member-twice",
            "a member of act twice",
            with_payload('"act": {', '"act": {"sub": "spiffe://prod.example.org/x", '),
        ),
        _sent(
            "binding-member-twice",
            "a member of cnf twice",
            with_payload(_SUB, f'{_SUB}, "cnf": {{"jkt": "a", "jkt": "b"}}'),
        ),
        importance="critical",
    ),
    *group(
        Reason.TOKEN_MALFORMED,
        "RFC 8259 section 6; RFC 7493 sections 2.1 and 2.2",
        _sent("nan", "a number that is none", issue(exp=float("nan"))),
        _sent("infinity", "a number without end", issue(exp=float("inf"))),
        _sent(
            "number-too-large", "a number too large to hold", with_payload("1800000300", "1e400")
        ),
        _sent(
            "lone-surrogate",
            "half a character, in a claim that is not read",
            with_payload(_SUB, f'{_SUB}, "note": "\\ud800"'),
        ),
    ),
    *group(
        Reason.TOKEN_MALFORMED,
        "own; bounded work",
        _sent("too-long", "more than 8192 bytes", issue(note="x" * 6000)),
        _sent("too-deep", "JSON deeper than 16", issue(note=deep(16))),
        importance="normal",
    ),
)
