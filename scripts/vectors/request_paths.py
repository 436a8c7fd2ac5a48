"""Paths that proxy, authorizer and back end could read differently.

All are sent by the operator, whom a rule lets call every path: only the reading refuses them.
"""

from __future__ import annotations

from collections.abc import Iterable

from deputize.core.reasons import Reason
from scripts.vectors.cast import OPERATOR
from scripts.vectors.rows import Importance, Row, check, group
from tests.harness.vector_files import Vector

_LONG = "/v1/orders/" + "7" * 8182
_DEEP = "/x" * 65


def _ambiguous(
    source: str, *rows: tuple[str, str, str], importance: Importance = "critical"
) -> Iterable[Vector]:
    asked: list[Row] = [
        (f"path-{name}", title, check(peer=OPERATOR, path=path)) for name, title, path in rows
    ]
    return group(Reason.REQUEST_AMBIGUOUS_PATH, source, *asked, importance=importance)


VECTORS = (
    *_ambiguous(
        "CVE-2026-26205; RFC 3986 section 4.2",
        ("double-slash-first", "two slashes first: an authority to some", "//admin/users/7"),
        ("only-slashes", "nothing but slashes", "///"),
    ),
    *_ambiguous(
        "CVE-2021-29492; Envoy http_connection_manager.proto merge_slashes",
        ("double-slash-inside", "two slashes inside", "/v1//admin"),
    ),
    *_ambiguous(
        "CVE-2019-9901; RFC 3986 section 5.2.4",
        ("dot-dot", "dot segments that lead out", "/v1/orders/../../admin"),
        ("dot", "a dot segment that leads nowhere", "/v1/./orders/7"),
        ("dot-dot-alone", "a dot segment alone", "/.."),
    ),
    *_ambiguous(
        "CVE-2019-9901; Envoy test/common/http/path_utility_test.cc",
        ("encoded-dots", "encoded dot segments in either case", "/v1/orders/%2e%2e/%2E%2E/admin"),
        ("half-encoded-dots", "a dot segment of which one dot is encoded", "/v1/orders/.%2e/admin"),
        ("dot-dot-backslash", "a dot segment before a backslash", "/v1/orders/..\\admin"),
        ("encoded-nul-in-dots", "dots around an encoded NUL", "/xyz/.%00../abc"),
        ("escape-of-nothing", "a percent sign before another", "/xyz/AAAAA%%0000/abc"),
    ),
    *_ambiguous(
        "CVE-2021-29492; Envoy path_with_escaped_slashes_action",
        ("encoded-slash-upper", "an encoded slash, upper case", "/v1/orders%2F7"),
        ("encoded-backslash", "an encoded backslash", "/admin%5Cusers"),
        ("raw-backslash", "a backslash", "/admin\\users"),
    ),
    *_ambiguous(
        "CVE-2026-42272",
        ("encoded-slash-lower", "an encoded slash, lower case", "/v1/orders%2f..%2fadmin"),
    ),
    *_ambiguous(
        "RFC 3986 section 2.4",
        ("double-encoded-dots", "dots encoded twice", "/v1/%252e%252e/admin"),
    ),
    *_ambiguous(
        "RFC 3986 section 2.3",
        ("encoded-letter", "an escape for a letter: admin by another spelling", "/%61dmin"),
    ),
    *_ambiguous(
        "CVE-2019-9900; RFC 3986 section 2.1",
        ("encoded-nul", "an encoded NUL", "/admin%00"),
        ("encoded-crlf", "an encoded line end", "/v1/orders/7%0d%0aX-Admin:%201"),
        ("encoded-space-last", "an encoded space at the end of a segment", "/admin%20"),
        ("raw-nul", "a NUL", "/admin\x00"),
        ("raw-tab", "a tab, which some parsers drop", "/ad\tmin"),
        ("raw-non-ascii", "a letter that must be escaped", "/v1/orders/\u00e9"),
    ),
    *_ambiguous(
        "Envoy source/common/protobuf/utility.cc sanitizeUtf8String",
        ("octet-mark", "what Envoy shows for a raw octet that is not UTF-8", "/admin!/users"),
    ),
    *_ambiguous(
        "RFC 3986 section 2.1",
        ("escape-cut-short", "an escape that ends too early", "/v1/orders/%2"),
        ("escape-utf-16", "an escape as JavaScript writes it", "/v1/%u002e%u002e/admin"),
    ),
    *_ambiguous(
        "RFC 3629 section 3",
        ("overlong-dot", "a dot in too many bytes", "/v1/%c0%ae%c0%ae/admin"),
        ("invalid-utf-8", "an escape that is no UTF-8", "/v1/orders/%ff"),
    ),
    *_ambiguous(
        "Unicode Standard Annex 15",
        ("fullwidth-dots", "full-width dots", "/v1/%ef%bc%8e%ef%bc%8e/admin"),
        ("fullwidth-slash", "a full-width slash", "/v1/orders%ef%bc%8fadmin"),
        ("division-slash", "a slash that folding leaves alone", "/v1/orders%e2%88%95admin"),
        ("invisible", "an invisible character inside a word", "/ad%e2%80%8bmin"),
    ),
    *_ambiguous(
        "CVE-2026-73511; RFC 3986 section 3.3; Jakarta Servlet 6.0 section 3.5.2",
        ("parameter", "a path parameter, which servlets drop", "/admin;a=b"),
        ("parameter-dots", "a path parameter behind dots", "/v1/..;/admin"),
    ),
    *_ambiguous(
        "own; file names on Windows",
        ("dot-at-end", "a segment that ends with a dot", "/admin."),
        importance="high",
    ),
    *_ambiguous(
        "CVE-2026-32811; RFC 3986 section 3.4",
        ("encoded-question-mark", "an encoded question mark", "/v1/orders/7%3fx=/admin"),
    ),
    *_ambiguous(
        "CVE-2021-32779; RFC 3986 section 3.5",
        ("fragment", "a fragment", "/v1/orders/7#/admin"),
        ("fragment-after-query", "a fragment behind a query", "/v1/orders/7?x=1#/admin"),
    ),
    *_ambiguous(
        "CVE-2026-33186; RFC 9113 section 8.3.1",
        ("no-slash", "no leading slash", "v1/orders/7"),
    ),
    *_ambiguous(
        "RFC 9112 section 3.2",
        ("absolute-form", "an absolute URL", "http://evil.example/admin"),
        ("asterisk", "the asterisk of OPTIONS", "*"),
        ("authority-form", "a host and port, as CONNECT sends them", "orders.example:443"),
        ("empty", "nothing", ""),
        importance="high",
    ),
    *_ambiguous(
        "own; bounded work",
        ("too-long", "more than 8192 bytes", _LONG),
        ("too-deep", "more than 64 segments", _DEEP),
        importance="normal",
    ),
)
