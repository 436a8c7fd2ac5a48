"""TLS for the gRPC port, with certificates that are rotated while it runs.

The files are looked at before each handshake and read when they have changed. A half-written
pair is not used: the last good one stays until certificate and key fit again.
"""

from __future__ import annotations

import logging
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from deputize.config.schema import GrpcTls

_log = logging.getLogger(__name__)

Stamp = tuple[tuple[int, int], ...]


class TlsFiles:
    """The pair and the authorities as files; `read` gives new ones only when they changed.

    Raises:
        ValueError: the first pair is not usable.
    """

    def __init__(self, settings: GrpcTls) -> None:
        self._certificate = Path(settings.certificate_file)
        self._key = Path(settings.private_key_file)
        self._authorities = Path(settings.client_ca_file) if settings.client_ca_file else None
        self._stamp: Stamp = ()
        self.initial = self._load()

    def read(self) -> grpc.ServerCertificateConfiguration | None:
        """The new configuration, or None to go on with the one in use."""
        try:
            if self._look() == self._stamp:
                return None
            return self._load()
        except (OSError, ValueError) as error:
            _log.warning("TLS files not loaded, the last good ones stay: %s", error)
            return None

    def _look(self) -> Stamp:
        files = (self._certificate, self._key, self._authorities)
        facts = [file.stat() for file in files if file is not None]
        return tuple((fact.st_ino, fact.st_mtime_ns) for fact in facts)

    def _load(self) -> grpc.ServerCertificateConfiguration:
        # Seen from now on, good or not: a bad pair is told once, not at every handshake.
        self._stamp = self._look()
        certificate, key = self._certificate.read_bytes(), self._key.read_bytes()
        authorities = self._authorities.read_bytes() if self._authorities else None
        _check_pair(certificate, key)
        if authorities is not None:
            x509.load_pem_x509_certificates(authorities)
        return grpc.ssl_server_certificate_configuration([(key, certificate)], authorities)


def server_credentials(settings: GrpcTls) -> grpc.ServerCredentials:
    """Credentials that follow the files.

    Raises:
        ValueError: the files are not usable at the start.
        OSError: they cannot be read.
    """
    try:
        files = TlsFiles(settings)
    except ValueError as error:
        raise ValueError(f"spec.server.grpc.tls: {error}") from None
    return grpc.dynamic_ssl_server_credentials(
        files.initial,
        files.read,  # type: ignore[arg-type] # None means no change (grpc/__init__.py)
        require_client_authentication=settings.client_ca_file is not None,
    )


def _check_pair(certificate: bytes, key: bytes) -> None:
    leaf = x509.load_pem_x509_certificates(certificate)[0]
    try:
        private = load_pem_private_key(key, password=None)
    except (TypeError, UnsupportedAlgorithm) as error:
        raise ValueError(f"private key: {error}") from None
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if leaf.public_key().public_bytes(*form) != private.public_key().public_bytes(*form):
        raise ValueError("certificate and private key do not belong together")
