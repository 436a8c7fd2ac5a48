from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ObjectIdentifier
from hypothesis import given
from hypothesis import strategies as st

from deputize.core.bundles import (
    MAX_BUNDLE_BYTES,
    MAX_ENTRIES,
    Bundle,
    BundleError,
    empty_bundle,
    is_issued_by,
    parse_bundle,
)
from deputize.core.spiffe import TrustDomain
from deputize.core.svid import Svid, read_svid
from tests.harness.certificates import (
    Authority,
    PrivateKey,
    bundle_entry,
    make_authority,
    make_bundle,
    make_certificate,
    to_pem,
)

NOW = 1_800_000_000.0
PROD = TrustDomain("prod.example.org")
AGENT = "spiffe://prod.example.org/ns/agents/sa/research"
AUTHORITY = make_authority()
UNKNOWN = x509.UnrecognizedExtension(ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")


def bundle_of(*entries: object, **members: object) -> Bundle:
    document = {"keys": list(entries), **members}
    return parse_bundle(json.dumps(document).encode(), PROD)


def is_bundle(*entries: object, **members: object) -> bool:
    try:
        bundle_of(*entries, **members)
    except BundleError:
        return False
    return True


def svid_of(issuer: Authority | None = AUTHORITY, uri: str = AGENT) -> Svid:
    return read_svid(to_pem(make_certificate(issuer, uris=[uri])).decode())


def trusts(authorities: Iterable[Authority], svid: Svid, now: float = NOW) -> bool:
    return is_issued_by(parse_bundle(make_bundle(*authorities), PROD), svid, now)


def test_a_bundle_holds_the_authorities_of_its_trust_domain() -> None:
    other = make_authority("other")
    bundle = parse_bundle(make_bundle(AUTHORITY, other), PROD)
    assert bundle.trust_domain == PROD
    assert [authority.certificate for authority in bundle.authorities] == [
        AUTHORITY.certificate,
        other.certificate,
    ]
    assert bundle.sequence == 1


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP384R1()),
        rsa.generate_private_key(65537, 2048),
    ],
    ids=["P-256", "P-384", "RSA"],
)
def test_what_an_authority_signed_is_issued_by_its_bundle(key: PrivateKey) -> None:
    authority = make_authority(key=key)
    assert trusts([authority], svid_of(authority))


def test_one_authority_of_several_is_enough() -> None:
    assert trusts([make_authority("other"), AUTHORITY], svid_of())


@pytest.mark.parametrize(
    "issuer",
    [
        None,
        make_authority("other"),
        make_authority(key=ec.generate_private_key(ec.SECP256R1())),
        make_authority(key=rsa.generate_private_key(65537, 2048)),
        make_authority("intermediate", issuer=AUTHORITY),
    ],
    ids=["itself", "another", "another key of that name", "a key of another kind",
         "one it signed"],
)  # fmt: skip
def test_what_it_did_not_sign_is_not(issuer: Authority | None) -> None:
    assert not trusts([AUTHORITY], svid_of(issuer))


def test_a_changed_certificate_is_not() -> None:
    der = svid_of().certificate.public_bytes(Encoding.DER)
    assert der.count(b"research") == 1
    changed = base64.encodebytes(der.replace(b"research", b"planners")).decode()
    svid = read_svid(f"-----BEGIN CERTIFICATE-----\n{changed}-----END CERTIFICATE-----\n")
    assert svid.uri != AGENT
    assert not trusts([AUTHORITY], svid)


def test_an_intermediate_that_issues_leaves_must_be_in_the_bundle() -> None:
    intermediate = make_authority("intermediate", issuer=AUTHORITY)
    svid = svid_of(intermediate)
    assert not trusts([AUTHORITY], svid)
    assert trusts([AUTHORITY, intermediate], svid)
    assert trusts([intermediate], svid)


