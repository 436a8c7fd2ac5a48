from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deputize.core.dpop import PossessionError, check_proof, read_confirmation
from deputize.core.jws import MAX_TOKEN_BYTES
from deputize.core.keys import Algorithm
from deputize.core.model import AccessRequest, Confirmation, Json, UseOnce
from tests.harness.characters import CHARACTERS
from tests.harness.dpop_client import ProofKey
from tests.harness.issuer import decode_base64url, encode_base64url, public_jwk, sign_bytes
from tests.harness.world import HOST, NOW, PROOF_MAX_AGE, SKEW, make_request

TOKEN = "header.payload.signature"
PATH = "/v1/orders/7"
URL = f"https://{HOST}{PATH}"
REQUEST = make_request()
KEY = ProofKey()
THUMBPRINT, OTHER = (encode_base64url(bytes([octet]) * 32) for octet in (0, 255))

# The example of RFC 9449 section 7.1.
RFC_JKT = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
RFC_TOKEN = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"
RFC_NOW = 1562262618
RFC_PROOF = (
    "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNo"
    "UklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERW"
    "clUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1"
    "IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwi"
    "YXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey"
    "71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA"
)


def prove(
    claims: Mapping[str, object] = {},
    *,
    key: ProofKey = KEY,
    header: Mapping[str, object] = {},
    omit: str = "",
) -> str:
    return key.prove(TOKEN, now=NOW, claims=claims, header=header, omit=[omit])


def sign(header: Mapping[str, object], payload: Mapping[str, object], key: ProofKey = KEY) -> str:
    parts = ".".join(encode_base64url(json.dumps(part).encode()) for part in (header, payload))
    signature = sign_bytes(key.private_key, key.algorithm, parts.encode())
    return f"{parts}.{encode_base64url(signature)}"


def claims_of(proof: str) -> dict[str, str]:
    claims: dict[str, str] = json.loads(decode_base64url(proof.split(".")[1]))
    return claims


def check(
    proof: str,
    *,
    jkt: str = KEY.thumbprint,
    token: str = TOKEN,
    request: AccessRequest = REQUEST,
    now: float = NOW,
) -> UseOnce:
    return check_proof(
        proof,
        jkt=jkt,
        token=token,
        request=request,
        now=now,
        max_age=PROOF_MAX_AGE,
        clock_skew=SKEW,
    )


def holds(
    proof: str,
    *,
    jkt: str = KEY.thumbprint,
    token: str = TOKEN,
    request: AccessRequest = REQUEST,
    now: float = NOW,
) -> bool:
    try:
        check(proof, jkt=jkt, token=token, request=request, now=now)
    except PossessionError:
        return False
    return True


# What a token is bound to


def test_a_token_that_is_bound_to_nothing() -> None:
    assert read_confirmation({"sub": "alice", "jkt": THUMBPRINT}) is None


@pytest.mark.parametrize(
    ("cnf", "bound"),
    [
        ({"x5t#S256": THUMBPRINT}, Confirmation(THUMBPRINT, "")),
        ({"jkt": THUMBPRINT}, Confirmation("", THUMBPRINT)),
        ({"x5t#S256": THUMBPRINT, "jkt": OTHER}, Confirmation(THUMBPRINT, OTHER)),
        ({"jkt": THUMBPRINT, "kid": "k1"}, Confirmation("", THUMBPRINT)),
    ],
)
def test_what_a_token_is_bound_to(cnf: Json, bound: Confirmation) -> None:
    assert read_confirmation({"cnf": cnf}) == bound


@pytest.mark.parametrize(
    "cnf",
    [
        None,
        True,
        0,
        "",
        THUMBPRINT,
        [],
        [{"jkt": THUMBPRINT}],
        {},
        {"jwk": {"kty": "EC"}},
        {"kid": "k1"},
        {"x5t": "AAAAAAAAAAAAAAAAAAAAAAAAAAA"},
        {"x5t#s256": THUMBPRINT},
        {"JKT": THUMBPRINT},
        {"cnf": {"jkt": THUMBPRINT}},
    ],
)
def test_a_binding_that_is_not_understood_is_not_passed_over(cnf: Json) -> None:
    with pytest.raises(PossessionError):
        read_confirmation({"cnf": cnf})


