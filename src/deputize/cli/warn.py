"""What is allowed in a configuration, but will hardly work, or hardly as meant."""

from __future__ import annotations

from pathlib import Path

from deputize.config.loader import Loaded
from deputize.config.schema import Issuer, ServiceSpec
from deputize.core.jws import JwsError
from deputize.core.keys import parse_jwk_set

_LOCAL = ("unix:", "127.", "localhost:", "[::1]:")


def find_warnings(loaded: Loaded) -> list[str]:
    """Files that are not there, keys that are left out, ports open to everyone."""
    service = loaded.service
    warnings = _ports(service)
    for entry in service.issuers:
        warnings += _keys(entry, loaded)
    tls = service.server.grpc.tls
    files = [tls.certificate_file, tls.private_key_file, tls.client_ca_file] if tls else []
    files += [entry.keys.ca_file for entry in service.issuers]
    warnings += [f"{file}: no such file" for file in files if file and not Path(file).is_file()]
    return warnings


def _ports(service: ServiceSpec) -> list[str]:
    grpc = service.server.grpc
    warnings = [
        f"{address} is plain text and not local: whoever reaches it can claim to be any peer"
        for address in grpc.listen
        if grpc.tls is None and not address.startswith(_LOCAL)
    ]
    if grpc.tls is not None and grpc.tls.allowed_callers is None:
        warnings.append("without `allowedCallers` every client of the port may ask")
    return warnings


def _keys(entry: Issuer, loaded: Loaded) -> list[str]:
    if entry.keys.file is None:
        return []
    try:
        octets = Path(entry.keys.file).read_bytes()
        keys, left_out = parse_jwk_set(octets, loaded.compiled.issuers[entry.issuer].algorithms)
    except (OSError, JwsError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        return [f"keys of {entry.issuer}: {entry.keys.file}: {reason}"]
    warnings = [f"keys of {entry.issuer}: left out {line}" for line in left_out]
    return warnings if keys else [*warnings, f"keys of {entry.issuer}: no usable key"]
