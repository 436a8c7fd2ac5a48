from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from deputize.core.keys import Algorithm, KeyRing, freeze_keys, parse_jwk_set
from deputize.core.model import VerifiedToken
from deputize.core.reasons import Reason
from deputize.core.token import MAX_CLAIM_TEXT, TrustedIssuer, normalize_type, verify
from deputize.core.verdict import Denied
from tests.harness.characters import CHARACTERS, places
from tests.harness.expect import refused
from tests.harness.issuer import Issuer, decode_base64url, encode_base64url, generate_key
from tests.harness.world import (
    AGENT,
    AUDIENCE,
    ISSUER_URL,
    MAX_LIFETIME,
    NOW,
    SKEW,
    make_key_ring,
    make_trusted_issuer,
    no_recall,
    shared_issuer,
)

ALGORITHMS = [algorithm.value for algorithm in Algorithm]
OTHER_URL = "https://other.example"
LATER = MAX_LIFETIME * 2


def check(
    token: str | None,
    *,
    issuer: Issuer | None = None,
    trusted: TrustedIssuer | None = None,
    ring: KeyRing | None = None,
    now: float = NOW,
    recall: Callable[[str], VerifiedToken | None] = no_recall,
) -> VerifiedToken:
    issuer = issuer or shared_issuer()
    return verify(
        token,
        {issuer.url: trusted or make_trusted_issuer(issuer.url)},
        {issuer.url: ring or make_key_ring(issuer, NOW + LATER)},
        now,
        recall,
    )


def issue(
    *,
    now: float = NOW,
    lifetime: float = 300,
    claims: Mapping[str, object] = {},
    omit: Sequence[str] = (),
    header: Mapping[str, object] = {},
) -> str:
    return shared_issuer().issue(
        now=now, lifetime=lifetime, claims=claims, omit=omit, header=header
    )


def with_claims(**claims: object) -> str:
    return issue(claims=claims)


# A good token


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_good_token_is_verified(algorithm: str) -> None:
    issuer = shared_issuer(algorithm)
    token = check(issuer.issue(now=NOW, scope="orders:read orders:write"), issuer=issuer)
    assert (token.issuer, token.subject, token.client_id) == (ISSUER_URL, "alice", AGENT)
    assert token.audience == (AUDIENCE,)
    assert token.scopes == {"orders:read", "orders:write"}
    assert (token.issued_at, token.not_before, token.expires_at) == (NOW, 0.0, NOW + 300)
    assert token.key_id == "k1"


def test_a_remembered_token_is_not_verified_again() -> None:
    token = issue()
    earlier = check(token)
    assert check(token, recall=lambda text: earlier if text == token else None) is earlier


def test_what_is_remembered_for_another_text_does_not_count() -> None:
    earlier = check(issue())
    with refused(Reason.TOKEN_MALFORMED):
        check("forged", recall=lambda text: earlier if text != "forged" else None)


def test_a_remembered_token_expires() -> None:
    token = issue()
    earlier = check(token)
    with refused(Reason.TOKEN_EXPIRED):
        check(token, now=NOW + 300 + SKEW, recall=lambda _: earlier)


def forget_key(ring: KeyRing) -> KeyRing:
    return freeze_keys({}, ring.usable_until)


def exchange_key(ring: KeyRing) -> KeyRing:
    return make_key_ring(Issuer(ISSUER_URL), ring.usable_until)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (forget_key, Reason.TOKEN_UNKNOWN_KEY),
        (exchange_key, Reason.TOKEN_BAD_SIGNATURE),
        (lambda ring: replace(ring, usable_until=NOW - 1), Reason.SYSTEM_KEYS_UNAVAILABLE),
    ],
)
def test_a_remembered_token_needs_its_key(
    change: Callable[[KeyRing], KeyRing], reason: Reason
) -> None:
    token = issue()
    earlier = check(token)
    with refused(reason):
        check(token, ring=change(make_key_ring(shared_issuer())), recall=lambda _: earlier)


def test_a_remembered_token_is_read_again_under_new_settings() -> None:
    token = issue()
    earlier = check(token)
    stricter = replace(
        make_trusted_issuer(), audiences=frozenset({"stock"}), digest="other settings"
    )
    with refused(Reason.TOKEN_WRONG_AUDIENCE):
        check(token, trusted=stricter, recall=lambda _: earlier)