@pytest.mark.parametrize("member", ["jkt", "x5t#S256"])
@pytest.mark.parametrize("other", [{}, {"jkt": OTHER}, {"x5t#S256": OTHER}])
@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        0,
        "",
        [THUMBPRINT],
        {"sha256": THUMBPRINT},
        "00" * 32,
        f"{THUMBPRINT}=",
        f"{THUMBPRINT}\n",
        f" {THUMBPRINT}",
        THUMBPRINT[:-1],
        f"{THUMBPRINT}A",
        f"{THUMBPRINT[:-1]}B",
        OTHER.replace("_", "/"),
        encode_base64url(bytes(20)),
        encode_base64url(bytes(31)),
        encode_base64url(bytes(33)),
        "\u212a" * 43,
        "\ud800",
    ],
)
def test_a_thumbprint_has_one_spelling(member: str, other: Mapping[str, Json], value: Json) -> None:
    with pytest.raises(PossessionError):
        read_confirmation({"cnf": {**other, member: value}})


# Proofs


def test_the_proof_of_the_standard() -> None:
    request = make_request(host="resource.example.org", path="/protectedresource")
    used = check(RFC_PROOF, jkt=RFC_JKT, token=RFC_TOKEN, request=request, now=RFC_NOW)
    assert used.key.startswith(f"proof:{RFC_JKT}:")


@pytest.mark.parametrize("algorithm", Algorithm)
def test_a_proof_may_be_signed_with_every_algorithm(algorithm: Algorithm) -> None:
    key = ProofKey(algorithm)
    assert holds(prove(key=key), jkt=key.thumbprint)


@pytest.mark.parametrize("header", [{"typ": "application/dpop+jwt"}, {"typ": "DPoP+JWT"}])
def test_a_type_in_another_spelling(header: Mapping[str, object]) -> None:
    assert holds(prove(header=header))


def test_a_key_may_say_more_of_itself() -> None:
    jwk = {**KEY.jwk, "kid": "k1", "use": "sig", "alg": "ES256", "key_ops": ["verify"]}
    assert holds(prove(header={"jwk": jwk}))


def test_claims_that_are_not_needed_are_not_read() -> None:
    assert holds(prove({"nonce": "n", "sub": "alice", "more": [1]}))


@pytest.mark.parametrize("algorithm", ["ES256", "Ed25519", "RS256"])
def test_a_proof_with_another_key(algorithm: str) -> None:
    assert not holds(prove(key=ProofKey(algorithm)))


@pytest.mark.parametrize(
    "jkt", ["", THUMBPRINT, KEY.thumbprint[:-1], f"{KEY.thumbprint}=", "\u212a", "\ud800"]
)
def test_a_proof_for_a_token_bound_to_another_key(jkt: str) -> None:
    assert not holds(prove(), jkt=jkt)


@pytest.mark.parametrize(
    "header",
    [
        {"typ": "JWT"},
        {"typ": "at+jwt"},
        {"typ": "dpop"},
        {"typ": "dpop+jwt "},
        {"typ": "text/dpop+jwt"},
        {"typ": None},
        {"alg": "none"},
        {"alg": "HS256"},
        {"alg": "ES384"},
        {"alg": "RS256"},
        {"alg": "Ed25519"},
        {"alg": None},
        {"alg": ["ES256"]},
        {"jwk": None},
        {"jwk": "x"},
        {"jwk": []},
        {"jwk": {}},
        {"jwk": {"kty": "oct", "k": "c2VjcmV0"}},
        {"jwk": {**KEY.jwk, "d": "AQ"}},
        {"jwk": {**KEY.jwk, "k": "AQ"}},
        {"jwk": {**KEY.jwk, "use": "enc"}},
        {"jwk": {**KEY.jwk, "key_ops": ["sign"]}},
        {"jwk": {**KEY.jwk, "alg": "ES384"}},
        {"jwk": {**KEY.jwk, "crv": "P-384"}},
        {"jwk": {**KEY.jwk, "x": f"{KEY.jwk['x']}="}},
        {"jwk": {**KEY.jwk, "x": KEY.jwk["y"]}},
        {"kid": "k1"},
        {"crit": ["exp"]},
        {"b64": False},
        {"jku": "https://evil.example"},
        {"x5c": []},
        {"nonce": "n"},
    ],
)
def test_a_proof_with_another_header(header: Mapping[str, object]) -> None:
    assert not holds(prove(header=header))


