"""Requests that are refused before anybody is asked who he is: all but paths."""

from __future__ import annotations

from deputize.core.reasons import Reason
from scripts.vectors import request_paths
from scripts.vectors.cast import IDP, OPERATOR, PLANNER, RESEARCH, issue
from scripts.vectors.rows import Request, Row, check, group, with_raw_headers

_TOKEN = issue()
_SECOND = issue(IDP, PLANNER)


def _both_forms() -> Request:
    request, raw = check(), with_raw_headers(check())
    request["attributes"]["request"]["http"]["headerMap"] = raw["attributes"]["request"]["http"][
        "headerMap"
    ]
    return request


def _override(header: str, value: str) -> Row:
    request = check(peer=OPERATOR, path="/v1/orders", headers={header: value})
    return f"override-{header}", "a header that replaces what was checked", request


VECTORS = (
    *request_paths.VECTORS,
    *group(
        Reason.REQUEST_NOT_HTTP,
        "Envoy attribute_context.proto (Request.http)",
        (
            "not-http",
            "a connection that carries no HTTP",
            {"attributes": {"source": {"principal": RESEARCH}}},
        ),
    ),
    *group(
        Reason.REQUEST_MALFORMED,
        "RFC 9110 section 9.1",
        ("method-lower-case", "a method in lower case is another method", check(method="get")),
        ("method-empty", "no method", check(method="")),
        ("method-with-space", "a method with a space", check(method="GET ")),
    ),
    *group(
        Reason.REQUEST_MALFORMED,
        "RFC 9110 section 7.2; RFC 3986 section 3.2.2",
        ("host-absent", "no host", check(host="")),
        ("host-twice", "two hosts joined", check(host="orders.example,evil.example")),
        ("host-trailing-dot", "a host with a dot at its end", check(host="orders.example.")),
        ("host-with-user", "a host behind user information", check(host="a@orders.example")),
        ("host-not-ascii", "a host with a look-alike", check(host="orders.ex\u0430mple")),
    ),
    *group(
        Reason.REQUEST_MALFORMED,
        "RFC 9112 section 3.2.2; RFC 9113 section 8.3.1",
        ("host-differs", "Host is not :authority", check(headers={"host": "evil.example"})),
        (
            "authority-differs",
            ":authority is not the checked host",
            check(headers={":authority": "evil.example"}),
        ),
        ("path-differs", ":path is not the checked path", check(headers={":path": "/admin"})),
        ("method-differs", ":method is not the checked method", check(headers={":method": "PUT"})),
        importance="critical",
    ),
    *group(
        Reason.REQUEST_MALFORMED,
        "RFC 9113 section 8.2.1",
        ("header-upper-case", "a header name in upper case", check(headers={"X-Team": "a"})),
        ("headers-in-both-forms", "headers as a map and raw", _both_forms()),
    ),
    *group(
        Reason.REQUEST_OVERRIDE_HEADER,
        "own; method and URL overrides of web frameworks",
        _override("x-http-method-override", "DELETE"),
        _override("x-http-method", "DELETE"),
        _override("x-method-override", "DELETE"),
        _override("x-original-url", "/admin"),
        _override("x-rewrite-url", "/admin"),
        importance="critical",
    ),
    *group(
        Reason.REQUEST_DUPLICATE_CREDENTIAL,
        "RFC 6750 section 2; Envoy check_request_utils.cc",
        (
            "credentials-joined",
            "two Authorization headers, joined as Envoy does it",
            check(headers={"authorization": f"Bearer {_TOKEN},Bearer {_SECOND}"}),
        ),
        (
            "credentials-joined-other-scheme",
            "a token behind a credential of another scheme",
            check(headers={"authorization": f"Basic YTpi, Bearer {_TOKEN}"}),
        ),
        (
            "credentials-raw-twice",
            "two raw Authorization headers",
            with_raw_headers(check(), ("authorization", f"Bearer {_SECOND}".encode())),
        ),
        importance="critical",
    ),
    *group(
        Reason.REQUEST_DUPLICATE_CREDENTIAL,
        "RFC 9700 section 4.3.2; RFC 6750 section 2.3",
        (
            "credential-in-query",
            "a token in the query string and none in a header",
            check(path=f"/v1/orders/7?access_token={_TOKEN}", omit=("authorization",)),
        ),
    ),
    *group(
        Reason.REQUEST_DUPLICATE_CREDENTIAL,
        "RFC 7515 section 7.2",
        (
            "credential-json-serialization",
            "a token as JSON, whose commas separate credentials",
            check('{"payload":"e30","protected":"e30","signature":"e30"}'),
        ),
        importance="normal",
    ),
)