def test_a_remembered_token_of_an_issuer_no_longer_trusted_is_refused() -> None:
    token = issue()
    earlier = check(token)
    with refused(Reason.TOKEN_UNKNOWN_ISSUER):
        verify(token, {}, {ISSUER_URL: make_key_ring(shared_issuer())}, NOW, lambda _: earlier)


# Its form


def test_no_token() -> None:
    with refused(Reason.TOKEN_MISSING):
        check(None)


@pytest.mark.parametrize("text", ["", "a.b", "a.b.c.d.e", "not a token", "a.b.c\n"])
def test_a_text_that_is_no_token(text: str) -> None:
    with refused(Reason.TOKEN_MALFORMED):
        check(text)


@pytest.mark.parametrize(
    "payload",
    [b"[]", b'"x"', b"1", b"null", b'{"iss":1,"iss":2}', b"\xff", b"{} x", b"\xef\xbb\xbf{}"],
)
def test_a_signed_payload_that_is_no_claims_set(payload: bytes) -> None:
    issuer = shared_issuer()
    with refused(Reason.TOKEN_MALFORMED):
        check(issuer.sign(issuer.header(), payload))


def test_a_duplicate_claim_inside_act() -> None:
    issuer = shared_issuer()
    payload = f'{{"iss":"{ISSUER_URL}","act":{{"sub":"a","su\\u0062":"b"}}}}'.encode()
    with refused(Reason.TOKEN_MALFORMED):
        check(issuer.sign(issuer.header(), payload))


# Its issuer


@pytest.mark.parametrize(
    "issuer",
    [OTHER_URL, f"{ISSUER_URL}/", f"{ISSUER_URL}.evil", ISSUER_URL[:-1], ISSUER_URL.upper(),
     "http://issuer.example", "", 1, True, [ISSUER_URL], {"iss": ISSUER_URL}],
)  # fmt: skip
def test_an_issuer_is_spelled_exactly(issuer: object) -> None:
    with refused(Reason.TOKEN_UNKNOWN_ISSUER):
        check(with_claims(iss=issuer))


def test_without_issuer() -> None:
    for token in (issue(omit=["iss"]), with_claims(iss=None)):
        with refused(Reason.TOKEN_CLAIM_MISSING):
            check(token)


# Its type


@pytest.mark.parametrize("name", ["at+jwt", "AT+JWT", "application/at+jwt", "Application/AT+jwt"])
def test_an_access_token_type(name: str) -> None:
    check(issue(header={"typ": name}))
    assert normalize_type(name) == "at+jwt"


@pytest.mark.parametrize(
    "name",
    ["JWT", "jwt", "id_token+jwt", "dpop+jwt", "secevent+jwt", "logout+jwt", "txntoken+jwt",
     "oauth-id-jag+jwt", "wit+jwt", "statuslist+jwt", "token-introspection+jwt", "at+jwt ",
     "application/application/at+jwt", "text/at+jwt", "at"],
)  # fmt: skip
def test_a_token_of_another_type(name: str) -> None:
    with refused(Reason.TOKEN_WRONG_TYPE):
        check(issue(header={"typ": name}))


def test_a_token_without_type() -> None:
    with refused(Reason.TOKEN_WRONG_TYPE):
        check(issue(omit=["typ"]))


# Its algorithm


@pytest.mark.parametrize(
    "name", ["none", "None", "nOnE", "NONE", "HS256", "HS512", "es256", "ES512", "ES256K", "x"]
)
def test_an_algorithm_that_is_never_allowed(name: str) -> None:
    with refused(Reason.TOKEN_ALGORITHM_REFUSED):
        check(issue(header={"alg": name}))


def test_a_token_without_algorithm() -> None:
    with refused(Reason.TOKEN_ALGORITHM_REFUSED):
        check(issue(omit=["alg"]))


@pytest.mark.parametrize("value", [["ES256"], None, 256, {}])
def test_an_algorithm_that_is_no_text(value: object) -> None:
    with refused(Reason.TOKEN_MALFORMED):
        check(issue(header={"alg": value}))


@pytest.mark.parametrize("name", ["none", "nOnE"])
def test_a_token_without_signature(name: str) -> None:
    unsigned = issue(header={"alg": name}).rpartition(".")[0] + "."
    with refused(Reason.TOKEN_MALFORMED):
        check(unsigned)


def test_an_algorithm_that_is_not_allowed_for_the_issuer() -> None:
    issuer = shared_issuer("ES384")
    only_es256 = replace(make_trusted_issuer(), algorithms=(Algorithm.ES256,))
    with refused(Reason.TOKEN_ALGORITHM_REFUSED):
        check(issuer.issue(now=NOW), issuer=issuer, trusted=only_es256)