@pytest.mark.parametrize("member", ["typ", "alg", "jwk"])
def test_the_header_a_proof_must_have(member: str) -> None:
    header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": KEY.jwk}
    payload = claims_of(prove())
    assert holds(sign(header, payload))
    del header[member]
    assert not holds(sign(header, payload))


def test_a_proof_that_was_changed() -> None:
    head, _, signature = prove().split(".")
    other = prove({"jti": "proof-2"}).split(".")
    assert not holds(f"{head}.{other[1]}.{signature}")
    assert not holds(f"{head}.{other[1]}.{encode_base64url(bytes(64))}")
    assert holds(".".join(other))


def test_a_proof_that_somebody_else_signed_in_the_name_of_the_key() -> None:
    assert not holds(prove(key=ProofKey(), header={"jwk": KEY.jwk}))


@pytest.mark.parametrize("claim", ["htm", "htu", "iat", "ath", "jti"])
def test_what_a_proof_must_say(claim: str) -> None:
    assert not holds(prove(omit=claim))


@pytest.mark.parametrize("claim", ["htm", "htu", "iat", "ath", "jti"])
@pytest.mark.parametrize("value", [None, True, -1, [], ["GET"], {}, ""])
def test_a_claim_of_another_kind(claim: str, value: Json) -> None:
    assert not holds(prove({claim: value}))


@pytest.mark.parametrize("method", ["get", "GET ", "POST", "HEAD", "*"])
def test_a_proof_is_for_one_method(method: str) -> None:
    assert not holds(prove({"htm": method}))
    assert holds(prove({"htm": method}), request=make_request(method=method))


@pytest.mark.parametrize(
    "url",
    [
        "https://ORDERS.example/v1/orders/7",
        "HTTPS://orders.example/v1/orders/7",
        "https://orders.example:443/v1/orders/7",
    ],
)
def test_a_url_in_another_spelling(url: str) -> None:
    assert holds(prove({"htu": url}))


@pytest.mark.parametrize(
    "url",
    [
        "http://orders.example/v1/orders/7",
        "http://orders.example:443/v1/orders/7",
        "wss://orders.example/v1/orders/7",
        "//orders.example/v1/orders/7",
        "/v1/orders/7",
        "orders.example/v1/orders/7",
        "https:/orders.example/v1/orders/7",
        "https:///v1/orders/7",
        "https://orders.example",
        "https://orders.example/",
        "https://other.example/v1/orders/7",
        "https://orders.example./v1/orders/7",
        "https://orders.example:80/v1/orders/7",
        "https://orders.example:8443/v1/orders/7",
        "https://orders.example:/v1/orders/7",
        "https://orders.example:0443/v1/orders/7",
        "https://orders.example:443:443/v1/orders/7",
        "https://orders.example:x/v1/orders/7",
        "https://alice@orders.example/v1/orders/7",
        "https://orders.example@/v1/orders/7",
        "https://orders%2Eexample/v1/orders/7",
        "https://order\u017f.example/v1/orders/7",
        "https://orders.example/v1/orders/8",
        "https://orders.example/v1/orders/7/",
        "https://orders.example//v1/orders/7",
        "https://orders.example/V1/orders/7",
        "https://orders.example/v1/../v1/orders/7",
        "https://orders.example/v1/orders/%37",
        "https://orders.example/v1\\orders/7",
        "https://orders.example/v1/orders/7?",
        "https://orders.example/v1/orders/7?a=1",
        "https://orders.example/v1/orders/7#",
        "https://orders.example/v1/orders/7#a",
        "https://orders.example?/v1/orders/7",
        "https://orders.example#/v1/orders/7",
        " https://orders.example/v1/orders/7",
        "https://orders.example/v1/orders/7 ",
        "https://orders.example/v1/orders/7\n",
    ],
)
def test_a_proof_is_for_one_url(url: str) -> None:
    assert not holds(prove({"htu": url}))


