from __future__ import annotations

import json

import pytest

from deputize.core.jws import (
    HEADER_MEMBERS,
    MAX_JSON_DEPTH,
    MAX_TOKEN_BYTES,
    JwsError,
    read_json_object,
    read_unverified_jws,
)
from tests.harness.characters import CHARACTERS, DIGITS, LOWER, UPPER
from tests.harness.issuer import encode_base64url
from tests.harness.world import NOW, shared_issuer

HEADER = encode_base64url(b'{"alg":"ES256","kid":"k1","typ":"at+jwt"}')
PAYLOAD = encode_base64url(b'{"sub":"alice"}')
SIGNATURE = encode_base64url(b"signature")
BASE64URL = frozenset(UPPER + LOWER + DIGITS + "-_")


def compact(*, header: bytes | None = None, payload: bytes | None = None) -> str:
    parts = (
        HEADER if header is None else encode_base64url(header),
        PAYLOAD if payload is None else encode_base64url(payload),
        SIGNATURE,
    )
    return ".".join(parts)


def nested(depth: int) -> bytes:
    return b'{"a":' * depth + b"1" + b"}" * depth


def test_a_token_is_taken_apart() -> None:
    jws = read_unverified_jws(compact())
    assert (jws.header.algorithm, jws.header.key_id, jws.header.token_type) == (
        "ES256",
        "k1",
        "at+jwt",
    )
    assert jws.payload == {"sub": "alice"}
    assert jws.signing_input == f"{HEADER}.{PAYLOAD}".encode()
    assert jws.signature == b"signature"


def test_absent_header_members_are_empty() -> None:
    header = read_unverified_jws(compact(header=b"{}")).header
    assert (header.algorithm, header.key_id, header.token_type) == ("", "", "")


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        "...",
        HEADER,
        f"{HEADER}.{PAYLOAD}",
        f"{HEADER}.{PAYLOAD}.",
        f".{PAYLOAD}.{SIGNATURE}",
        f"{HEADER}..{SIGNATURE}",
        f"{HEADER}.{PAYLOAD}.{SIGNATURE}.{SIGNATURE}",
        f"{HEADER}.{PAYLOAD}.{SIGNATURE}.{SIGNATURE}.{SIGNATURE}",
        f"{HEADER}.{PAYLOAD}.{SIGNATURE}.{SIGNATURE}.{SIGNATURE}.{SIGNATURE}",
        f"{HEADER}.{PAYLOAD}.{SIGNATURE}=",
        f"{HEADER}.{PAYLOAD}.{SIGNATURE}\n",
        f" {HEADER}.{PAYLOAD}.{SIGNATURE}",
        f"{HEADER}.{PAYLOAD}.{SIGNATURE}A",
        json.dumps({"protected": HEADER, "payload": PAYLOAD, "signature": SIGNATURE}),
        json.dumps({"payload": PAYLOAD, "signatures": []}),
    ],
)
def test_what_is_no_compact_jws(text: str) -> None:
    with pytest.raises(JwsError):
        read_unverified_jws(text)


def test_a_token_has_exactly_these_characters() -> None:
    for char in CHARACTERS:
        text = f"{HEADER}.{PAYLOAD}.AA{char}A"
        if char in BASE64URL:
            read_unverified_jws(text)
        else:
            with pytest.raises(JwsError):
                read_unverified_jws(text)


@pytest.mark.parametrize("part", ["AB", "A_", "AAB", "AA-", "Zh", "A", "AAAAA"])
def test_base64url_with_unused_bits_or_no_whole_byte_is_refused(part: str) -> None:
    with pytest.raises(JwsError):
        read_unverified_jws(f"{HEADER}.{PAYLOAD}.{part}")


def test_the_longest_token() -> None:
    start = f"{HEADER}.{PAYLOAD}."
    room = MAX_TOKEN_BYTES - len(start)
    read_unverified_jws(start + "A" * (room - (room % 4 == 1)))
    with pytest.raises(JwsError):
        read_unverified_jws(start + "A" * (room + 1 + (room % 4 == 0)))


