"""The known ways around that are not in the path: methods, hosts and headers, as data.

Rules of this file: those of `path_cases.py`; the path is that of an order everywhere.

Sources: RFC 9110 sections 7.2 and 9.1; CVE-2026-26308, CVE-2026-31838, CVE-2026-40575.
"""

from __future__ import annotations

from deputize.core.reasons import Reason
from tests.harness.path_cases import ALLOWED, LITERAL, MALFORMED, SPELLINGS, PathCase
from tests.harness.path_rules import SHOPS
from tests.harness.world import HOST

_ORDER = ("/v1/orders/7",)
_OVERRIDE = Reason.REQUEST_OVERRIDE_HEADER


def _at_host(about: str, reason: Reason, *hosts: str) -> PathCase:
    return PathCase("P46", about, reason, _ORDER, hosts)


def _with_each(
    case_id: str, about: str, reason: Reason, *headers: tuple[str, str]
) -> list[PathCase]:
    return [PathCase(case_id, about, reason, _ORDER, headers={n: v}) for n, v in headers]


def _by(case_id: str, about: str, reason: Reason, *methods: str) -> list[PathCase]:
    return [PathCase(case_id, about, reason, _ORDER, (HOST,), method) for method in methods]


REQUESTS = [
    *_by("P44", "method in other letters", MALFORMED, "get", "Get", "gET"),
    *_by("P44", "no method", MALFORMED, "", "GET ", " GET", "GET\t", "GE T", "GET\n", "G\x00T",
         "G3T"),
    *_by("P44", "a method no rule names", LITERAL, "FOO", "HEAD", "DELETE", "OPTIONS", "TRACE"),
    *_with_each("P45", "method in a header", _OVERRIDE,
                ("x-http-method-override", "DELETE"), ("x-http-method", "DELETE"),
                ("x-method-override", "DELETE"), ("x_http_method_override", "DELETE")),
    _at_host("no host", MALFORMED, ""),
    _at_host("two hosts", MALFORMED, f"{HOST},evil.example", f"{HOST} evil.example",
             f"{HOST}, {HOST}"),
    _at_host("port", ALLOWED, HOST, f"{HOST}:443", f"{HOST}:80", f"{HOST}:8443"),
    _at_host("bad port", MALFORMED, f"{HOST}:", f"{HOST}:http", f"{HOST}:443:80", f"{HOST}:123456"),
    _at_host("dot at the end", MALFORMED, f"{HOST}.", f"{HOST}.:443"),
    _at_host("upper case", ALLOWED, HOST.upper(), "Orders.Example:443"),
    _at_host("user", MALFORMED, f"alice@{HOST}", f"{HOST}@evil.example", f"alice:x@{HOST}:443"),
    _at_host("IPv6", LITERAL, "[::1]", "[::1]:8443", "[2001:DB8::A]"),
    _at_host("what is no IPv6", MALFORMED, "::1", "[::1", "[fe80::1%25eth0]", f"[{HOST}]"),
    _at_host("one label", ALLOWED, f"a.{SHOPS}", f"A.{SHOPS}:443"),
    _at_host("no label, or two", LITERAL, SHOPS, f"a.b.{SHOPS}", f"evil{SHOPS}"),
    _at_host("a wildcard itself", MALFORMED, f"*.{SHOPS}", "*"),
    _at_host("path in the host", MALFORMED, f"{HOST}/admin", f"{HOST}?x", f"{HOST}#", f"{HOST}\\x"),
    *_with_each("P46", "two places that differ", MALFORMED,
                ("host", "evil.example"), (":authority", "evil.example"), (":path", "/admin/x"),
                (":method", "DELETE")),
    *_with_each("P47", "URL in a header that is never read", ALLOWED,
                ("x-forwarded-uri", "/admin/x"), ("x-forwarded-host", "evil.example"),
                ("x-forwarded-method", "DELETE"), ("x-forwarded-prefix", "/admin"),
                ("x-envoy-original-path", "/admin/x"), ("forwarded", "host=evil.example")),
    *_with_each("P47", "URL in a header that back ends read", _OVERRIDE,
                ("x-original-url", "/admin/x"), ("x-rewrite-url", "/admin/x"),
                ("x-original-uri", "/admin/x"), ("x_original_url", "/admin/x"),
                ("x_rewrite.url", "/admin/x")),
    *_with_each("P51", "a security header twice", Reason.REQUEST_DUPLICATE_CREDENTIAL,
                ("authorization", "Bearer a,Bearer a"), ("authorization", "Bearer a, Bearer b"),
                ("authorization", "Basic YTpi,Bearer a"), ("dpop", "a,b")),
]  # fmt: skip

CASES = [*SPELLINGS, *REQUESTS]
"""All of them."""