@pytest.mark.parametrize(
    ("url", "scheme", "host", "path"),
    [
        (URL, "https", HOST, f"{PATH}?a=1#b"),
        (URL, "HTTPS", HOST.upper(), PATH),
        (URL, "https", f"{HOST}:443", PATH),
        (f"http://{HOST}:80{PATH}", "http", HOST, PATH),
        (f"http://{HOST}:443{PATH}", "http", f"{HOST}:443", PATH),
        (f"https://{HOST}:8443{PATH}", "https", f"{HOST}:8443", PATH),
        ("https://[2001:DB8::1]/a", "https", "[2001:db8::1]:443", "/a"),
        ("https://[::443]/a", "https", "[::443]", "/a"),
        (f"https://{HOST}", "https", HOST, "/"),
        (f"https://{HOST}/", "https", HOST, "/"),
        (f"https://{HOST}/a%2Fb;c/@:!$&'()*+,=~", "https", HOST, "/a%2Fb;c/@:!$&'()*+,=~"),
        (f"https://{HOST}/{'a' * 2000}", "https", HOST, f"/{'a' * 2000}"),
    ],
)
def test_the_url_of_a_request(url: str, scheme: str, host: str, path: str) -> None:
    assert holds(prove({"htu": url}), request=make_request(scheme=scheme, host=host, path=path))


@pytest.mark.parametrize(
    ("scheme", "host", "path"),
    [
        ("", HOST, PATH),
        ("ftp", HOST, PATH),
        ("http", HOST, PATH),
        ("https", "", PATH),
        ("https", "other.example", PATH),
        ("https", f"{HOST}:80", PATH),
        ("https", f"{HOST}/v1", "/orders/7"),
        ("https", "orders", ".example/v1/orders/7"),
        ("https", f"alice@{HOST}", PATH),
        ("https", f"{HOST}\n", PATH),
        ("https", HOST, ""),
        ("https", HOST, "*"),
        ("https", HOST, "v1/orders/7"),
        ("https", HOST, f"{PATH}#a"),
        ("https", HOST, f"{PATH}\n"),
        ("https", HOST, f"{URL}"),
    ],
)
def test_a_proof_for_another_request(scheme: str, host: str, path: str) -> None:
    assert not holds(prove(), request=make_request(scheme=scheme, host=host, path=path))


@pytest.mark.parametrize(
    "host", [f"{HOST}:", f"{HOST}:x", f"{HOST}:443:443", f"{HOST}:000443", "::1", "[::1", "[::1]x"]
)
def test_a_host_with_two_readings_is_not_the_same_as_itself(host: str) -> None:
    url = f"https://{host}{PATH}"
    assert not holds(prove({"htu": url}), request=make_request(host=host))


def test_a_url_has_only_characters_with_one_reading() -> None:
    for char in CHARACTERS:
        for url, request in (
            (f"https://a{char}b/c", make_request(host=f"a{char}b", path="/c")),
            (f"https://a/b{char}c", make_request(host="a", path=f"/b{char}c")),
        ):
            if holds(prove({"htu": url}), request=request):
                assert "!" <= char <= "~", char


def test_a_proof_is_for_one_token() -> None:
    for token in (f"{TOKEN}x", TOKEN[:-1], TOKEN.upper(), f"DPoP {TOKEN}", "", "\u00e9", "\ud800"):
        assert not holds(prove(), token=token)


def test_a_token_outside_ascii_has_no_proof() -> None:
    assert not holds(KEY.prove("\u00e9", now=NOW), token="\u00e9")


def test_a_digest_has_one_spelling() -> None:
    ath = claims_of(prove())["ath"]
    assert holds(prove({"ath": ath}))
    for odd in (f"{ath}=", ath[:-1], f"{ath}A", f"\u212a{ath[1:]}", ath.upper()):
        assert not holds(prove({"ath": odd}))


def test_how_old_a_proof_may_be() -> None:
    oldest, newest = NOW - PROOF_MAX_AGE - SKEW, NOW + SKEW
    for issued_at in (oldest, oldest + 0.5, NOW, newest):
        assert holds(prove({"iat": issued_at}))
    for issued_at in (oldest - 0.5, newest + 0.5, 0, 2**53 + 1, NOW * 1000):
        assert not holds(prove({"iat": issued_at}))


def test_a_proof_that_says_when_it_ends_or_begins_is_held_to_it() -> None:
    assert holds(prove({"exp": NOW - SKEW + 1, "nbf": NOW + SKEW}))
    assert not holds(prove({"exp": NOW - SKEW}))
    assert not holds(prove({"nbf": NOW + SKEW + 1}))
    assert not holds(prove({"exp": "never"}))


