"""What a configuration needs from others, and whether it can be had from here."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from deputize.adapters.http_fetch import FetchError, fetch, fetch_discovered
from deputize.adapters.shown_url import show_url
from deputize.config.deny_list import MAX_BYTES, parse_deny_list
from deputize.config.issuer_schema import KeySource
from deputize.config.loader import Loaded
from deputize.config.problems import ConfigError
from deputize.config.schema import DenyListSource, Replay, ServiceSpec
from deputize.core.jws import JwsError
from deputize.core.keys import Algorithm, parse_jwk_set
from deputize.doctor.certificates import find_ending, find_ending_authorities
from deputize.doctor.findings import Code, Finding, Report, found_at
from deputize.doctor.http_look import LookError, look
from deputize.doctor.live_http import find_skew

_REDIS_PORT = 6379
_REDIS_SECONDS = 5.0
_MAX_URL_LENGTH = 4096


def ask_sources(loaded: Loaded, report: Report) -> None:
    """Adds what is wrong with keys, deny lists, certificates and stores of a configuration."""
    service = loaded.service
    for entry in service.issuers:
        allowed = loaded.compiled.issuers[entry.issuer].algorithms
        report.add(_keys(entry.issuer, entry.keys, allowed, loaded))
        report.checked.append(f"keys of {entry.issuer}")
    for each in service.approvals.services if service.approvals else ():
        allowed = loaded.compiled.approval_services[each.issuer].algorithms
        report.add(_keys(each.issuer, each.keys, allowed, loaded))
        report.checked.append(f"keys of {each.issuer}")
    for source in service.deny_lists:
        report.add(_deny_list(source))
        report.checked.append(f"deny list {source.file or show_url(source.url or '')}")
    tls = service.server.grpc.tls
    if tls is not None:
        report.add(_read_certificates(tls.certificate_file, find_ending))
        report.checked.append(f"certificate {tls.certificate_file}")
    for file in _authority_files(service):
        report.add(_read_certificates(file, find_ending_authorities))
        report.checked.append(f"authorities {file}")
    if service.replay.url_file is not None:
        report.add(_redis(service.replay, service.replay.url_file))
        report.checked.append("replay store")
    _tell_unasked(service, report)


def _keys(
    issuer: str, keys: KeySource, allowed: tuple[Algorithm, ...], loaded: Loaded
) -> Iterator[Finding]:
    where = f"keys of {issuer}"
    try:
        if keys.file is not None:
            octets = Path(keys.file).read_bytes()
        elif keys.url is not None:
            octets = fetch(keys.url, keys.ca_file)
        else:
            octets = fetch_discovered(issuer, keys.ca_file)
    except (FetchError, OSError) as error:
        yield found_at(where, Code.KEYS_UNREACHABLE, str(error))
        return
    try:
        ring, left_out = parse_jwk_set(octets, allowed)
    except JwsError as error:
        yield found_at(where, Code.KEYS_UNUSABLE, str(error))
        return
    if not ring:
        cause = f"no usable key in the set; left out {', '.join(left_out) or 'none'}"
        yield found_at(where, Code.KEYS_UNUSABLE, cause)
    location = keys.url or f"{issuer.removesuffix('/')}/.well-known/openid-configuration"
    if keys.file is None:
        try:
            yield from find_skew(look(location, keys.ca_file).skew, where, loaded)
        except LookError:
            # It answered the fetcher; without a Date there is nothing to compare.
            return


def _deny_list(source: DenyListSource) -> Iterator[Finding]:
    name = source.file or show_url(source.url or "")
    try:
        if source.file is not None:
            octets = Path(source.file).read_bytes()
        else:
            octets = fetch(
                source.url or "",
                source.ca_file,
                max_bytes=MAX_BYTES,
                accept="application/yaml, application/json",
            )
    except (FetchError, OSError) as error:
        yield found_at(name, Code.DENY_LIST_UNREACHABLE, str(error))
        return
    try:
        parse_deny_list(octets, name)
    except ConfigError as error:
        yield found_at(name, Code.DENY_LIST_UNUSABLE, str(error.problems[0]))


def _authority_files(service: ServiceSpec) -> list[str]:
    """Every file with authorities, each once."""
    tls = service.server.grpc.tls
    files = [tls.client_ca_file if tls else None, service.replay.ca_file]
    files += [each.ca_file for each in service.peer.bundles]
    files += [each.ca_file for each in service.deny_lists]
    files += [each.keys.ca_file for each in service.approvals.services] if service.approvals else []
    for entry in service.issuers:
        files += [
            entry.keys.ca_file,
            entry.status_lists.ca_file if entry.status_lists else None,
            entry.introspection.ca_file if entry.introspection else None,
        ]
    return list(dict.fromkeys(file for file in files if file is not None))


def _read_certificates(file: str, judge: Callable[[bytes, str], list[Finding]]) -> list[Finding]:
    try:
        return judge(Path(file).read_bytes(), file)
    except OSError as error:
        return [found_at(file, Code.CERTIFICATE_UNUSABLE, f"{error.strerror}")]


def _tell_unasked(service: ServiceSpec, report: Report) -> None:
    """What would need a secret, a token, or a peer."""
    report.unchecked += [f"trust bundle of {each.trust_domain}" for each in service.peer.bundles]
    for entry in service.issuers:
        if entry.status_lists is not None:
            report.unchecked.append(f"status lists of {entry.issuer}: tokens name them")
        if entry.introspection is not None:
            report.unchecked.append(f"introspection at {entry.issuer}: it needs a secret")


def _redis(settings: Replay, file: str) -> Iterator[Finding]:
    """Connects and sends nothing; the URL is never shown, for it may hold a password."""
    where = f"replay store of {file}"
    try:
        with Path(file).open(encoding="utf-8") as stream:
            parts = urlsplit(stream.read(_MAX_URL_LENGTH).strip())
        address = (parts.hostname or "", parts.port or _REDIS_PORT)
    except OSError as error:
        yield found_at(where, Code.REDIS_UNREACHABLE, f"{error.strerror}")
        return
    except ValueError:
        yield found_at(where, Code.REDIS_UNREACHABLE, "the URL in it is none")
        return
    try:
        with socket.create_connection(address, _REDIS_SECONDS) as stream:
            if parts.scheme == "rediss":
                trust = ssl.create_default_context(cafile=settings.ca_file)
                trust.wrap_socket(stream, server_hostname=address[0]).close()
    except OSError as error:
        yield found_at(where, Code.REDIS_UNREACHABLE, type(error).__name__)