@pytest.mark.parametrize(
    ("now", "valid"), [(999, False), (1000, True), (2000, True), (2001, False)]
)
def test_an_authority_counts_only_while_it_is_valid(now: float, valid: bool) -> None:  # noqa: FBT001
    authority = make_authority(not_before=1000, not_after=2000)
    svid = svid_of(authority)
    bundle = parse_bundle(make_bundle(authority), PROD)
    assert is_issued_by(bundle, svid, 1500)
    assert is_issued_by(bundle, svid, now) is valid


def test_an_empty_bundle_trusts_nobody() -> None:
    bundle = bundle_of()
    assert bundle == empty_bundle(PROD)
    assert not is_issued_by(bundle, svid_of(), NOW)


@pytest.mark.parametrize(
    "changes",
    [
        {"use": None},
        {"use": "jwt-svid"},
        {"use": "wit-svid"},
        {"use": "sig"},
        {"use": "X509-SVID"},
        {"use": ["x509-svid"]},
        {"kty": "OKP"},
        {"kty": "AKP"},
        {"x5c": None},
        {"x5c": []},
    ],
    ids=repr,
)
def test_entries_of_other_kinds_are_passed_over(changes: dict[str, object]) -> None:
    bundle = bundle_of(bundle_entry(AUTHORITY, changes), bundle_entry(make_authority("other")))
    assert len(bundle.authorities) == 1
    assert not is_issued_by(bundle, svid_of(), NOW)


def test_only_the_first_certificate_of_an_entry_counts() -> None:
    other = make_authority("other")
    chain = [base64.b64encode(each.der).decode() for each in (AUTHORITY, other)]
    bundle = bundle_of(bundle_entry(AUTHORITY, {"x5c": chain}))
    assert is_issued_by(bundle, svid_of(), NOW)
    assert not is_issued_by(bundle, svid_of(other), NOW)


@pytest.mark.parametrize(
    "changes",
    [
        {"kty": None},
        {"kty": ""},
        {"kty": ["EC"]},
        {"kty": "RSA"},
        {"x5c": base64.b64encode(AUTHORITY.der).decode()},
        {"x5c": {"0": "AAAA"}},
        {"x5c": [7]},
        {"x5c": [""]},
        {"x5c": ["AAAA"]},
        {"x5c": ["%%%"]},
        {"x5c": [base64.b64encode(AUTHORITY.der[:-1]).decode()]},
        {"x5c": [base64.b64encode(AUTHORITY.der + b"\0").decode()]},
        {"x5c": [base64.b64encode(make_authority("other").der).decode()]},
        {"x": None},
        {"x": 7},
        {"x": "AAAA"},
        {"y": "="},
    ],
    ids=lambda changes: repr(changes)[:30],
)
def test_an_entry_that_does_not_hold_spoils_the_bundle(changes: dict[str, object]) -> None:
    assert is_bundle(bundle_entry(AUTHORITY))
    assert not is_bundle(bundle_entry(AUTHORITY, changes))
    assert not is_bundle(bundle_entry(make_authority("other")), bundle_entry(AUTHORITY, changes))


@pytest.mark.parametrize(
    "authority",
    [
        make_authority(is_authority=False),
        make_authority(is_authority=None),
        make_authority(key_uses=["digital_signature"]),
        make_authority(key_uses=["crl_sign"]),
        make_authority(extensions=[(UNKNOWN, True)]),
        make_authority(
            extensions=[
                (x509.NameConstraints([x509.UniformResourceIdentifier("example.org")], None), False)
            ]
        ),
        make_authority(uris=["spiffe://test.example.org"]),
        make_authority(uris=["spiffe://prod.example.org.evil"]),
        make_authority(uris=["spiffe://prod.example.org", "spiffe://test.example.org"]),
        make_authority(uris=["https://prod.example.org"]),
    ],
    ids=["leaf", "no basic constraints", "does not sign certificates", "signs revocations",
         "something that matters", "name constraints", "another trust domain",
         "a longer trust domain", "two trust domains", "another URI"],
)  # fmt: skip
def test_what_is_no_authority_of_the_trust_domain(authority: Authority) -> None:
    assert not is_bundle(bundle_entry(authority))