@pytest.mark.parametrize("jti", ["x" * 1025, "a\n", "\u200b"])
def test_an_identifier_is_a_short_text(jti: str) -> None:
    assert not holds(prove({"jti": jti}))


@pytest.mark.parametrize(
    "wrap", ["{0},{0}", "{0}, {0}", "{0} {0}", "{0}.", " {0}", "{0}\n", "DPoP {0}", "{0}="]
)
def test_there_is_exactly_one_proof(wrap: str) -> None:
    assert not holds(wrap.format(prove()))


def test_the_longest_proof() -> None:
    room = (MAX_TOKEN_BYTES - len(prove({"more": ""}))) * 3 // 4
    longest, longer = (prove({"more": "x" * (room + more)}) for more in (0, 3))
    assert MAX_TOKEN_BYTES - 4 <= len(longest) <= MAX_TOKEN_BYTES < len(longer)
    assert holds(longest)
    assert not holds(longer)


# What is used up


def test_a_proof_is_remembered_by_key_and_identifier() -> None:
    first = check(prove())
    assert first == check(prove())
    assert first.key == check(prove({"iat": NOW - 5})).key
    assert first.key != check(prove({"jti": "proof-2"})).key
    other = ProofKey()
    assert first.key != check(prove(key=other), jkt=other.thumbprint).key


@pytest.mark.parametrize("jti", ["x", "x" * 1024, "a:b", "\u00e9\U0001f600"])
def test_what_is_remembered_is_short_and_says_nothing(jti: str) -> None:
    key = check(prove({"jti": jti})).key
    assert len(key) == len(check(prove()).key) < 100
    assert key.isascii()
    assert key.isprintable()
    assert jti == "x" or jti not in key


@pytest.mark.parametrize("issued_at", [NOW - PROOF_MAX_AGE - SKEW, NOW, NOW + SKEW])
def test_a_proof_is_remembered_for_as_long_as_it_could_be_accepted(issued_at: float) -> None:
    proof = prove({"iat": issued_at})
    until = check(proof).until
    assert until > NOW
    for replica in (-SKEW, 0, SKEW):
        assert not holds(proof, now=until + replica)


# Nothing else is ever raised

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
claim_names = st.sampled_from(["htm", "htu", "iat", "ath", "jti"])
key_members = st.sampled_from(["kty", "crv", "x", "y", "n", "e", "alg", "use", "key_ops", "kid"])


@given(st.text() | st.binary().map(lambda octets: f"{encode_base64url(octets)}." * 3))
def test_no_text_is_a_proof_by_accident(text: str) -> None:
    assert not holds(text)


@given(
    st.dictionaries(claim_names, json_values),
    st.dictionaries(st.sampled_from(["alg", "typ", "jwk"]), json_values, max_size=1),
)
def test_a_signed_proof_holds_or_is_refused(
    claims: dict[str, object], header: dict[str, object]
) -> None:
    holds(prove(claims, header=header))


@given(
    st.sampled_from([*Algorithm, "EdDSA"]),
    st.sampled_from(
        [{**public_jwk(ProofKey(name).private_key)} for name in ("ES256", "Ed25519", "RS256")]
    ),
    st.dictionaries(key_members, json_values | st.binary().map(encode_base64url), max_size=2),
)
def test_any_key_is_read_or_refused(
    algorithm: str, jwk: dict[str, str], changes: dict[str, object]
) -> None:
    assert not holds(prove(header={"alg": algorithm, "jwk": {**jwk, **changes}}))


@given(st.text(), st.text(), st.text(), st.text(), st.text())
def test_any_request_is_compared(scheme: str, host: str, path: str, token: str, url: str) -> None:
    request = make_request(scheme=scheme, host=host, path=path)
    assert not holds(prove({"htu": url}), request=request, token=token)


@given(json_values | st.dictionaries(st.sampled_from(["jkt", "x5t#S256"]), json_values))
def test_a_binding_is_read_or_refused(cnf: Json) -> None:
    try:
        bound = read_confirmation({"cnf": cnf})
    except PossessionError:
        return
    assert bound is not None
