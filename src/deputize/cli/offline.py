"""What the service fetches in the background, read once from files for a single decision.

What comes from a URL is not fetched: keys can be given as files instead; of the rest is said that
it is left out, because the service might refuse what is allowed here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import typer

from deputize.cli.inputs import refuse_input
from deputize.config.deny_list import parse_deny_list
from deputize.config.loader import Loaded
from deputize.config.problems import ConfigError
from deputize.core.bundles import Bundle, BundleError, parse_bundle
from deputize.core.jws import JwsError
from deputize.core.keys import KeyRing, freeze_keys, parse_jwk_set
from deputize.core.revocation import Revocations, merge
from deputize.core.spiffe import TrustDomain
from deputize.core.status_list import StatusList, StatusListError, read_status_list
from deputize.server.state import Fetched

ResultT = TypeVar("ResultT")


def read_sources(loaded: Loaded, key_files: list[str], now: float) -> Fetched:
    """Everything that comes from files; `key_files` are `ISSUER=FILE`."""
    rings = _read_rings(loaded, key_files)
    return Fetched(
        rings, _read_deny_lists(loaded), _read_lists(loaded, rings, now), _bundles(loaded)
    )


def _read_rings(loaded: Loaded, given: list[str]) -> dict[str, KeyRing]:
    files = {entry.issuer: entry.keys.file for entry in loaded.service.issuers}
    for text in given:
        issuer, equals, file = text.rpartition("=")
        if not equals or issuer not in files:
            refuse_input(f"`{text}` is not `ISSUER=FILE` with a configured issuer")
        files[issuer] = file
    rings: dict[str, KeyRing] = {}
    for issuer, source in files.items():
        if source is not None:
            algorithms = loaded.compiled.issuers[issuer].algorithms
            keys, left_out = _read(
                f"keys of {issuer}", source, lambda octets, of=algorithms: parse_jwk_set(octets, of)
            )
            for line in left_out:
                typer.echo(f"keys of {issuer}: left out {line}", err=True)
            rings[issuer] = freeze_keys(keys, usable_until=math.inf)
    return rings


def _read_deny_lists(loaded: Loaded) -> Revocations:
    parts: list[Revocations] = []
    for source in loaded.service.deny_lists:
        if source.file is None:
            typer.echo(f"deny list {source.url}: not fetched here", err=True)
        else:
            file = source.file
            parts.append(
                _read("deny list", file, lambda octets, of=file: parse_deny_list(octets, of))
            )
    return merge(parts)


def _read_lists(
    loaded: Loaded, rings: dict[str, KeyRing], now: float
) -> dict[tuple[str, str], StatusList]:
    lists: dict[tuple[str, str], StatusList] = {}
    for entry in loaded.service.issuers:
        trusted, source = loaded.compiled.issuers[entry.issuer], entry.status_lists
        for uri, file in (source.files or {} if source else {}).items():
            ring = rings.get(entry.issuer)
            if ring is not None:

                def parse(octets: bytes, of: str = uri, by: KeyRing = ring) -> StatusList:
                    text = octets.decode("ascii", "replace").strip()
                    skew = trusted.clock_skew
                    return read_status_list(text, of, by, trusted.algorithms, now, skew)

                lists[entry.issuer, uri] = _read(f"status list {uri}", file, parse)
    return lists


def _bundles(loaded: Loaded) -> dict[TrustDomain, Bundle]:
    bundles: dict[TrustDomain, Bundle] = {}
    for entry in loaded.service.peer.bundles:
        domain = TrustDomain(entry.trust_domain)
        if entry.file is None:
            typer.echo(f"bundle {entry.url}: not fetched here", err=True)
        else:
            bundles[domain] = _read(
                f"bundle of {domain}",
                entry.file,
                lambda octets, of=domain: parse_bundle(octets, of),
            )
    return bundles


def _read(what: str, file: str, parse: Callable[[bytes], ResultT]) -> ResultT:
    try:
        return parse(Path(file).read_bytes())
    except ConfigError as error:
        refuse_input(str(error))
    except (OSError, JwsError, StatusListError, BundleError) as error:
        refuse_input(f"{what} in {file}: {error}")
