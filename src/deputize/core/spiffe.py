"""SPIFFE IDs of workloads as values: parsed once, strictly, then compared exactly.

Rules of this file:
- A value exists only if its text is a valid ID: parsing refuses, it never repairs or folds case.
- Compare values with values; nothing here compares an ID to a plain string.

Source: SPIFFE-ID.md sections 2, 2.1, 2.2 and 2.3; X509-SVID.md section 3.1 (a workload has a
non-root path). Upper-case schemes and trust domains are refused, although section 2.4 allows a
parser to fold them: two spellings of one identity are two chances to be fooled.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

MAX_SPIFFE_ID_BYTES = 2048
"""SPIFFE-ID.md section 2.3: implementations need not handle longer IDs."""
MAX_TRUST_DOMAIN_BYTES = 255

_TRUST_DOMAIN = re.compile(r"[a-z0-9._-]+", re.ASCII)
_SEGMENT = re.compile(r"[A-Za-z0-9._-]+", re.ASCII)
_SCHEME = "spiffe://"


class SpiffeIdError(ValueError):
    """The text is not a SPIFFE ID of a workload; the message says why."""


@dataclass(frozen=True, slots=True, order=True)
class TrustDomain:
    """The name of a trust domain, for example `prod.example.org`."""

    name: str

    def __post_init__(self) -> None:
        if not _TRUST_DOMAIN.fullmatch(self.name):
            raise SpiffeIdError("a trust domain has only the characters a-z 0-9 . _ -")
        if len(self.name) > MAX_TRUST_DOMAIN_BYTES:
            raise SpiffeIdError(f"a trust domain has at most {MAX_TRUST_DOMAIN_BYTES} bytes")

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True, order=True)
class SpiffeId:
    """The identity of one workload: `spiffe://<trust domain>/<segment>[/<segment>...]`."""

    trust_domain: TrustDomain
    path: str
    text: str

    def __str__(self) -> str:
        return self.text


@lru_cache(maxsize=4096)
def parse_spiffe_id(text: str) -> SpiffeId:
    """Reads the SPIFFE ID of a workload.

    The memory is bounded: at most 4096 IDs of at most 2048 bytes.

    Raises:
        SpiffeIdError: the text is no SPIFFE ID with a non-root path.
    """
    if not text.startswith(_SCHEME):
        raise SpiffeIdError("a SPIFFE ID starts with spiffe:// in lower case")
    if len(text) > MAX_SPIFFE_ID_BYTES:
        raise SpiffeIdError(f"a SPIFFE ID has at most {MAX_SPIFFE_ID_BYTES} bytes")
    name, slash, rest = text[len(_SCHEME) :].partition("/")
    trust_domain = TrustDomain(name)
    if not slash:
        raise SpiffeIdError("a workload's SPIFFE ID has a path after the trust domain")
    for segment in rest.split("/"):
        check_segment(segment)
    return SpiffeId(trust_domain, slash + rest, text)


def check_segment(segment: str) -> None:
    """Checks one path segment (SPIFFE-ID.md section 2.2).

    Raises:
        SpiffeIdError: empty, a dot segment, or a character outside `A-Z a-z 0-9 . _ -`.
    """
    if not segment:
        raise SpiffeIdError("a path segment is not empty and the path does not end with /")
    if segment in {".", ".."}:
        raise SpiffeIdError("a path segment is not . or ..")
    if not _SEGMENT.fullmatch(segment):
        raise SpiffeIdError("a path segment has only the characters A-Z a-z 0-9 . _ -")
