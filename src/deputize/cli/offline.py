"""What the service fetches in the background, read once from files for a single decision.

What comes from a URL is not fetched: keys can be given as files instead; of the rest is said that
it is left out, because the service might refuse what is allowed here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TypeVar

import typer

from deputize.adapters.shown_url import show_url
from deputize.cli.inputs import refuse_input
from deputize.config.deny_list import parse_deny_list
from deputize.config.loader import Loaded
from deputize.config.problems import ConfigError, Problem
from deputize.core.bundles import Bundle, BundleError, parse_bundle
from deputize.core.jws import JwsError
from deputize.core.keys import KeyRing, freeze_keys, parse_jwk_set
from deputize.core.revocation import Revocations, merge
from deputize.core.spiffe import TrustDomain
from deputize.core.status_list import StatusList, StatusListError, read_status_list
from deputize.core.trust import TrustedIssuer
from deputize.server.state import Fetched

ResultT = TypeVar("ResultT")


def read_sources(loaded: Loaded, key_files: list[str], now: float) -> Fetched:
    """Everything that comes from files; `key_files` are `ISSUER=FILE`, `now` is in seconds."""
    rings = _read_rings(loaded, key_files)
    return Fetched(
        rings, read_revocations(loaded), _read_status_lists(loaded, rings, now), _bundles(loaded)
    )


def read_revocations(loaded: Loaded) -> Revocations:
    """What the configured deny lists say; those at a URL are said to be left out."""
    for source in loaded.service.deny_lists:
        _say_left_out("deny list", source.url)
    return read_deny_lists(deny_list_files(loaded))


def deny_list_files(loaded: Loaded) -> list[str]:
    """The configured deny lists that are files."""
    return [source.file for source in loaded.service.deny_lists if source.file is not None]


def read_deny_lists(files: Iterable[str]) -> Revocations:
    """The lists put together; ends the command with every problem of all of them."""
    parts: list[Revocations] = []
    problems: list[Problem] = []
    for file in files:
        try:
            parts.append(parse_deny_list(Path(file).read_bytes(), file))
        except ConfigError as error:
            problems += error.problems
        except OSError as error:
            problems.append(Problem(file, 0, "", f"{error.strerror}"))
    if problems:
        refuse_input(str(ConfigError(problems)))
    return merge(parts)


def _read_rings(loaded: Loaded, given: list[str]) -> dict[str, KeyRing]:
    service, compiled = loaded.service, loaded.compiled
    files = {entry.issuer: entry.keys.file for entry in service.issuers}
    allowed = {name: issuer.algorithms for name, issuer in compiled.issuers.items()}
    for entry in service.approvals.services if service.approvals else ():
        files[entry.issuer] = entry.keys.file
        allowed[entry.issuer] = compiled.approval_services[entry.issuer].algorithms
    for text in given:
        issuer, equals, file = text.rpartition("=")
        if not equals or issuer not in files:
            refuse_input(f"`{text}` is not `ISSUER=FILE` with a configured issuer")
        files[issuer] = file
    rings: dict[str, KeyRing] = {}
    for issuer, source in files.items():
        if source is None:
            hint = f"give `--jwks {issuer}=FILE`"
            typer.echo(f"keys of {issuer}: not fetched here; {hint}", err=True)
        else:
            parse = partial(parse_jwk_set, allowed=allowed[issuer])
            keys, left_out = _read(f"keys of {issuer}", source, parse)
            for line in left_out:
                typer.echo(f"keys of {issuer}: left out {line}", err=True)
            rings[issuer] = freeze_keys(keys, usable_until=math.inf)
    return rings


def _read_status_lists(
    loaded: Loaded, rings: dict[str, KeyRing], now: float
) -> dict[tuple[str, str], StatusList]:
    lists: dict[tuple[str, str], StatusList] = {}
    for entry in loaded.service.issuers:
        source, ring = entry.status_lists, rings.get(entry.issuer)
        if source is None:
            continue
        for prefix in source.uri_prefixes:
            _say_left_out("status lists", prefix)
        for uri, file in (source.files or {}).items():
            # Without keys nothing of this issuer is accepted, so that its lists say nothing.
            if ring is not None:
                trusted = loaded.compiled.issuers[entry.issuer]
                parse = partial(_parse_status_list, uri=uri, ring=ring, trusted=trusted, now=now)
                lists[entry.issuer, uri] = _read(f"status list {show_url(uri)}", file, parse)
    return lists


def _parse_status_list(
    octets: bytes, *, uri: str, ring: KeyRing, trusted: TrustedIssuer, now: float
) -> StatusList:
    compact = octets.decode("ascii", "replace").strip()
    return read_status_list(compact, uri, ring, trusted.algorithms, now, trusted.clock_skew)


def _bundles(loaded: Loaded) -> dict[TrustDomain, Bundle]:
    bundles: dict[TrustDomain, Bundle] = {}
    for entry in loaded.service.peer.bundles:
        _say_left_out("bundle", entry.url)
        if entry.file is not None:
            domain = TrustDomain(entry.trust_domain)
            parse = partial(parse_bundle, trust_domain=domain)
            bundles[domain] = _read(f"bundle of {domain}", entry.file, parse)
    return bundles


def _say_left_out(what: str, url: str | None) -> None:
    if url is not None:
        typer.echo(f"{what} {show_url(url)}: not fetched here", err=True)


def _read(what: str, file: str, parse: Callable[[bytes], ResultT]) -> ResultT:
    try:
        return parse(Path(file).read_bytes())
    except (OSError, JwsError, StatusListError, BundleError) as error:
        refuse_input(f"{what} in {file}: {error}")
