"""Token Status Lists: one bit string that says of many tokens whether they are still valid.

Rules of this file:
- A list counts only if a key of the issuer signed it, for the URI it was fetched from.
- Sizes are bounded before anything is unpacked, and while it is.
- A status of another kind is an error, never read as if it were absent.
- A value other than 0 is not valid, whatever it may mean; that is for the caller to say.

Sources: draft-ietf-oauth-status-list sections 4.1, 4.2, 5.1, 6.2, 8.3 and 11.1; RFC 1950 (ZLIB).
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from deputize.core.claims import ClaimError, is_within_times, read_time
from deputize.core.jws import JwsError, decode_base64url, read_unverified_jws
from deputize.core.keys import Algorithm, KeyRing, parse_algorithm, verify_signature
from deputize.core.model import Json, StatusReference
from deputize.core.profiles import normalize_type

MAX_TOKEN_BYTES = 2 * 1024 * 1024
"""Of the signed list, as it is fetched."""
MAX_LIST_BYTES = 8 * 1024 * 1024
"""Unpacked: 67 million tokens of one bit each."""
MAX_LIFE_SECONDS = 43200.0
"""For every list, also one that says neither `exp` nor `ttl`, as section 5.1 recommends."""
_URI = re.compile(r"[!-~]{1,2048}")
_TYPE = "statuslist+jwt"
_BITS = (1, 2, 4, 8)


class StatusListError(ValueError):
    """A status list, or a reference to one, does not hold; the message says why."""


class StatusListKeyError(StatusListError):
    """No key here fits the list; newer ones might."""


@dataclass(frozen=True, slots=True)
class StatusList:
    """The values of all tokens in one list; times in seconds since the epoch.

    It was issued at `issued_at` and is good until `usable_until`.
    """

    uri: str
    bits: int
    octets: bytes = field(repr=False)
    usable_until: float
    issued_at: float


def read_status_reference(claims: Mapping[str, Json]) -> StatusReference | None:
    """Where the token's status stands; None without a claim `status`.

    Raises:
        StatusListError: another kind of status, or one that cannot be read.
    """
    if "status" not in claims:
        return None
    status = claims["status"]
    reference = status.get("status_list") if isinstance(status, dict) else None
    if not isinstance(reference, dict):
        raise StatusListError("claim status names no status list")
    index, uri = reference.get("idx"), reference.get("uri")
    if isinstance(index, bool) or not isinstance(index, int) or index < 0:
        raise StatusListError("status_list.idx is not a number from 0")
    if not isinstance(uri, str) or not _URI.fullmatch(uri):
        raise StatusListError("status_list.uri is not a URI")
    return StatusReference(uri, index)


def read_status_list(
    compact: str,
    uri: str,
    ring: KeyRing,
    algorithms: tuple[Algorithm, ...],
    now: float,
    clock_skew: float,
) -> StatusList:
    """Verifies the Status List Token fetched from `uri` and unpacks it.

    `algorithms` are those allowed for the issuer, `ring` has its keys; `now` is in seconds since
    the epoch, `clock_skew` in seconds.

    Raises:
        StatusListError: anything that does not hold; StatusListKeyError where a key is missing.
    """
    if not now <= ring.usable_until:
        raise StatusListKeyError("no fresh key set for the issuer")
    try:
        jws = read_unverified_jws(compact, max_bytes=MAX_TOKEN_BYTES)
        if normalize_type(jws.header.token_type) != _TYPE:
            raise StatusListError(f"typ is not {_TYPE}")
        algorithm = parse_algorithm(jws.header.algorithm)
        key = ring.find(jws.header.key_id)
        if key is None or key.algorithm is not algorithm or algorithm not in algorithms:
            raise StatusListKeyError("signed by no key of the issuer")
        if not verify_signature(key, jws.signing_input, jws.signature):
            raise StatusListError("the signature does not verify")
        return _read_claims(jws.payload, uri, now, clock_skew)
    except (JwsError, ClaimError) as error:
        raise StatusListError(str(error)) from None


def status_at(status_list: StatusList, index: int) -> int:
    """The value of one token, counted from the least significant bit (section 4.1).

    Raises:
        StatusListError: the list has no such place.
    """
    per_octet = 8 // status_list.bits
    place, shift = divmod(index, per_octet)
    if not 0 <= place < len(status_list.octets):
        raise StatusListError("the status list has no such index")
    return status_list.octets[place] >> (shift * status_list.bits) & ((1 << status_list.bits) - 1)


def _read_claims(claims: dict[str, Json], uri: str, now: float, clock_skew: float) -> StatusList:
    if claims.get("sub") != uri:
        raise StatusListError("sub is not the URI of the list")
    if "iat" not in claims:
        raise StatusListError("iat is absent")
    issued_at = read_time(claims, "iat")
    if not issued_at <= now + clock_skew:
        raise StatusListError("iat is in the future")
    if not is_within_times(claims, now, clock_skew):
        raise StatusListError("outside its exp or nbf")
    ends = [now + MAX_LIFE_SECONDS]
    # Without an end of its own it must not be sent again for ever.
    ends.append(read_time(claims, "exp") if "exp" in claims else issued_at + MAX_LIFE_SECONDS)
    if "ttl" in claims:
        ends.append(now + read_time(claims, "ttl"))
    if not now < min(ends):
        raise StatusListError("the list has expired, or its ttl is not positive")
    bits, octets = _read_values(claims.get("status_list"))
    return StatusList(uri, bits, octets, min(ends), issued_at)


def _read_values(member: Json) -> tuple[int, bytes]:
    if not isinstance(member, dict):
        raise StatusListError("no status_list")
    bits, packed = member.get("bits"), member.get("lst")
    if isinstance(bits, bool) or not isinstance(bits, int) or bits not in _BITS:
        raise StatusListError("status_list.bits is not 1, 2, 4 or 8")
    if not isinstance(packed, str) or not packed:
        raise StatusListError("status_list.lst is not a text")
    unpacker = zlib.decompressobj()
    try:
        octets = unpacker.decompress(decode_base64url(packed), MAX_LIST_BYTES)
    except zlib.error:
        raise StatusListError("status_list.lst is not ZLIB data") from None
    # One that is larger has not come to its end.
    if not unpacker.eof or unpacker.unused_data:
        raise StatusListError("status_list.lst is too large, cut off, or followed by more")
    return bits, octets
