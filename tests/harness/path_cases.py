"""Every known way to make proxy, authorizer and back end read a request differently, as data.

Rules of this file:
- A case has an id, `P01` to `P52`; all its spellings are listed, with the answer to each.
- The answer is the one under `path_rules.py`: orders are allowed by id, `/admin` is forbidden.
  On the host `FILES` everything else is allowed, so that a spelling that is read as it stands
  is seen to be let through there, and nothing else is.
- What is not about one request under these rules is named in `ELSEWHERE`.

Sources: CVE-2019-9900, CVE-2019-9901, CVE-2021-29492, CVE-2026-26205, CVE-2026-26308,
CVE-2026-31838, CVE-2026-32811, CVE-2026-40575, CVE-2026-42272; Envoy
`test/common/http/path_utility_test.cc`; Istio `tests/integration/security/normalization_test.go`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from deputize.core.paths import MAX_PATH_BYTES, MAX_PATH_SEGMENTS
from deputize.core.reasons import Reason
from tests.harness.path_rules import BELOW, FILES, GRPC_METHOD
from tests.harness.world import HOST

ALLOWED = Reason.POLICY_ALLOWED
FORBIDDEN = Reason.POLICY_FORBIDDEN
AMBIGUOUS = Reason.REQUEST_AMBIGUOUS_PATH
MALFORMED = Reason.REQUEST_MALFORMED
LITERAL = Reason.POLICY_NO_MATCH
"""Read as it stands: allowed only if the policy names it, as it does on the host `FILES`."""


@dataclass(frozen=True, slots=True)
class PathCase:
    """Spellings with one answer. `hosts` are tried each; each target is sent as it stands."""

    id: str
    about: str
    reason: Reason
    targets: tuple[str, ...]
    hosts: tuple[str, ...] = (HOST, FILES)
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)

    def reason_on(self, host: str) -> Reason:
        """The answer to a call to this host."""
        return ALLOWED if self.reason is LITERAL and host == FILES else self.reason


ELSEWHERE = {
    "P42": "tests/unit/core/test_matching.py::test_what_is_no_path_pattern",
    # There are no rules with regular expressions.
    "P43": "tests/unit/core/test_path_cases.py::test_a_regular_expression_is_no_pattern",
    "P51": "tests/unit/adapters/test_envoy_request.py::test_both_header_forms_give_the_same_value",
}
"""Cases, or a part of one, that another test shows."""

TO_COME = frozenset({"P50", "P52"})
"""Names of MCP tools, and upgrades: for these the rules have no member yet."""


def _ambiguous(case_id: str, about: str, *targets: str) -> PathCase:
    return PathCase(case_id, about, AMBIGUOUS, targets)


def _literal(case_id: str, about: str, *targets: str) -> PathCase:
    return PathCase(case_id, about, LITERAL, targets)


SPELLINGS = [
    _ambiguous("P01", "two slashes first", "//admin/x", "//admin", "//v1/orders/7", "//a/?b"),
    _ambiguous("P02", "two slashes inside", "/v1//admin", "/v1//orders/7", "/v1/orders//7",
               "/v1/orders/7//", "/a//b?a=///c"),
    _ambiguous("P03", "only slashes", "///", "//", "////"),
    _ambiguous("P04", "up", "/v1/orders/../../admin", "/v1/orders/../../admin/x",
               "/v1/orders/7/../../../admin/x", "/admin/../v1/orders/7", "/a/b/../c",
               "/a/b/../../../../c"),
    _ambiguous("P05", "here", "/v1/./orders/7", "/./v1/orders/7", "/v1/orders/7/.",
               "/v1/orders/./7", "/./admin/x"),
    _ambiguous("P06", "only dots", "/..", "/.", "/../", "/./", "/../admin/x", "/.../admin",
               "/..../admin", "/v1/orders/..", "/v1/orders/...", ".."),
    _ambiguous("P07", "encoded up", "/v1/orders/%2e%2e/%2E%2e/admin",
               "/v1/orders/%2e%2e/%2e%2e/admin/x", "/v1/orders/%2E%2E/%2E%2E/admin/x", "/%2e%2e",
               "/v1/orders/%2e%2e", "/a/b/%2E./c"),
    _ambiguous("P08", "half encoded up", "/v1/orders/.%2e/x", "/v1/orders/.%2e/.%2e/admin/x",
               "/v1/orders/%2e./%2E./admin/x", "/.%2E"),
    _ambiguous("P09", "encoded slash", "/v1/orders%2f7", "/v1/orders%2F7", "/v1%2forders/7",
               "/admin%2fx", "/admin%2Fx", "/%2fadmin/x", "/v1/orders/7%2f..%2f..%2f..%2fadmin%2fx",
               "/v1/orders/..%2f..%2fadmin%2fx", "/v1/orders/..%2F..%2Fadmin/x"),
    _ambiguous("P10", "backslash", "/admin%5cx", "/admin%5Cx", "/admin\\x", "\\admin\\x",
               "/v1\\orders\\7", "/%5c%25", "/%5cadmin/x"),
    _ambiguous("P11", "up and backslash", "/v1/orders/..\\admin", "/v1/orders/..\\..\\admin\\x",
               "/a/..\\c", "/v1/orders/..%5c..%5cadmin%5cx", "/v1/orders/..%5C..%5Cadmin/x"),
    _ambiguous("P12", "encoded twice", "/%252e%252e/%252f",
               "/v1/orders/%252e%252e/%252e%252e/admin",
               "/%2561dmin/x", "/admin%252fx", "/admin%255cx", "/v1/orders%252f7",
               "/%25c0%25ae/admin",
               "/%25c0%25ae%25c0%25ae/admin", "/%25252e/admin", "/a%25%32%65", "/v1/orders/%2500"),
    _ambiguous("P13", "encoded control", "/v1/orders/7%00", "/v1/orders/7%0a", "/v1/orders/7%0d%0a",
               "/v1/orders/7%09", "/v1/orders/7%7f", "/admin%00", "/%00/admin", "/v1/orders/%00",
               "/v1/orders/7%0d%0aX-A:%20b", "/xyz/.%00../abc", "/xyz/%00.%00./abc",
               "/v1/orders/7%c2%85"),
    _ambiguous("P14", "raw control, space or octet", "/v1/orders/7\x00", "/v1/orders/7\x01",
               "/v1/orders/\t7", "/v1/orders/7 ", "/v1/orders/7 8", "/v1/orders/7\x7f",
               "/v1/orders/7\x80", "/v1/orders/\xc3\xa9", "/admin\x80/x", "/admin\xc0\xafx",
               "/v1/orders/7?x=\x00", "/v1/orders/7?x y",
               "\x0b/admin", "/a\tb", "/v1/orders/7\n", "/v1/orders/7\r\nx: y"),
    # What Envoy shows over HTTP/2 of octets that are not UTF-8.
    _ambiguous("P14", "mark of a raw octet", "/v1/orders/7!", "/admin!/x", "/!/admin"),
    _ambiguous("P15", "cut or invalid escape", "/v1/orders/%", "/v1/orders/%2", "/v1/orders/%zz",
               "/v1/orders/%%0000", "/xyz/AAAAA%%0000/abc", "/v1/orders/7%", "/%2%65",
               "/v1/orders/%%32e"),
    _ambiguous("P16", "escape of UTF-16", "/v1/orders/%u002e", "/v1/orders/%u002e%u002e/admin",
               "/%u0061dmin/x", "/admin%u002fx"),
    _ambiguous("P17", "overlong UTF-8", "/%c0%ae", "/%c0%af", "/%e0%80%af", "/%c1%9c",
               "/%c1%9cadmin",
               "/v1/orders/%c0%ae%c0%ae/%c0%ae%c0%ae/admin", "/admin%c0%afx", "/%c1%a1dmin/x",
               "/v1/orders/%c0%80"),
    _ambiguous("P18", "not UTF-8", "/v1/orders/%ff", "/v1/orders/%c3", "/v1/orders/%c3/%a9",
               "/v1/orders/%ed%a0%80", "/v1/orders/%f5%80%80%80", "/v1/orders/%80"),
    _ambiguous("P19", "look-alike of dot or slash", "/v1/orders/%ef%bc%8e", "/admin%ef%bc%8fx",
               "/admin%e2%88%95x", "/admin%e2%81%84x", "/v1/orders/%ef%bc%8e%ef%bc%8e/admin",
               "/v1/orders/%e2%80%a5", "/v1/orders/%ef%bc%9b", "/admin%ef%bc%bcx"),
    _ambiguous("P20", "escape that is not needed", "/%61dmin", "/%61dmin/x", "/a%64min/x",
               "/%41dmin",
               "/v1/orders/%37", "/%761/orders/7", "/v1/%6frders/7", "/v1/orders/%7e",
               "/v1/orders/%2d"),
    _ambiguous("P21", "case of an escape", "/v1/orders/%2e", "/v1/orders/%2E", "/a%2fb", "/a%2Fb",
               "/%6Fdd", "/%6fdd"),
    _literal("P21", "case of an escape", "/files/caf%c3%a9", "/files/caf%C3%A9"),
    _ambiguous("P22", "path parameters", "/admin;a=b", "/..;/admin", "/v1/orders;/7", "/;/admin",
               "/;/admin/x", "/v1/orders/7;x", "/v1/orders/..;/..;/admin/x", "/admin;/x", "/;",
               "/v1/orders/..;a=b/admin", "/admin%3b/x", "/admin%3Ba=b"),
    _literal("P23", "comma in a segment", "/admin,a=b/xyz", "/admin,a=b", "/v1/orders,/7"),
    PathCase("P24", "slash at the end", FORBIDDEN, ("/admin", "/admin/", "/admin/x", "/admin/x/")),
    _literal("P24", "slash at the end", "/v1/orders/", "/v1/orders/7/", "/v1/orders"),
    _ambiguous("P25", "dot or space at the end", "/admin.", "/admin./x", "/admin%20", "/admin%20/x",
               "/%20admin/x", "/v1/orders/7.", "/v1/orders/7%20", "/v1/orders/%20", "/admin%c2%a0"),
    _literal("P26", "case of letters", "/Admin", "/ADMIN/x", "/V1/orders/7", "/v1/Orders/7"),
    PathCase("P27", "path in the query", ALLOWED,
             ("/v1/orders/7?x=/../admin", "/v1/orders/7?/../../admin/x",
             "/v1/orders/7?%2e%2e/%00;\\",
              "/v1/orders/7?", "/v1/orders/7?//admin")),
    PathCase("P27", "path in the query", FORBIDDEN, ("/admin/x?/v1/orders/7",
             "/admin?x=/v1/orders/7")),
    _literal("P27", "path in the query", "/v2?x=/v1/orders/7", "/?/v1/orders/7"),
    _ambiguous("P28", "encoded question mark", "/v1/orders/7%3f", "/v1/orders/7%3Fx=1",
               "/admin%3f/v1/orders/7", "/v1/orders/%3f/../../../admin/x"),
    _ambiguous("P29", "fragment", "/v1/orders/7#frag", "/v1/orders/7%23", "/admin#/v1/orders/7",
               "/v1/orders/7?/..#/../admin",
               "/v1/orders/7?x#y", "/admin/x%23/../v1/orders/7", "/#"),
    PathCase("P30", "two question marks", ALLOWED, ("/v1/orders/7?a=b?c=d", "/v1/orders/7??")),
    PathCase("P30", "two question marks", FORBIDDEN, ("/admin/x?a?/v1/orders/7",)),
    _ambiguous("P31", "absolute form", "http://evil/admin", "http://evil/admin/x",
               f"https://{HOST}/v1/orders/7", "HTTP://orders.example/admin/x", "http:/admin/x",
               "http:///admin/x", "file:///admin/x"),
    PathCase("P32", "asterisk form", AMBIGUOUS, ("*",), method="OPTIONS"),
    _ambiguous("P32", "asterisk form", "*"),
    PathCase("P33", "authority form", AMBIGUOUS, ("orders.example:443", "evil:80"),
             method="CONNECT"),
    _ambiguous("P34", "no path", "", "?x=1", "?/v1/orders/7"),
    _ambiguous("P35", "no slash first", "v1/orders/7", "admin/x", "a/b/../c", "@admin",
               ":80/admin"),
    _literal("P36", "at sign or port", "/@admin", "/x:80/", "/admin:80/x", "/admin@x/x"),
    _ambiguous("P37", "too long", "/v1/orders/" + "7" * MAX_PATH_BYTES,
               "/v1/orders/7" + "/." * MAX_PATH_BYTES),
    _ambiguous("P38", "too many segments", "/a" * (MAX_PATH_SEGMENTS + 1),
               "/a" * MAX_PATH_SEGMENTS + "/", "/" + "a/.." * 200 + "/admin/x"),
    _literal("P38", "as many as may be", "/a" * MAX_PATH_SEGMENTS),
    _literal("P39", "more than the parameter", "/v1/orders/7/extra", "/v1/orders/7/admin"),
    PathCase("P40", "beside what a rule covers", LITERAL,
             ("/v1/ordersX", "/v1/orders-admin", "/v1/orders.old/7", "/v1/ordersX/7", "/v1",
             "/v1/"),
             (BELOW, FILES)),
    PathCase("P40", "below what a rule covers", ALLOWED,
             ("/v1/orders", "/v1/orders/", "/v1/orders/7", "/v1/orders/7/extra"), (BELOW, FILES)),
    _literal("P40", "longer than what is forbidden", "/adminX", "/admin-x/x", "/administrator"),
    PathCase("P41", "one segment", ALLOWED,
             ("/v1/orders/7", "/v1/orders/a%20b", "/v1/orders/100%25", "/v1/orders/7,8",
              "/v1/orders/~7", "/v1/orders/a..b", "/v1/orders/..b", "/v1/orders/admin",
              "/v1/orders/caf%c3%a9", "/v1/orders/*", "/v1/orders/%7Bid%7D", "/v1/orders/a+b",
              "/v1/orders/a%21b",
              "/v1/orders/a%2Bb", "/v1/orders/a&b=c", "/v1/orders/7:cancel",
              "/v1/orders/index.html")),
    _literal("P41", "an empty segment is none", "/v1/orders/"),
    _ambiguous("P41", "nor are dots, nor a slash inside", "/v1/orders/.", "/v1/orders/..",
               "/v1/orders/a%2fb", "/v1/orders/%2e", "/v1/orders/%2f", "/v1/orders/7%2f"),
    PathCase("P48", "a gRPC method", ALLOWED, (GRPC_METHOD,), (HOST,), "POST"),
    PathCase("P48", "more than a gRPC method, or less", LITERAL,
             ("/shop.Orders", "/shop.Orders/", f"{GRPC_METHOD}/", f"{GRPC_METHOD}/x",
              "/Shop.Orders/Get", "/shop.Orders/get", "/Orders/Get"), (HOST,), "POST"),
    PathCase("P48", "not quite a gRPC method", AMBIGUOUS,
             ("/shop.Orders//Get", f"/{GRPC_METHOD}", "/shop.Orders%2fGet", f"{GRPC_METHOD}."),
             (HOST,), "POST"),
    PathCase("P48", "a gRPC method by GET", LITERAL, (GRPC_METHOD,), (HOST,)),
    PathCase("P49", "a verb behind a colon", ALLOWED, ("/message:send", "/tasks/1:cancel"), (HOST,),
             "POST"),
    PathCase("P49", "another verb", LITERAL, ("/message:stream", "/message", "/message:send/",
             "/tasks/1"),
             (HOST,), "POST"),
    PathCase("P49", "a verb that is encoded or hidden", LITERAL, ("/message:send:x", "/message%3a"),
             (HOST,), "POST"),
]  # fmt: skip
