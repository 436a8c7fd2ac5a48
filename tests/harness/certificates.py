"""Certificates as a trust domain issues them, and as it never would.

Everything is built from `Authority`, which signs what it is asked to sign. By default
certificates are valid for ever; who cares says when.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from types import MappingProxyType

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

FROM_EVER, FOR_EVER = 0.0, 4e9

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey

_KEY_USES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


@dataclass(frozen=True, slots=True)
class Authority:
    """A key with a name, and the certificate that says so."""

    name: x509.Name
    key: PrivateKey
    certificate: x509.Certificate

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)


@cache
def shared_key(_name: str = "") -> ec.EllipticCurvePrivateKey:
    """One key per name for all certificates that need not differ in it."""
    return ec.generate_private_key(ec.SECP256R1())


def make_certificate(
    issuer: Authority | None = None,
    *,
    subject: str = "",
    key: PrivateKey | None = None,
    uris: Sequence[str] = (),
    dns: Sequence[str] = (),
    is_authority: bool | None = False,
    key_uses: Collection[str] = ("digital_signature",),
    purposes: Collection[x509.ObjectIdentifier] = (),
    extensions: Iterable[tuple[x509.ExtensionType, bool]] = (),
    not_before: float = FROM_EVER,
    not_after: float = FOR_EVER,
) -> x509.Certificate:
    """A certificate, signed by itself without an issuer.

    An extension is left out where there are no names, uses or purposes, or `is_authority` is
    None. `extensions` are further ones, each with whether it is critical.
    """
    holder = key or shared_key()
    signer = holder if issuer is None else issuer.key
    name = _name(subject)
    names = [
        *(x509.UniformResourceIdentifier(uri) for uri in uris),
        *(x509.DNSName(text) for text in dns),
    ]
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name if issuer is None else issuer.name)
        .public_key(holder.public_key())
        .serial_number(1)
        .not_valid_before(datetime.fromtimestamp(not_before, UTC))
        .not_valid_after(datetime.fromtimestamp(not_after, UTC))
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if is_authority is not None:
        constraints = x509.BasicConstraints(ca=is_authority, path_length=None)
        builder = builder.add_extension(constraints, critical=True)
    if key_uses:
        usage = x509.KeyUsage(**{use: use in key_uses for use in _KEY_USES})
        builder = builder.add_extension(usage, critical=True)
    if purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(list(purposes)), critical=False)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    algorithm = None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(signer, algorithm)


def make_authority(
    name: str = "authority",
    *,
    key: PrivateKey | None = None,
    issuer: Authority | None = None,
    uris: Sequence[str] = (),
    is_authority: bool | None = True,
    key_uses: Collection[str] = ("key_cert_sign", "crl_sign"),
    extensions: Iterable[tuple[x509.ExtensionType, bool]] = (),
    not_before: float = FROM_EVER,
    not_after: float = FOR_EVER,
) -> Authority:
    """A signing certificate with its key, signed by itself without an issuer."""
    key = key or shared_key(name)
    certificate = make_certificate(
        issuer,
        subject=name,
        key=key,
        uris=uris,
        is_authority=is_authority,
        key_uses=key_uses,
        extensions=extensions,
        not_before=not_before,
        not_after=not_after,
    )
    return Authority(_name(name), key, certificate)


def bundle_entry(
    authority: Authority, changes: Mapping[str, object] = MappingProxyType({})
) -> dict[str, object]:
    """The authority as an entry of a SPIFFE bundle; a change to None takes a member away."""
    key = authority.key.public_key()
    members: dict[str, object] = {"kty": "OKP"}
    if isinstance(key, ec.EllipticCurvePublicKey):
        members = ECAlgorithm.to_jwk(key, as_dict=True)
    elif isinstance(key, rsa.RSAPublicKey):
        members = RSAAlgorithm.to_jwk(key, as_dict=True)
    members.pop("key_ops", None)
    chain = [base64.b64encode(authority.der).decode()]
    entry = {**members, "use": "x509-svid", "x5c": chain, **changes}
    return {name: value for name, value in entry.items() if value is not None}


def make_bundle(*authorities: Authority, sequence: int = 1) -> bytes:
    """A SPIFFE bundle document with these authorities."""
    entries = [bundle_entry(authority) for authority in authorities]
    return json.dumps({"spiffe_sequence": sequence, "keys": entries}).encode()


def to_pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)


def _name(text: str) -> x509.Name:
    return x509.Name.from_rfc4514_string(f"CN={text}") if text else x509.Name([])