@pytest.mark.parametrize(
    ("algorithm", "named"),
    [("ES256", "ES384"), ("ES384", "ES256"), ("RS256", "PS256"), ("PS256", "RS256"),
     ("ES256", "Ed25519"), ("Ed25519", "ES256"), ("RS256", "ES256")],
)  # fmt: skip
def test_a_key_is_pinned_to_its_algorithm(algorithm: str, named: str) -> None:
    issuer = shared_issuer(algorithm)
    with refused(Reason.TOKEN_ALGORITHM_REFUSED):
        check(issuer.issue(now=NOW, header={"alg": named}), issuer=issuer)


def test_eddsa_names_an_ed25519_key() -> None:
    issuer = shared_issuer("Ed25519")
    check(issuer.issue(now=NOW, header={"alg": "EdDSA"}), issuer=issuer)


def public_key_bytes(algorithm: str) -> list[bytes]:
    issuer = shared_issuer(algorithm)
    public_key = issuer.private_key.public_key()
    jwks = json.loads(issuer.jwks())
    return [
        public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).strip(),
        public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        json.dumps(jwks["keys"][0]).encode(),
        issuer.jwks(),
    ]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_public_key_is_no_hmac_secret(algorithm: str) -> None:
    issuer = shared_issuer(algorithm)
    for named in ("HS256", algorithm):
        signing_input = issuer.issue(now=NOW, header={"alg": named}).rpartition(".")[0]
        for secret in public_key_bytes(algorithm):
            mac = hmac.HMAC(secret, hashes.SHA256())
            mac.update(signing_input.encode())
            forged = f"{signing_input}.{encode_base64url(mac.finalize())}"
            reason = (
                Reason.TOKEN_ALGORITHM_REFUSED if named == "HS256" else Reason.TOKEN_BAD_SIGNATURE
            )
            with refused(reason):
                check(forged, issuer=issuer)


# Its key


@pytest.mark.parametrize(
    "key_id", ["k2", "K1", "k1 ", "../../etc/passwd", "' OR 1=1 --", "https://evil.example/jwks"]
)
def test_a_key_is_found_by_its_exact_name(key_id: str) -> None:
    with refused(Reason.TOKEN_UNKNOWN_KEY) as denials:
        check(issue(header={"kid": key_id}))
    assert denials[0].key_wanted is not None
    assert (denials[0].key_wanted.issuer, denials[0].key_wanted.key_id) == (ISSUER_URL, key_id)


def test_a_token_must_name_its_key() -> None:
    with refused(Reason.TOKEN_UNKNOWN_KEY):
        check(issue(omit=["kid"]))


def test_a_key_of_another_issuer_is_not_looked_at() -> None:
    other = Issuer(OTHER_URL, key_id="k2")
    trusted = {url: make_trusted_issuer(url) for url in (ISSUER_URL, OTHER_URL)}
    rings = {each.url: make_key_ring(each) for each in (shared_issuer(), other)}
    with refused(Reason.TOKEN_UNKNOWN_KEY):
        verify(other.issue(now=NOW, claims={"iss": ISSUER_URL}), trusted, rings, NOW, no_recall)


def test_a_key_of_another_issuer_under_the_same_name_does_not_verify() -> None:
    other = Issuer(OTHER_URL)
    with refused(Reason.TOKEN_BAD_SIGNATURE):
        check(other.issue(now=NOW, claims={"iss": ISSUER_URL}))


@pytest.mark.parametrize("rings", [{}, {ISSUER_URL: freeze_keys({}, NOW - 1)}])
def test_without_fresh_keys_nothing_can_be_verified(rings: Mapping[str, KeyRing]) -> None:
    with refused(Reason.SYSTEM_KEYS_UNAVAILABLE) as denials:
        verify(issue(), {ISSUER_URL: make_trusted_issuer()}, rings, NOW, no_recall)
    assert denials[0].key_wanted is not None


def test_keys_are_usable_until_the_last_moment() -> None:
    check(issue(), ring=make_key_ring(shared_issuer(), NOW))


def test_after_a_rotation_both_keys_verify() -> None:
    issuer = Issuer(ISSUER_URL)
    before = issuer.issue(now=NOW)
    issuer.rotate("k2")
    after = issuer.issue(now=NOW)
    assert check(before, issuer=issuer).key_id == "k1"
    assert check(after, issuer=issuer).key_id == "k2"