@pytest.mark.parametrize(
    "member",
    ["crit", "b64", "zip", "enc", "jku", "jwk", "x5u", "x5c", "x5t", "x5t#S256", "cty", "p2c",
     "p2s", "epk", "apu", "iss", "Alg", "KID", "alg "],
)  # fmt: skip
@pytest.mark.parametrize("value", [[], "", "JWT", False, ["exp"], None])
def test_no_other_header_member_may_stand(member: str, value: object) -> None:
    header = {"alg": "ES256", "kid": "k1", "typ": "at+jwt", member: value}
    with pytest.raises(JwsError):
        read_unverified_jws(compact(header=json.dumps(header).encode()))


@pytest.mark.parametrize("member", ["alg", "kid", "typ"])
@pytest.mark.parametrize(
    "value", [None, 1, True, [], ["ES256"], {}, "", "a\n", "\u200b", "a" * 257]
)
def test_a_header_member_is_a_short_printable_text(member: str, value: object) -> None:
    with pytest.raises(JwsError):
        read_unverified_jws(compact(header=json.dumps({member: value}).encode()))


PROOF_MEMBERS = frozenset({"typ", "alg", "jwk"})


def test_a_reader_names_the_header_members_that_may_stand() -> None:
    header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": {"kty": "EC"}}
    token = compact(header=json.dumps(header).encode())
    read = read_unverified_jws(token, header_members=PROOF_MEMBERS).header
    assert (read.token_type, read.algorithm, read.key_id) == ("dpop+jwt", "ES256", "")
    assert read.jwk == {"kty": "EC"}
    assert read.further_members == frozenset({"jwk"})


@pytest.mark.parametrize("member", ["kid", "crit", "b64", "jku", "x5c", "Jwk", "jwk "])
def test_a_reader_that_names_others_gets_no_more_than_those(member: str) -> None:
    header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": {}, member: "x"}
    token = compact(header=json.dumps(header).encode())
    with pytest.raises(JwsError):
        read_unverified_jws(token, header_members=PROOF_MEMBERS)


@pytest.mark.parametrize("value", [None, True, 1, "", "{}", [], [{}]])
def test_a_jwk_is_an_object(value: object) -> None:
    token = compact(header=json.dumps({"jwk": value}).encode())
    with pytest.raises(JwsError):
        read_unverified_jws(token, header_members=PROOF_MEMBERS)


def test_further_members_are_named() -> None:
    token = compact(header=b'{"alg":"ES256","x5t":"x","x5t#S256":"y"}')
    allowed = HEADER_MEMBERS | {"x5t", "x5t#S256", "cty"}
    header = read_unverified_jws(token, header_members=allowed).header
    assert header.further_members == frozenset({"x5t", "x5t#S256"})
    assert header.jwk is None
    assert not read_unverified_jws(compact(), header_members=allowed).header.further_members


def test_a_reader_may_set_the_longest_token() -> None:
    token = compact(payload=b'{"a":"' + b"x" * MAX_TOKEN_BYTES + b'"}')
    read_unverified_jws(token, max_bytes=len(token))
    for fewer in (len(token) - 1, MAX_TOKEN_BYTES):
        with pytest.raises(JwsError):
            read_unverified_jws(token, max_bytes=fewer)


