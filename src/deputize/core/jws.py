"""The strict reading of a compact JWS: bytes to a header, a payload and a signature, or nothing.

No Python JOSE library is strict enough alone: they accept duplicate members, UTF-16 text or
numbers as strings. So structure is read here, and a library only verifies the signature.

Rules of this file:
- One token, one reading: canonical base64url, UTF-8 without BOM, JSON objects with unique
  members, no NaN or Infinity, bounded size and depth.
- Only the header members `alg`, `kid`, `typ` may stand in a token, or those a reader names
  instead; every other one either changes what is verified (`crit`, `b64`, `jku`, `jwk`, `x5u`,
  `x5c`, `zip`) or is not needed.

Sources: RFC 7515 sections 2, 4, 4.1.11 and 5.2; RFC 7519 sections 4 and 7.2; RFC 8725 sections
3.1, 3.10 and 3.11; RFC 7493 section 2.3 (unique members).
"""

from __future__ import annotations

import base64
import json
import math
import re
from dataclasses import dataclass

from deputize.core.model import Json

MAX_TOKEN_BYTES = 8192
"""Above what header blocks usually allow; RFC 6750 gives no limit."""
MAX_JSON_DEPTH = 16

_COMPACT = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
# The closing quote is optional so that an open string is passed over once, not once per quote.
# Runs of plain characters are taken at once: a status list is one text of a megabyte.
_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
_BRACKET = re.compile(r"[\[\]{}]")
HEADER_MEMBERS = frozenset({"alg", "kid", "typ"})
"""Those of an ordinary token."""
_MAX_HEADER_TEXT = 256


class JwsError(ValueError):
    """The text is not a token we read; the message never quotes it."""


@dataclass(frozen=True, slots=True)
class JwsHeader:
    """The only header members we read; texts are empty where absent.

    `further_members` are the names of all others that the reader let pass. `jwk` is one of them:
    the key of a DPoP proof (RFC 9449 section 4.2), which says nothing about whom to trust.
    """

    algorithm: str
    key_id: str
    token_type: str
    further_members: frozenset[str]
    jwk: dict[str, Json] | None


@dataclass(frozen=True, slots=True)
class UnverifiedJws:
    """A token taken apart; nothing in it is proven."""

    header: JwsHeader
    payload: dict[str, Json]
    signing_input: bytes
    signature: bytes


def read_unverified_jws(
    compact: str,
    *,
    header_members: frozenset[str] = HEADER_MEMBERS,
    max_bytes: int = MAX_TOKEN_BYTES,
) -> UnverifiedJws:
    """Takes a compact JWS of at most `max_bytes` apart.

    `header_members` are all that its header may have; whether it must have them is for the caller.

    Raises:
        JwsError: any deviation from the rules above.
    """
    if len(compact) > max_bytes:
        raise JwsError(f"longer than {max_bytes} bytes")
    match = _COMPACT.fullmatch(compact)
    if match is None:
        raise JwsError("not three base64url parts")
    header, payload, signature = (decode_base64url(part) for part in match.groups())
    return UnverifiedJws(
        _read_header(read_json_object(header), header_members),
        read_json_object(payload),
        compact[: match.start(3) - 1].encode("ascii"),
        signature,
    )


def read_json_object(octets: bytes) -> dict[str, Json]:
    """Reads one JSON object strictly.

    Raises:
        JwsError: not UTF-8, a BOM, trailing text, a duplicate member, a number that is not
            finite, a lone surrogate, too deep, or not an object.
    """
    try:
        text = octets.decode("utf-8", "strict")
        _check_depth(text)
        value: object = _DECODER.decode(text)
    except JwsError:
        raise
    except (ValueError, RecursionError) as error:
        raise JwsError(f"not JSON: {type(error).__name__}") from None
    if not isinstance(value, dict):
        raise JwsError("not a JSON object")
    if "\\u" in text:
        _check_surrogates(value)
    return value


def _read_header(members: dict[str, Json], allowed: frozenset[str]) -> JwsHeader:
    if not members.keys() <= allowed:
        raise JwsError(f"a header member other than {', '.join(sorted(allowed))}")
    jwk = members.get("jwk")
    if not isinstance(jwk, dict):
        if "jwk" in members:
            raise JwsError("header member jwk is not an object")
        jwk = None
    return JwsHeader(
        _header_text(members, "alg"),
        _header_text(members, "kid"),
        _header_text(members, "typ"),
        frozenset(members.keys() - HEADER_MEMBERS),
        jwk,
    )


def _header_text(members: dict[str, Json], name: str) -> str:
    value = members.get(name, "")
    if not isinstance(value, str) or (name in members and not value):
        raise JwsError(f"header member {name} is not a text")
    if len(value) > _MAX_HEADER_TEXT or not value.isprintable():
        raise JwsError(f"header member {name} is too long or not printable")
    return value


def decode_base64url(part: str) -> bytes:
    """Decodes without padding; the last character's unused bits must be zero (RFC 4648 3.5).

    Raises:
        JwsError: anything but the one canonical spelling.
    """
    try:
        octets = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except ValueError:
        raise JwsError("not base64url") from None
    if base64.urlsafe_b64encode(octets).rstrip(b"=").decode("ascii") != part:
        raise JwsError("base64url that is not canonical")
    return octets


def _check_depth(text: str) -> None:
    depth = 0
    for bracket in _BRACKET.findall(_STRING.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        if depth > MAX_JSON_DEPTH:
            raise JwsError(f"JSON deeper than {MAX_JSON_DEPTH}")


def _unique_members(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise JwsError("a duplicate JSON member")
    return members


def _refuse_constant(_name: str) -> Json:
    raise JwsError("NaN or Infinity in JSON")


def _finite_float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise JwsError("a JSON number out of range")
    return value


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique_members,
    parse_constant=_refuse_constant,
    parse_float=_finite_float,
)


def _check_surrogates(value: Json) -> None:
    # An escaped lone surrogate has no UTF-8 form, so other readers may see another text.
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8", "strict")
    except UnicodeEncodeError:
        raise JwsError("a lone surrogate") from None