@pytest.mark.parametrize(
    "authority",
    [
        make_authority(key_uses=()),
        make_authority(key_uses=["key_cert_sign", "digital_signature"]),
        make_authority(extensions=[(UNKNOWN, False)]),
        make_authority(uris=["spiffe://prod.example.org"]),
        make_authority(uris=["spiffe://prod.example.org/ns/istio-system/sa/citadel"]),
        make_authority("intermediate", issuer=AUTHORITY),
    ],
    ids=["no key usage", "signs more", "something that does not matter", "its own ID",
         "with a path", "intermediate"],
)  # fmt: skip
def test_what_is_an_authority_of_the_trust_domain(authority: Authority) -> None:
    assert is_bundle(bundle_entry(authority))


def test_a_certificate_with_a_key_of_another_kind_spoils_the_bundle() -> None:
    authority = make_authority(key=ed25519.Ed25519PrivateKey.generate())
    assert not is_bundle(bundle_entry(authority, {"kty": "EC", "x": "AAAA", "y": "AAAA"}))


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[]",
        b"{}",
        b'{"keys": null}',
        b'{"keys": {}}',
        b'{"keys": [7]}',
        b'{"keys": [], "keys": []}',
        b'{"keys": []} ,',
        b'\xff{"keys": []}',
        '{"keys": []}'.encode("utf-16"),
    ],
)
def test_a_document_that_is_no_bundle(document: bytes) -> None:
    with pytest.raises(BundleError):
        parse_bundle(document, PROD)


def test_the_size_is_bounded() -> None:
    small = b'{"keys": []}'
    assert parse_bundle(small.ljust(MAX_BUNDLE_BYTES), PROD) == empty_bundle(PROD)
    with pytest.raises(BundleError):
        parse_bundle(small.ljust(MAX_BUNDLE_BYTES + 1), PROD)
    entry = bundle_entry(AUTHORITY, {"use": "jwt-svid"})
    assert is_bundle(*[entry] * MAX_ENTRIES)
    assert not is_bundle(*[entry] * (MAX_ENTRIES + 1))


@pytest.mark.parametrize("sequence", [0, 1, 2**64])
def test_a_sequence_number_is_kept(sequence: int) -> None:
    assert bundle_of(spiffe_sequence=sequence).sequence == sequence


@pytest.mark.parametrize("sequence", [-1, True, 1.5, "1", [1]])
def test_a_sequence_number_that_is_none(sequence: object) -> None:
    assert not is_bundle(spiffe_sequence=sequence)


def test_a_bundle_without_sequence_number_and_with_other_members() -> None:
    assert bundle_of(spiffe_refresh_hint=300, other=[]).sequence is None


MEMBERS = st.sampled_from(["kty", "use", "x5c", "x", "y", "kid", "crv"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


@given(st.dictionaries(MEMBERS, VALUES, min_size=1, max_size=3))
def test_no_entry_raises_anything_else(changes: dict[str, object]) -> None:
    is_bundle({**bundle_entry(AUTHORITY), **changes})


@given(st.binary(max_size=100) | VALUES.map(lambda value: json.dumps({"keys": value}).encode()))
def test_no_document_raises_anything_else(document: bytes) -> None:
    try:
        bundle = parse_bundle(document, PROD)
    except BundleError:
        return
    assert bundle.authorities == ()


def test_a_bundle_that_is_too_old_trusts_nobody() -> None:
    bundle = replace(parse_bundle(make_bundle(AUTHORITY), PROD), usable_until=NOW)
    assert is_issued_by(bundle, svid_of(), NOW)
    assert not is_issued_by(bundle, svid_of(), NOW + 1)
