"""The body of a request: all of it, as the caller sent it, or an error.

Rules of this file:
- A body that may be a part of what the upstream gets is no body: what is decided on the first
  bytes is not decided on the rest.
- What the proxy and the caller say about its length must agree. Envoy, where it may send a part,
  calls a part of exactly its limit whole; so a body from Envoy counts only if its caller said
  how long it is.
- Nothing is unpacked: the upstream may unpack it in another way.
- A charset that a caller names may be the one the upstream decodes JSON with: `+AGQ-` is a `d` in
  UTF-7. Only what every reader decodes as UTF-8 is read.

Sources: RFC 8259 section 8.1; RFC 9110 sections 8.3, 8.4, 8.6 and 9.3; RFC 9112 section 6.3; RFC
9113 section 8.1.1; Envoy
`source/extensions/filters/common/ext_authz/check_request_utils.cc`.
"""

from __future__ import annotations

import re

from deputize.core.model import AccessRequest

_LENGTH = re.compile(r"[0-9]{1,15}")
_PARTIAL = "x-envoy-auth-partial-body"
_JSON = re.compile(
    r'application/json(?:[ \t]*;[ \t]*charset=(?:utf-8|"utf-8"))?', re.ASCII | re.IGNORECASE
)
BODILESS_METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS"})
"""Methods whose requests as a rule have none."""


class BodyError(ValueError):
    """The body cannot be read as the caller sent it; the message never quotes it."""


class BodyTruncatedError(BodyError):
    """The proxy sent none of the body, or only a part."""


def read_body(request: AccessRequest) -> bytes:
    """The whole body; empty where the request has none.

    A proxy that is not told to send bodies sends none. Over HTTP/2 that looks like a request
    without one, so an empty body counts only for methods that as a rule have none.

    Raises:
        BodyTruncatedError: it is not the whole body, or it is not known to be.
        BodyError: the bytes are not those the caller sent, or may be read in another way.
    """
    body, headers = request.body, request.headers
    if request.body_defect:
        raise BodyError(request.body_defect)
    if request.body_size < 0:
        raise BodyTruncatedError("the proxy says that it cut the body")
    # A copy the caller sent may stand beside the proxy's, so only a plain "no" is one.
    if headers.get(_PARTIAL, "false") != "false":
        raise BodyTruncatedError(f"{_PARTIAL} is not false")
    _check_length(request)
    if body and headers.get("content-encoding", "identity").lower() != "identity":
        raise BodyError("a body with a content-encoding")
    return body


def read_json_body(request: AccessRequest) -> bytes:
    """The same of a request whose body is JSON, in UTF-8 and nothing else.

    Raises:
        BodyTruncatedError: as of `read_body`.
        BodyError: likewise, or another media type or charset.
    """
    content_type = request.headers.get("content-type")
    if content_type is not None and not _JSON.fullmatch(content_type):
        raise BodyError("content-type is not JSON in UTF-8")
    return read_body(request)


def _check_length(request: AccessRequest) -> None:
    length = request.headers.get("content-length")
    if length is not None:
        if not _LENGTH.fullmatch(length):
            raise BodyError("content-length is not one number")
        if int(length) != len(request.body):
            raise BodyTruncatedError("content-length is not the length of the body")
    if request.body_size > len(request.body):
        raise BodyTruncatedError("the proxy counts more bytes than it sent")
    if request.body and length is None and _PARTIAL in request.headers:
        raise BodyTruncatedError("no content-length, and the proxy may send only the beginning")
    if request.body or length is not None:
        return
    if "transfer-encoding" in request.headers or request.method not in BODILESS_METHODS:
        raise BodyTruncatedError("no body, and nothing says that there is none")