def test_a_withdrawn_key_verifies_no_longer() -> None:
    issuer = Issuer(ISSUER_URL)
    before = issuer.issue(now=NOW)
    issuer.rotate("k2")
    issuer.withdraw("k1")
    with refused(Reason.TOKEN_UNKNOWN_KEY):
        check(before, issuer=issuer)


# Its signature


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_signature_of_another_token_does_not_verify(algorithm: str) -> None:
    issuer = shared_issuer(algorithm)
    first, second = (issuer.issue(now=NOW, subject=name) for name in ("alice", "mallory"))
    spliced = f"{second.rpartition('.')[0]}.{first.rpartition('.')[2]}"
    with refused(Reason.TOKEN_BAD_SIGNATURE):
        check(spliced, issuer=issuer)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_changed_payload_does_not_verify(algorithm: str) -> None:
    issuer = shared_issuer(algorithm)
    header, payload, signature = issuer.issue(now=NOW).split(".")
    changed = decode_base64url(payload).replace(b"alice", b"admin")
    with refused(Reason.TOKEN_BAD_SIGNATURE):
        check(f"{header}.{encode_base64url(changed)}.{signature}", issuer=issuer)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_changed_header_does_not_verify(algorithm: str) -> None:
    issuer = shared_issuer(algorithm)
    header, payload, signature = issuer.issue(now=NOW).split(".")
    changed = decode_base64url(header).replace(b"at+jwt", b"AT+JWT")
    with refused(Reason.TOKEN_BAD_SIGNATURE):
        check(f"{encode_base64url(changed)}.{payload}.{signature}", issuer=issuer)


