"""How long certificates are still good."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography import x509

from deputize.doctor.findings import Code, Finding, found_at

LEAST_SHARE = 0.2
"""Of its life; what renews certificates does so long before."""


def find_ending(pem: bytes, where: str) -> list[Finding]:
    """What is wrong now with the dates of a certificate, or of any in its chain."""
    certificates = _read(pem)
    if not certificates:
        return [found_at(where, Code.CERTIFICATE_UNUSABLE, "no certificate can be read")]
    return [found for each in certificates for found in _judge(each, where)]


def find_ending_authorities(pem: bytes, where: str) -> list[Finding]:
    """The same of authorities, of which one that is good is enough."""
    found = find_ending(pem, where)
    return found if len(found) >= len(_read(pem)) else []


def _read(pem: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError:
        return []


def _judge(certificate: x509.Certificate, where: str) -> list[Finding]:
    now = datetime.now(UTC)
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    name = certificate.subject.rfc4514_string() or f"serial {certificate.serial_number:x}"
    if now > end:
        return [found_at(where, Code.CERTIFICATE_UNUSABLE, f"{name} expired at {end:%F %T} UTC")]
    if now < begin:
        cause = f"{name} is valid from {begin:%F %T} UTC on"
        return [found_at(where, Code.CERTIFICATE_UNUSABLE, cause)]
    if end - now < LEAST_SHARE * (end - begin):
        days = (end - now) / timedelta(days=1)
        cause = f"{name}: {days:.2f} days left, until {end:%F %T} UTC"
        return [found_at(where, Code.CERTIFICATE_EXPIRING, cause)]
    return []
