"""Where a document is, and reading it from there: a file, a URL, or what discovery names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from deputize.adapters.http_fetch import FetchError, fetch, fetch_discovered


@dataclass(frozen=True, slots=True)
class Location:
    """Exactly one of `file`, `url` and `discovery`: the issuer below which keys are discovered.

    `ca_file` has the authorities to trust instead of the system's.
    """

    file: str | None = None
    url: str | None = None
    discovery: str | None = None
    ca_file: str | None = None


def read_document(location: Location, *, max_bytes: int, accept: str) -> bytes:
    """Its octets, `max_bytes` at most; `accept` is the media type asked for at a URL.

    Raises:
        FetchError: it cannot be read, or is too large.
    """
    if location.file is not None:
        return _read_file(Path(location.file), max_bytes)
    if location.url is not None:
        return fetch(location.url, location.ca_file, max_bytes=max_bytes, accept=accept)
    if location.discovery is not None:
        return fetch_discovered(location.discovery, location.ca_file)
    raise FetchError("no place to read it from")


def _read_file(path: Path, max_bytes: int) -> bytes:
    try:
        with path.open("rb") as stream:
            octets = stream.read(max_bytes + 1)
    except OSError as error:
        raise FetchError(f"{path}: {error.strerror}") from None
    if len(octets) > max_bytes:
        raise FetchError(f"{path} is larger than {max_bytes} bytes")
    return octets
