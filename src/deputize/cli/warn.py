"""What is allowed in a configuration, but will hardly work, or hardly as meant."""

from __future__ import annotations

from pathlib import Path

from deputize.config.issuer_schema import Issuer
from deputize.config.loader import Loaded
from deputize.config.remarks import find_remarks
from deputize.config.schema import ServiceSpec
from deputize.core.jws import JwsError
from deputize.core.keys import parse_jwk_set
from deputize.core.revocation import Revocations
from deputize.core.spiffe import parse_spiffe_id

_LOCAL = ("unix:", "127.", "localhost:", "[::1]:")


def find_warnings(loaded: Loaded, revocations: Revocations) -> list[str]:
    """Absent and unread files, keys left out, open ports, deny lists that name strangers."""
    service = loaded.service
    warnings = _ports(service) + find_remarks(loaded)
    for entry in service.issuers:
        warnings += _keys(entry, loaded)
    files = _further_files(service)
    warnings += [f"{file}: no such file" for file in files if file and not Path(file).is_file()]
    return warnings + _strangers(service, revocations)


def _further_files(service: ServiceSpec) -> list[str | None]:
    """All files but keys, which are read here, and policies, which must be there."""
    tls = service.server.grpc.tls
    files = [tls.certificate_file, tls.private_key_file, tls.client_ca_file] if tls else []
    files += [service.replay.url_file, service.replay.ca_file]
    for bundle in service.peer.bundles:
        files += [bundle.file, bundle.ca_file]
    for deny_list in service.deny_lists:
        files += [deny_list.file, deny_list.ca_file]
    for entry in service.issuers:
        files.append(entry.keys.ca_file)
        if entry.status_lists is not None:
            files += [*(entry.status_lists.files or {}).values(), entry.status_lists.ca_file]
        if entry.introspection is not None:
            files += [entry.introspection.client_secret_file, entry.introspection.ca_file]
    return files


def _strangers(service: ServiceSpec, revocations: Revocations) -> list[str]:
    """Likely a slip of the pen, or a list that other services share."""
    pairs = (*revocations.tokens, *revocations.principals, *revocations.principal_cutoffs)
    named = {issuer for issuer, _ in pairs} | revocations.issuers | set(revocations.issuer_cutoffs)
    issuers = named - {entry.issuer for entry in service.issuers}
    agents = {*revocations.agents, *revocations.agent_cutoffs}
    domains = {parse_spiffe_id(text).trust_domain.name for text in agents}
    domains -= set(service.peer.trust_domains)
    return [
        *(f"a deny list names `{issuer}`, no configured issuer" for issuer in sorted(issuers)),
        *(f"a deny list names `{domain}`, no trust domain of ours" for domain in sorted(domains)),
    ]


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