BAD_JSON = {
    "nothing": b"",
    "blank": b" ",
    "cut": b'{"a":1',
    "trailing text": b'{"a":1} x',
    "two objects": b"{}{}",
    "a zero byte after it": b"{}\x00",
    "an array": b"[]",
    "a text": b'"a"',
    "a number": b"1",
    "null": b"null",
    "true": b"true",
    "UTF-8 BOM": b"\xef\xbb\xbf{}",
    "BOM behind a space": b" \xef\xbb\xbf{}",
    "UTF-16 with BOM": '{"a":1}'.encode("utf-16"),
    "UTF-16 little endian": '{"a":1}'.encode("utf-16-le"),
    "UTF-32": '{"a":1}'.encode("utf-32-be"),
    "Latin-1": '{"a":"\u00e9"}'.encode("latin-1"),
    "overlong UTF-8": b'{"a":"\xc0\xaf"}',
    "an encoded surrogate": b'{"a":"\xed\xa0\x80"}',
    "duplicate member": b'{"a":1,"a":1}',
    "duplicate inside": b'{"act":{"sub":"x","sub":"y"}}',
    "duplicate in a list": b'{"a":[{"b":1,"b":2}]}',
    "duplicate by escape": b'{"sub":1,"su\\u0062":2}',
    "NaN": b'{"a":NaN}',
    "Infinity": b'{"a":Infinity}',
    "-Infinity": b'{"a":-Infinity}',
    "1e400": b'{"a":1e400}',
    "-1e400": b'{"a":-1e400}',
    "a number too long to read": b'{"a":' + b"1" * 5000 + b"}",
    "leading zero": b'{"a":01}',
    "hexadecimal": b'{"a":0x1}',
    "single quotes": b"{'a':1}",
    "trailing comma": b'{"a":1,}',
    "comment": b'{"a":1/**/}',
    "raw control in a text": b'{"a":"\x01"}',
    "raw newline in a text": b'{"a":"\n"}',
    "lone surrogate": b'{"a":"\\ud800"}',
    "lone low surrogate": b'{"a":"\\udc00"}',
    "surrogates the wrong way": b'{"a":"\\udc00\\ud800"}',
    "surrogate in a name": b'{"\\ud800":1}',
    "surrogate deep inside": b'{"a":[{"b":"x\\udfff"}]}',
    "too deep": nested(MAX_JSON_DEPTH + 1),
    "too deep by arrays": b'{"a":' + b"[" * MAX_JSON_DEPTH + b"]" * MAX_JSON_DEPTH + b"}",
    "too deep behind an escape": (
        b'{"a":"\\\\","b":' + b"[" * MAX_JSON_DEPTH + b"]" * MAX_JSON_DEPTH + b"}"
    ),
    "far too deep": b"[" * 6000,
    "an open string of quotes": b'{"a":"' + b'\\"' * 3000,
}


@pytest.mark.parametrize("octets", BAD_JSON.values(), ids=BAD_JSON.keys())
def test_json_with_more_than_one_reading_is_refused(octets: bytes) -> None:
    with pytest.raises(JwsError):
        read_json_object(octets)


@pytest.mark.parametrize("name", [name for name, octets in BAD_JSON.items() if octets])
def test_the_same_holds_for_both_parts_of_a_token(name: str) -> None:
    for token in (compact(header=BAD_JSON[name]), compact(payload=BAD_JSON[name])):
        with pytest.raises(JwsError):
            read_unverified_jws(token)


@pytest.mark.parametrize(
    ("octets", "value"),
    [
        (b' {"a": 1}\n', {"a": 1}),
        (b'{"a":"\\ud83d\\ude00"}', {"a": "\U0001f600"}),
        (b'{"a":"[[[[[[[[[[[[[[[[[[[["}', {"a": "[" * 20}),
        (b'{"a":"\\"[[[[[[[[[[[[[[[[[[[["}', {"a": '"' + "[" * 20}),
        (b'{"a":"\\\\"}', {"a": "\\"}),
        (b'{"a":1.5e3,"b":[null,true]}', {"a": 1500.0, "b": [None, True]}),
        (b"{}", {}),
    ],
)
def test_json_with_one_reading(octets: bytes, value: object) -> None:
    assert read_json_object(octets) == value


def test_the_deepest_json() -> None:
    assert read_json_object(nested(MAX_JSON_DEPTH))


def test_siblings_are_not_depth() -> None:
    assert read_json_object(b'{"a":[' + b"[]," * 50 + b"[]]}")


def test_the_message_never_quotes_the_token() -> None:
    token = shared_issuer().issue(now=NOW)
    with pytest.raises(JwsError) as caught:
        read_unverified_jws(f"{token}=")
    assert not any(part in str(caught.value) for part in token.split("."))
