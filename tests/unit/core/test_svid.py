from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier
from hypothesis import given
from hypothesis import strategies as st

from deputize.core.svid import MAX_CERTIFICATE_BYTES, Svid, SvidError, read_escaped_svid, read_svid
from tests.harness.certificates import make_certificate, to_pem

AGENT = "spiffe://prod.example.org/ns/agents/sa/research"
ADMIN = "spiffe://prod.example.org/ns/agents/sa/admin"
CLIENT, SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH
UNKNOWN = x509.UnrecognizedExtension(ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")

LEAF = make_certificate(uris=[AGENT], not_before=1000, not_after=2000)


def as_text(certificate: x509.Certificate = LEAF) -> str:
    return to_pem(certificate).decode()


def is_read(read: Callable[[str], Svid], text: str) -> bool:
    try:
        return read(text).uri == AGENT
    except SvidError:
        return False


def is_svid(certificate: x509.Certificate) -> bool:
    """The same answer in both spellings."""
    plain = as_text(certificate)
    answer = is_read(read_svid, plain)
    assert is_read(read_escaped_svid, quote(plain, safe="")) is answer
    return answer


def test_a_certificate_is_taken_apart() -> None:
    svid = read_svid(as_text())
    der = LEAF.public_bytes(Encoding.DER)
    thumbprint = base64.urlsafe_b64encode(hashlib.sha256(der).digest()).decode().rstrip("=")
    assert (svid.uri, svid.sha256) == (AGENT, thumbprint)
    assert (svid.not_before, svid.not_after) == (1000, 2000)
    assert svid.certificate == LEAF


def test_both_spellings_read_the_same() -> None:
    plain, escaped = read_svid(as_text()), read_escaped_svid(quote(as_text(), safe=""))
    assert (plain.uri, plain.sha256) == (escaped.uri, escaped.sha256)


def test_a_certificate_is_read_once() -> None:
    assert read_svid(as_text()) is read_svid(as_text())
    escaped = quote(as_text(), safe="")
    assert read_escaped_svid(escaped) is read_escaped_svid(escaped)


def test_plain_lines_may_end_as_agentgateway_ends_them() -> None:
    assert read_svid(as_text().replace("\n", "\r\n")).uri == AGENT


def test_plain_text_is_not_unescaped() -> None:
    with pytest.raises(SvidError):
        read_svid(quote(as_text(), safe=""))


@pytest.mark.parametrize(
    "certificate",
    [
        make_certificate(uris=[AGENT], dns=["research.agents.svc"]),
        make_certificate(uris=[AGENT], is_authority=None),
        make_certificate(uris=[AGENT], key_uses=()),
        make_certificate(uris=[AGENT], key_uses=["digital_signature", "key_agreement"]),
        make_certificate(uris=[AGENT], purposes=[CLIENT]),
        make_certificate(uris=[AGENT], purposes=[SERVER, CLIENT]),
        make_certificate(uris=[AGENT], extensions=[(UNKNOWN, False)]),
    ],
    ids=["DNS beside it", "no basic constraints", "no key usage", "other key uses", "for clients",
         "for clients and servers", "something that does not matter"],
)  # fmt: skip
def test_what_is_an_svid(certificate: x509.Certificate) -> None:
    assert is_svid(certificate)


@pytest.mark.parametrize(
    "certificate",
    [
        make_certificate(),
        make_certificate(dns=["research.agents.svc"]),
        make_certificate(dns=[AGENT]),
        make_certificate(uris=[AGENT, ADMIN]),
        make_certificate(uris=[AGENT, AGENT]),
        make_certificate(uris=[AGENT, "https://example.org/"]),
        make_certificate(uris=[AGENT], is_authority=True),
        make_certificate(uris=[AGENT], key_uses=["digital_signature", "key_cert_sign"]),
        make_certificate(uris=[AGENT], key_uses=["digital_signature", "crl_sign"]),
        make_certificate(uris=[AGENT], key_uses=["key_encipherment"]),
        make_certificate(uris=[AGENT], purposes=[SERVER]),
        make_certificate(uris=[AGENT], purposes=[ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]),
        make_certificate(uris=[AGENT], extensions=[(UNKNOWN, True)]),
    ],
    ids=["no names", "DNS only", "DNS that reads as SPIFFE", "two IDs", "the same ID twice",
         "another URI", "authority", "signs certificates", "signs revocations",
         "does not sign at all", "for servers only", "for anything", "something that matters"],
)  # fmt: skip
def test_what_is_no_svid(certificate: x509.Certificate) -> None:
    assert not is_svid(certificate)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "\u00e9",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        as_text()[:-100],
        as_text() + as_text(),
        as_text() + as_text(make_certificate(uris=[ADMIN])),
        "Hash=abc;URI=" + AGENT,
    ],
)
def test_what_is_not_exactly_one_certificate(text: str) -> None:
    with pytest.raises(SvidError):
        read_svid(text)
    with pytest.raises(SvidError):
        read_escaped_svid(quote(text, safe=""))


def test_escapes_that_are_not_utf_8() -> None:
    with pytest.raises(SvidError):
        read_escaped_svid("%ff")


def test_an_endless_text_is_refused_before_it_is_read() -> None:
    padding = "#" * MAX_CERTIFICATE_BYTES
    with pytest.raises(SvidError):
        read_svid(padding + as_text())
    with pytest.raises(SvidError):
        read_escaped_svid(quote(padding + as_text(), safe=""))


@given(st.text(max_size=60) | st.binary(max_size=60).map(quote))
def test_no_text_is_read_by_accident(text: str) -> None:
    with pytest.raises(SvidError):
        read_svid(text)
    with pytest.raises(SvidError):
        read_escaped_svid(text)


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
@given(st.integers(0, len(LEAF.public_bytes(Encoding.DER)) - 1), st.integers(0, 255))
def test_a_damaged_certificate_is_refused_or_still_one(place: int, octet: int) -> None:
    der = bytearray(LEAF.public_bytes(Encoding.DER))
    der[place] = octet
    body = base64.encodebytes(bytes(der)).decode()
    try:
        svid = read_svid(f"-----BEGIN CERTIFICATE-----\n{body}-----END CERTIFICATE-----\n")
    except SvidError:
        return
    assert svid.certificate.public_bytes(Encoding.DER) == bytes(der)
