"""Stage 0: what is asked, with exactly one reading, or a refusal.

Rules of this file:
- Refuse, never repair: the upstream gets the raw request.
- Only the host, method and path are read; headers that claim to replace them are refused.
- At most one credential. Envoy joins repeated headers with a comma, so a comma means two.

Sources: RFC 9110 sections 5.6.2, 7.2 and 9.1; RFC 6750 section 2; RFC 9449 sections 4.3 and 7.1
(scheme `DPoP`, one proof); RFC 9700 section 4.3.2 (no token in the query); Envoy
`source/extensions/filters/common/ext_authz/check_request_utils.cc`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from deputize.core.model import AccessRequest, Action, Credential
from deputize.core.paths import PathError, parse_path
from deputize.core.reasons import Reason
from deputize.core.verdict import Denied

AUTHORIZATION = "authorization"
PROOF = "dpop"

OVERRIDE_HEADERS = (
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-original-method",
    "x-original-uri",
    "x-original-url",
    "x-rewrite-url",
)
"""Headers with which back ends let a caller replace method or URL after the proxy has routed."""

_METHOD = re.compile(r"[A-Z][A-Z-]{0,31}")
_HOST = re.compile(
    r"([A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?)*"
    r"|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?"
)
_MAX_HOST_BYTES = 260
_NAME_FILLER = re.compile(r"[^a-z0-9]")
# Each character as it is or escaped, in either case: decoding the query first would let a long
# one cost much before anything is proven.
_TOKEN_PARAMETER = re.compile(
    "(?:^|[&;])" + "".join(f"(?:{char}|%{ord(char):02x})" for char in "access_token") + "=",
    re.IGNORECASE,
)
_NO_CREDENTIAL = Credential("", is_dpop=False, proof="")
_CREDENTIAL = re.compile(r"(bearer|dpop)(?: +(.*))?", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class RequestRules:
    """Where the credential is: the lower-case name of the one header that carries it."""

    token_header: str


def read_action(request: AccessRequest) -> Action:
    """Reads method, host and path, and what the connection shall be upgraded to.

    Raises:
        Denied: request.malformed, request.not_http, request.override_header,
            request.ambiguous_path.
    """
    if request.defect:
        raise Denied(Reason.REQUEST_MALFORMED, request.defect)
    if not request.is_http:
        raise Denied(Reason.REQUEST_NOT_HTTP, "no HTTP attributes in the check")
    headers = request.headers
    _check_overrides(headers)
    if not _METHOD.fullmatch(request.method):
        raise Denied(Reason.REQUEST_MALFORMED, "method is not an upper-case token")
    _check_agreement(headers, request)
    try:
        segments = parse_path(request.path)
    except PathError as error:
        raise Denied(Reason.REQUEST_AMBIGUOUS_PATH, str(error)) from None
    upgrade = headers.get("upgrade") or headers.get(":protocol", "")
    return Action(request.method, _read_host(request.host), segments, upgrade.lower())


def read_credential(request: AccessRequest, rules: RequestRules) -> Credential:
    """Reads the one credential; its token is empty when there is none.

    In `Authorization` the token follows the scheme `Bearer` or `DPoP` (any case); in another
    header the token stands alone, and a proof beside it makes it one for DPoP.

    Raises:
        Denied: request.duplicate_credential.
    """
    value = request.headers.get(rules.token_header)
    proof = request.headers.get(PROOF, "")
    if _TOKEN_PARAMETER.search(request.path.partition("?")[2]):
        raise Denied(Reason.REQUEST_DUPLICATE_CREDENTIAL, "a token in the query string")
    if not value:
        return _NO_CREDENTIAL
    if "," in value:
        raise Denied(Reason.REQUEST_DUPLICATE_CREDENTIAL, "more than one credential in the header")
    if "," in proof:
        raise Denied(Reason.REQUEST_DUPLICATE_CREDENTIAL, "more than one DPoP proof")
    if rules.token_header != AUTHORIZATION:
        return Credential(value, is_dpop=bool(proof), proof=proof)
    match = _CREDENTIAL.fullmatch(value)
    if match is None or not match[2]:
        return _NO_CREDENTIAL
    return Credential(match[2], is_dpop=match[1].lower() == PROOF, proof=proof)


def _read_host(host: str) -> str:
    match = _HOST.fullmatch(host) if len(host) <= _MAX_HOST_BYTES else None
    if match is None:
        raise Denied(Reason.REQUEST_MALFORMED, "host is not a name or address with optional port")
    return match[1].lower()


def _check_overrides(headers: Mapping[str, str]) -> None:
    names: Iterable[str] = headers
    if not "".join(headers).replace("-", "").replace(":", "").isalnum():
        # CGI and its heirs read every other character in a name as a hyphen.
        names = [_NAME_FILLER.sub("-", name) for name in headers]
    for name in OVERRIDE_HEADERS:
        if name in names:
            raise Denied(Reason.REQUEST_OVERRIDE_HEADER, f"header {name}, or one read like it")


def _check_agreement(headers: Mapping[str, str], request: AccessRequest) -> None:
    """Two places that say different things are two readings."""
    for name, value in (
        (":authority", request.host),
        (":path", request.path),
        (":method", request.method),
        ("host", request.host),
    ):
        if headers.get(name, value) != value:
            raise Denied(Reason.REQUEST_MALFORMED, f"{name} differs from the checked attribute")
