"""The one reading of a request path, or a refusal.

Proxy, authorizer and back end must agree on what a path names. Whatever one of them could read
differently is refused; nothing is rewritten, because the upstream gets the raw path.

Rules of this file:
- A path is split at `/` before anything is decoded, and each segment is decoded exactly once.
- Unreserved characters are never escaped: `%61` for `a` would be a second spelling.
- A raw `!` is refused, `%21` is read: over HTTP/2 Envoy passes octets that are not UTF-8 on to the
  upstream, and shows us a `!` for each.
- The query is never read, but may hold only printable ASCII, as far as we are shown it.

Sources: RFC 3986 sections 2.3, 3.3 and 6.2; Envoy `api/envoy/extensions/filters/network/
http_connection_manager/v3` (normalize_path, path_with_escaped_slashes_action), `source/common/
protobuf/utility.cc` (sanitizeUtf8String);
CVE-2021-29492, CVE-2026-26205, CVE-2026-32811, CVE-2026-42272.
"""

from __future__ import annotations

import re
import unicodedata

MAX_PATH_BYTES = 8192
MAX_PATH_SEGMENTS = 64

_PRINTABLE = re.compile(r"[!-~]+")
_PLAIN = re.compile(r"(?:/[A-Za-z0-9_~$&'()*+,=:@.-]+)+/?|/")
_SEGMENT = re.compile(r"(?:[A-Za-z0-9_~$&'()*+,=:@.-]|%[0-9A-Fa-f]{2})*")
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
_ESCAPE_RUN = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_PERCENT = re.compile("%(?:25)+")
_DELIMITER = re.compile(r"[/\\?#&=;]")
_DOT_SEGMENTS = frozenset({".", ".."})
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_SEPARATORS = frozenset("/\\;?#%.")


class PathError(ValueError):
    """The path has more than one reading; the message says which part."""


def parse_path(raw: str) -> tuple[str, ...]:
    """Reads `:path` as the proxy sends it: path, then an optional `?query`, undecoded.

    Returns the decoded segments; a trailing `/` gives an empty last segment, `/` is `("",)`.

    Raises:
        PathError: more than one reading, or longer than the limits above.
    """
    path = _without_query(raw)
    parts = path[1:].split("/")
    if len(parts) > MAX_PATH_SEGMENTS:
        raise PathError(f"more than {MAX_PATH_SEGMENTS} segments")
    if not _PLAIN.fullmatch(path):
        parts = [_decode(part) for part in parts]
        if "" in parts[:-1]:
            raise PathError("an empty segment")
    if "." in path and any(part.endswith(".") for part in parts):
        raise PathError("a dot segment or a segment that ends with a dot")
    return tuple(parts)


def has_dot_segment(text: str) -> bool:
    """Whether a text that is taken for a path or URL goes up somewhere, escaped or not."""
    if "%" in text:
        text = _PERCENT.sub("%", text).casefold()
        for escape, char in (("%2e", "."), ("%2f", "/"), ("%5c", "/")):
            text = text.replace(escape, char)
    return "." in text and not _DOT_SEGMENTS.isdisjoint(_DELIMITER.split(text))


def _without_query(raw: str) -> str:
    if not _PRINTABLE.fullmatch(raw):
        raise PathError("empty, or a character outside printable ASCII")
    if "#" in raw:
        raise PathError("a fragment")
    path = raw.partition("?")[0]
    if len(path) > MAX_PATH_BYTES:
        raise PathError(f"longer than {MAX_PATH_BYTES} bytes")
    if not path.startswith("/"):
        raise PathError("no leading /")
    return path


def _decode(segment: str) -> str:
    if ";" in segment:
        raise PathError("a path parameter (;)")
    if "\\" in segment:
        raise PathError("a backslash")
    if "!" in segment:
        raise PathError("a ! that is not written %21: it may stand for an octet that is not UTF-8")
    if not _SEGMENT.fullmatch(segment):
        raise PathError("an invalid escape or a character that must be escaped")
    decoded = _ESCAPE_RUN.sub(_decode_run, segment)
    if _ESCAPE.search(decoded):
        raise PathError("a double encoding")
    if decoded != decoded.strip():
        raise PathError("a segment with space at its end")
    return decoded


def _decode_run(run: re.Match[str]) -> str:
    octets = bytes.fromhex(run[0].replace("%", ""))
    try:
        text = octets.decode("utf-8", "strict")
    except UnicodeDecodeError:
        raise PathError("an escape that is not UTF-8") from None
    for char in text:
        _check_decoded(char)
    return text


def _check_decoded(char: str) -> None:
    if char in _UNRESERVED:
        raise PathError("an escape for a character that needs none")
    if char in _SEPARATORS and char != "%":
        raise PathError("an encoded separator")
    if char != "%" and _SEPARATORS.intersection(unicodedata.normalize("NFKC", char)):
        raise PathError("a look-alike of a separator")
    if char in _LOOK_ALIKES:
        raise PathError("a look-alike of a separator")
    # Cc, Cf, Cn, Co, Cs: controls, invisible marks, and what has no agreed meaning.
    if unicodedata.category(char).startswith("C") or char in _INVISIBLE:
        raise PathError("an encoded control or invisible character")


_LOOK_ALIKES = frozenset("\u2044\u2215\u29f8\u29f5\u2216\u2571\u2572\ua789\u037e")
"""Slashes, backslashes and semicolons that compatibility folding leaves alone."""
_INVISIBLE = frozenset(
    chr(code)
    for first, last in (
        (0x034F, 0x034F),
        (0x115F, 0x1160),
        (0x17B4, 0x17B5),
        (0x180B, 0x180F),
        (0x3164, 0x3164),
        (0xFE00, 0xFE0F),
        (0xFFA0, 0xFFA0),
        (0xE0100, 0xE01EF),
    )
    for code in range(first, last + 1)
)
"""Letters and marks that show nothing (Unicode property Default_Ignorable_Code_Point)."""
