from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from deputize.core.claims import MAX_CLAIM_TEXT, ScopeClaim
from deputize.core.keys import Algorithm, KeyRing, freeze_keys, parse_jwk_set
from deputize.core.model import Json, Kind, VerifiedToken
from deputize.core.profiles import IssuerProfile, KindRule
from deputize.core.reasons import Reason
from deputize.core.token import verify
from deputize.core.trust import TrustedIssuer
from deputize.core.verdict import Denied, KeyWanted
from tests.harness.characters import CHARACTERS, places
from tests.harness.expect import refused
from tests.harness.issuer import Issuer, decode_base64url, encode_base64url, generate_key
from tests.harness.world import (
    AGENT,
    AUDIENCE,
    ISSUER_URL,
    MAX_LIFETIME,
    NOW,
    PROFILE,
    SKEW,
    bearer,
    make_key_ring,
    make_mandate_rules,
    make_trusted_issuer,
    no_recall,
    shared_issuer,
)

ALGORITHMS = [algorithm.value for algorithm in Algorithm]
OTHER_URL = "https://other.example"
LATER = MAX_LIFETIME * 2


def check(
    token: str,
    *,
    issuer: Issuer | None = None,
    trusted: TrustedIssuer | None = None,
    ring: KeyRing | None = None,
    now: float = NOW,
    recall: Callable[[str], VerifiedToken | None] = no_recall,
) -> VerifiedToken:
    issuer = issuer or shared_issuer()
    return verify(
        bearer(token),
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


def trust_with(profile: IssuerProfile) -> TrustedIssuer:
    return make_trusted_issuer(rules=make_mandate_rules(profile=profile))


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


def test_a_remembered_token_that_expires_in_no_year_is_refused() -> None:
    token = issue()
    earlier = replace(check(token), expires_at=math.nan)
    with refused(Reason.TOKEN_EXPIRED):
        check(token, recall=lambda _: earlier)


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
        verify(
            bearer(token), {}, {ISSUER_URL: make_key_ring(shared_issuer())}, NOW, lambda _: earlier
        )


# Its form


def test_no_token() -> None:
    with refused(Reason.TOKEN_MISSING):
        check("")


@pytest.mark.parametrize("text", ["a", "a.b", "a.b.c.d.e", "not a token", "a.b.c\n"])
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
    assert denials[0].wanted == KeyWanted(ISSUER_URL, key_id)


def test_a_token_must_name_its_key_unless_there_is_only_one() -> None:
    issuer = Issuer(ISSUER_URL)
    nameless = issuer.issue(now=NOW, omit=["kid"])
    assert check(nameless, issuer=issuer).key_id == "k1"
    with refused(Reason.TOKEN_BAD_SIGNATURE) as denials:
        check(nameless, ring=make_key_ring(Issuer(ISSUER_URL)))
    assert denials[0].wanted == KeyWanted(ISSUER_URL, "k1")
    issuer.rotate("k2")
    for token in (nameless, issuer.issue(now=NOW, omit=["kid"])):
        with refused(Reason.TOKEN_UNKNOWN_KEY):
            check(token, issuer=issuer)
    with refused(Reason.TOKEN_UNKNOWN_KEY):
        check(nameless, ring=freeze_keys({}, NOW))


def test_a_key_of_another_issuer_is_not_looked_at() -> None:
    other = Issuer(OTHER_URL, key_id="k2")
    trusted = {url: make_trusted_issuer(url) for url in (ISSUER_URL, OTHER_URL)}
    rings = {each.url: make_key_ring(each) for each in (shared_issuer(), other)}
    with refused(Reason.TOKEN_UNKNOWN_KEY):
        verify(
            bearer(other.issue(now=NOW, claims={"iss": ISSUER_URL})),
            trusted,
            rings,
            NOW,
            no_recall,
        )


def test_a_key_of_another_issuer_under_the_same_name_does_not_verify() -> None:
    other = Issuer(OTHER_URL)
    with refused(Reason.TOKEN_BAD_SIGNATURE):
        check(other.issue(now=NOW, claims={"iss": ISSUER_URL}))


@pytest.mark.parametrize("rings", [{}, {ISSUER_URL: freeze_keys({}, NOW - 1)}])
def test_without_fresh_keys_nothing_can_be_verified(rings: Mapping[str, KeyRing]) -> None:
    with refused(Reason.SYSTEM_KEYS_UNAVAILABLE) as denials:
        verify(bearer(issue()), {ISSUER_URL: make_trusted_issuer()}, rings, NOW, no_recall)
    assert denials[0].wanted == KeyWanted(ISSUER_URL, "k1")


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


def test_a_token_may_have_no_scope() -> None:
    for token in (issue(omit=["scope"]), with_claims(scope=""), with_claims(scope=None)):
        assert check(token).scopes == frozenset()


@pytest.mark.parametrize(
    "value",
    [["orders:read"], 1, True, {}, " ", " a", "a ", "a  b", "a\tb", "a\nb", "a\n", 'a"b',
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


# What the issuer's profile says


@pytest.mark.parametrize("name", ["x5t", "x5t#S256"])
@pytest.mark.parametrize("value", ["x", "", None, 1, {}])
def test_a_header_member_that_the_profile_lets_pass_is_not_read(name: str, value: object) -> None:
    token = issue(header={name: value})
    check(token, trusted=trust_with(replace(PROFILE, header_members=frozenset({name}))))
    with refused(Reason.TOKEN_MALFORMED):
        check(token)
    other = frozenset({"x5t", "x5t#S256"} - {name})
    with refused(Reason.TOKEN_MALFORMED):
        check(token, trusted=trust_with(replace(PROFILE, header_members=other)))


@pytest.mark.parametrize("name", ["jku", "jwk", "x5u", "x5c", "crit", "cty", "zip", "b64", "X5T"])
def test_no_profile_lets_another_member_pass(name: str) -> None:
    lenient = trust_with(replace(PROFILE, header_members=frozenset({"x5t", name})))
    with refused(Reason.TOKEN_MALFORMED):
        check(issue(header={name: "x"}), trusted=lenient)


def test_a_profile_may_have_other_types() -> None:
    trusted = trust_with(replace(PROFILE, token_types=frozenset({"jwt", "absent"})))
    check(issue(header={"typ": "JWT"}), trusted=trusted)
    check(issue(omit=["typ"]), trusted=trusted)
    with refused(Reason.TOKEN_WRONG_TYPE):
        check(issue(), trusted=trusted)
    for name in ("absent", "ABSENT", "application/", "application/absent"):
        with refused(Reason.TOKEN_WRONG_TYPE):
            check(issue(header={"typ": name}), trusted=trusted)


@pytest.mark.parametrize("claims", [{"typ": "Bearer", "use": {"for": "access"}}])
def test_a_claim_may_tell_an_access_token(claims: Mapping[str, Json]) -> None:
    told = replace(
        PROFILE,
        type_claims=(
            (("typ",), frozenset({"Bearer", "DPoP"})),
            (("use", "for"), frozenset({"access"})),
        ),
    )
    check(issue(claims=claims), trusted=trust_with(told))
    wrong: list[Json] = ["ID", "bearer", "", None, 1, True, ["Bearer"], {"Bearer": 1}]
    for value in wrong:
        for changed in ({"typ": value}, {"use": {"for": value}}, {"use": value}):
            with refused(Reason.TOKEN_WRONG_TYPE):
                check(issue(claims={**claims, **changed}), trusted=trust_with(told))


@pytest.mark.parametrize("name", ["nonce", "at_hash", "events", "htm", "tctx", "status_list", "vp"])
def test_a_token_with_the_shape_of_another_kind(name: str) -> None:
    with refused(Reason.TOKEN_WRONG_TYPE):
        check(issue(claims={name: None}))


def test_a_token_without_a_type_of_its_own_is_not_for_its_client() -> None:
    trusted = replace(
        trust_with(replace(PROFILE, token_types=frozenset({"jwt", "at+jwt"}))),
        audiences=frozenset({AGENT}),
    )
    check(with_claims(aud=AGENT), trusted=trusted)
    with refused(Reason.TOKEN_WRONG_TYPE):
        check(issue(claims={"aud": AGENT}, header={"typ": "JWT"}), trusted=trusted)


def test_claims_are_where_the_profile_says() -> None:
    profile = replace(
        PROFILE,
        required_claims=(("app", "id"),),
        principal=(("idp",), ("uid",)),
        principal_kind=(KindRule(("kind",), (("person", Kind.USER),), Kind.UNKNOWN),),
        client=(("cid",), ("app", "id")),
        token_id=(("uti",), ("jti",)),
        scopes=(
            ScopeClaim(("scp",), is_list=True),
            ScopeClaim(("scope",), is_list=False),
        ),
        attributes=(("roles", ("realm", "roles")), ("groups", ("realm", "none"))),
    )
    claims = {
        "idp": "https://idp.example",
        "uid": "u#1",
        "kind": "person",
        "app": {"id": "app-1"},
        "uti": "unique",
        "scp": ["a", "b"],
        "realm": {"roles": ["buyer"]},
        "roles": ["admin"],
        "groups": ["admin"],
    }
    token = check(issue(claims=claims, omit=["sub", "client_id"]), trusted=trust_with(profile))
    assert token.subject == "https://idp.example#u#1"
    assert token.principal.kind is Kind.USER
    assert (token.client_id, token.token_id) == ("app-1", "unique")
    assert token.scopes == {"a", "b"}
    told = token.principal.claims
    assert (told["roles"], told["groups"], told["idp"]) == (
        ["buyer"],
        None,
        "https://idp.example",
    )
    for name in ("idp", "uid", "app"):
        with refused(Reason.TOKEN_CLAIM_MISSING):
            check(issue(claims=claims, omit=[name]), trusted=trust_with(profile))
    for changed in ({"idp": "a#b"}, {"uid": 1}, {"cid": 1}, {"uti": ""}, {"scp": "a  b"}):
        with refused(Reason.TOKEN_MALFORMED):
            check(issue(claims={**claims, **changed}), trusted=trust_with(profile))


def test_what_need_not_be_there_is_empty() -> None:
    lenient = trust_with(replace(PROFILE, required_claims=()))
    token = check(issue(omit=["client_id", "jti"]), trusted=lenient)
    assert (token.client_id, token.token_id) == ("", "")


# What it is bound to, and where its status stands


@pytest.mark.parametrize("name", ["cnf", "status"])
@pytest.mark.parametrize("value", [None, "", {}, [], {"x": "y"}, {"jkt": "x"}, {"status_list": 1}])
def test_a_binding_or_status_that_is_not_understood_is_not_passed_over(
    name: str, value: object
) -> None:
    with refused(Reason.TOKEN_MALFORMED):
        check(issue(claims={name: value}))
