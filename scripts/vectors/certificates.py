"""Peer certificates as a proxy reports them, the same in every run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from scripts.vectors.cast import NOW, RESEARCH, ec_key
from tests.harness.world import encode_pem


def certificate(
    uris: Sequence[str] = (RESEARCH,),
    dns: Sequence[str] = (),
    *,
    is_authority: bool = False,
    signs_certificates: bool = False,
    valid: tuple[int, int] = (NOW - 60, NOW + 3600),
    copies: int = 1,
) -> str:
    """A certificate of the world's authority with exactly these names, URL-encoded."""
    names = [
        *(x509.UniformResourceIdentifier(uri) for uri in uris),
        *(x509.DNSName(name) for name in dns),
    ]
    start, end = (datetime.fromtimestamp(seconds, UTC) for seconds in valid)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(x509.Name.from_rfc4514_string("CN=authority of the vectors"))
        .public_key(ec_key("workload").public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(is_authority, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=signs_certificates), critical=True)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    signed = builder.sign(ec_key("authority"), hashes.SHA256(), ecdsa_deterministic=True)
    return encode_pem(signed.public_bytes(Encoding.PEM) * copies)


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