@pytest.mark.parametrize("part", [0, 1, 2])
def test_no_flipped_bit_is_overlooked(part: int) -> None:
    parts = issue().split(".")
    octets = decode_base64url(parts[part])
    for position in range(0, len(octets) * 8, 5):
        changed = bytearray(octets)
        changed[position // 8] ^= 1 << position % 8
        forged = [*parts[:part], encode_base64url(bytes(changed)), *parts[part + 1 :]]
        with pytest.raises(Denied, match=r"token\."):
            check(".".join(forged))


def test_an_issuer_with_a_given_key_signs_the_same_again() -> None:
    key = generate_key("ES256")
    first, second = (Issuer(ISSUER_URL, private_key=key).issue(now=NOW) for _ in range(2))
    assert first == second


# Its claims


@pytest.mark.parametrize("name", ["exp", "iat", "aud", "sub", "client_id", "jti"])
def test_a_required_claim(name: str) -> None:
    for token in (issue(omit=[name]), issue(claims={name: None})):
        with refused(Reason.TOKEN_CLAIM_MISSING):
            check(token)


@pytest.mark.parametrize("name", ["sub", "client_id", "jti"])
@pytest.mark.parametrize(
    "value",
    ["", 1, True, ["alice"], {"sub": "alice"}, "a\n", "a\x00b", "\x1b[0m", "a\u202eb", "a\u200bb",
     "a" * (MAX_CLAIM_TEXT + 1)],
)  # fmt: skip
def test_an_identifier_is_a_short_printable_text(name: str, value: object) -> None:
    with refused(Reason.TOKEN_MALFORMED):
        check(issue(claims={name: value}))


def test_the_longest_identifier() -> None:
    check(with_claims(sub="a" * MAX_CLAIM_TEXT))


@pytest.mark.parametrize("audience", [AUDIENCE, [AUDIENCE], ["other", AUDIENCE]])
def test_one_of_our_audiences_is_enough(audience: object) -> None:
    check(with_claims(aud=audience))


@pytest.mark.parametrize(
    "audience",
    ["order", "orders2", "Orders", "orders ", " orders", "orders/", ISSUER_URL, "*",
     ["a", "b"], "a orders b", "orders\n"],
)  # fmt: skip
def test_an_audience_is_compared_exactly(audience: object) -> None:
    with refused(Reason.TOKEN_WRONG_AUDIENCE):
        check(with_claims(aud=audience))


@pytest.mark.parametrize(
    "audience",
    ["", [], [""], [AUDIENCE, ""], [AUDIENCE, 1], [AUDIENCE, None], [[AUDIENCE]], {"aud": AUDIENCE},
     1, True],
)  # fmt: skip
def test_an_audience_is_a_text_or_a_list_of_texts(audience: object) -> None:
    with refused(Reason.TOKEN_MALFORMED):
        check(with_claims(aud=audience))


@pytest.mark.parametrize("name", ["exp", "iat", "nbf"])
@pytest.mark.parametrize(
    "value", [str(int(NOW)), "", True, False, [NOW], {}, -1, -0.5, 2**53 + 1, 1e300, 10**400]
)
def test_a_time_is_a_number_in_range(name: str, value: object) -> None:
    with refused(Reason.TOKEN_MALFORMED):
        check(issue(claims={name: value}))


def test_a_null_nbf_is_no_time() -> None:
    with refused(Reason.TOKEN_MALFORMED):
        check(with_claims(nbf=None))


@pytest.mark.parametrize("token_scope", ["", None])
def test_a_token_may_have_no_scope(token_scope: str | None) -> None:
    token = issue(omit=["scope"]) if token_scope is None else with_claims(scope=token_scope)
    assert check(token).scopes == frozenset()


@pytest.mark.parametrize(
    "value",
    [["orders:read"], 1, True, None, {}, " ", " a", "a ", "a  b", "a\tb", "a\nb", "a\n", 'a"b',
     "a\\b", "a\x00", "a\x7f", "caf\u00e9"],
)  # fmt: skip
def test_a_scope_claim_that_is_not_of_rfc_6749(value: object) -> None:
    with refused(Reason.TOKEN_MALFORMED):
        check(with_claims(scope=value))


def test_a_scope_has_exactly_these_characters() -> None:
    for char in CHARACTERS:
        for text in places(char):
            is_allowed = char.isascii() and char.isprintable() and char not in '"\\ '
            if is_allowed:
                assert check(with_claims(scope=text)).scopes == {text}
            elif char != " ":
                with refused(Reason.TOKEN_MALFORMED):
                    check(with_claims(scope=text))


# Its times


@pytest.mark.parametrize("left", [1 - SKEW, 0, 1])
def test_a_token_is_good_until_it_expires_and_the_skew_is_over(left: float) -> None:
    check(issue(now=NOW - 300 + left))


@pytest.mark.parametrize("left", [-SKEW, -SKEW - 1, -MAX_LIFETIME])
def test_an_expired_token(left: float) -> None:
    with refused(Reason.TOKEN_EXPIRED):
        check(issue(now=NOW - 300 + left))


@pytest.mark.parametrize("ahead", [0, SKEW])
def test_a_clock_may_be_ahead_by_the_skew(ahead: float) -> None:
    check(with_claims(iat=NOW + ahead))
    check(with_claims(nbf=NOW + ahead))


@pytest.mark.parametrize("name", ["iat", "nbf"])
@pytest.mark.parametrize("ahead", [SKEW + 0.001, SKEW + 1, 200])
def test_a_token_from_the_future(name: str, ahead: float) -> None:
    with refused(Reason.TOKEN_NOT_YET_VALID):
        check(issue(claims={name: NOW + ahead}))


def test_the_longest_lifetime() -> None:
    check(issue(lifetime=MAX_LIFETIME))
    with refused(Reason.TOKEN_LIFETIME_TOO_LONG):
        check(issue(lifetime=MAX_LIFETIME + 1))


@pytest.mark.parametrize("expiry", [2**53, 2e10])
def test_a_token_for_ever(expiry: float) -> None:
    with refused(Reason.TOKEN_LIFETIME_TOO_LONG):
        check(with_claims(exp=expiry))


@pytest.mark.parametrize("lifetime", [0, -1])
def test_a_token_that_ends_before_it_begins(lifetime: float) -> None:
    with refused(Reason.TOKEN_MALFORMED):
        check(issue(lifetime=lifetime))


def test_a_time_may_have_a_fraction() -> None:
    assert check(with_claims(exp=NOW + 0.5)).expires_at == NOW + 0.5


def test_a_remembered_token_is_verified_again_when_its_key_gets_another_algorithm() -> None:
    issuer = shared_issuer("RS256")
    token = issuer.issue(now=NOW)
    remembered = check(token, issuer=issuer)
    (jwk,) = json.loads(issuer.jwks())["keys"]
    document = json.dumps({"keys": [{**jwk, "alg": "PS256"}]}).encode()
    keys, _ = parse_jwk_set(document, (Algorithm.PS256,))
    with refused(Reason.TOKEN_ALGORITHM_REFUSED):
        check(
            token,
            issuer=issuer,
            ring=freeze_keys(keys, NOW + LATER),
            recall=lambda _text: remembered,
        )
