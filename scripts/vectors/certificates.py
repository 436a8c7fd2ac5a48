"""Peer certificates as a proxy reports them, and their authorities, the same in every run."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import unquote

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from scripts.vectors.cast import NOW, RESEARCH, ec_key
from tests.harness.issuer import encode_base64url, public_jwk
from tests.harness.world import encode_pem


def certificate(
    uris: Sequence[str] = (RESEARCH,),
    dns: Sequence[str] = (),
    *,
    is_authority: bool = False,
    signs_certificates: bool = False,
    valid: tuple[int, int] = (NOW - 60, NOW + 3600),
    copies: int = 1,
    authority: str = "authority",
) -> str:
    """A certificate with exactly these names, URL-encoded; `authority` is the key that signs."""
    names = [
        *(x509.UniformResourceIdentifier(uri) for uri in uris),
        *(x509.DNSName(name) for name in dns),
    ]
    builder = (
        _builder(authority, valid)
        .subject_name(x509.Name([]))
        .public_key(ec_key("workload").public_key())
        .add_extension(x509.BasicConstraints(is_authority, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=signs_certificates), critical=True)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return encode_pem(_sign(builder, authority).public_bytes(Encoding.PEM) * copies)


def thumbprint(escaped: str) -> str:
    """What a token bound to this certificate has as `x5t#S256`."""
    certificate = x509.load_pem_x509_certificate(unquote(escaped).encode())
    return encode_base64url(certificate.fingerprint(hashes.SHA256()))


def bundle_entry(authority: str) -> dict[str, object]:
    """The authority with this key as an entry of a SPIFFE trust bundle."""
    key = ec_key(authority)
    builder = (
        _builder(authority, (NOW - 3600, NOW + 86400))
        .subject_name(_name(authority))
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
    )
    der = _sign(builder, authority).public_bytes(Encoding.DER)
    return {**public_jwk(key), "use": "x509-svid", "x5c": [b64encode(der).decode()]}


def _builder(authority: str, valid: tuple[int, int]) -> x509.CertificateBuilder:
    start, end = (datetime.fromtimestamp(seconds, UTC) for seconds in valid)
    return (
        x509.CertificateBuilder()
        .issuer_name(_name(authority))
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(end)
    )


def _sign(builder: x509.CertificateBuilder, authority: str) -> x509.Certificate:
    return builder.sign(ec_key(authority), hashes.SHA256(), ecdsa_deterministic=True)


def _name(authority: str) -> x509.Name:
    return x509.Name.from_rfc4514_string(f"CN={authority} of the vectors")


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
