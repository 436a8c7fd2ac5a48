"""How long certificates are still good."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from cryptography import x509

from deputize.doctor.findings import Code, Finding, found_at

LEAST_SHARE = 0.2
"""Of its life; what renews certificates does so long before."""


def find_ending(pem: bytes, where: str) -> Iterator[Finding]:
    """What is wrong with the dates of the certificates in a PEM text, now."""
    try:
        certificates = x509.load_pem_x509_certificates(pem)
    except ValueError:
        yield found_at(where, Code.CERTIFICATE_UNUSABLE, "no certificate can be read")
        return
    now = datetime.now(UTC)
    for certificate in certificates:
        begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        name = certificate.subject.rfc4514_string() or f"serial {certificate.serial_number:x}"
        if now > end:
            yield found_at(where, Code.CERTIFICATE_UNUSABLE, f"{name} expired at {end:%F %T} UTC")
        elif now < begin:
            cause = f"{name} is valid from {begin:%F %T} UTC on"
            yield found_at(where, Code.CERTIFICATE_UNUSABLE, cause)
        elif end - now < LEAST_SHARE * (end - begin):
            days = (end - now) / timedelta(days=1)
            cause = f"{name}: {days:.2f} days left, until {end:%F %T} UTC"
            yield found_at(where, Code.CERTIFICATE_EXPIRING, cause)
