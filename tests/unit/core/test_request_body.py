from __future__ import annotations

from collections.abc import Mapping

import pytest

from deputize.core.model import AccessRequest
from deputize.core.request_body import (
    BodyError,
    BodyTruncatedError,
    read_body,
    read_json_body,
)
from tests.harness.world import make_request

BODY = b'{"a": 1}'
LENGTH = str(len(BODY))


def with_body(
    body: bytes = BODY,
    headers: Mapping[str, str] = {},
    *,
    method: str = "POST",
    size: int | None = None,
    defect: str = "",
) -> AccessRequest:
    reported = len(body) if size is None else size
    request = make_request(method=method, headers=headers)
    return request._replace(body=body, body_size=reported, body_defect=defect)


def outcome(request: AccessRequest) -> str:
    try:
        read_body(request)
    except BodyTruncatedError:
        return "truncated"
    except BodyError:
        return "unreadable"
    return "whole"


def test_the_body_is_what_was_sent() -> None:
    octets = bytes(range(256))
    assert read_body(with_body(octets, {"content-length": "256"})) == octets


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, "whole"),
        ({"content-length": LENGTH}, "whole"),
        ({"content-length": f"00{LENGTH}"}, "whole"),
        ({"transfer-encoding": "chunked"}, "whole"),
        ({"x-envoy-auth-partial-body": "false"}, "truncated"),
        ({"x-envoy-auth-partial-body": "false", "transfer-encoding": "chunked"}, "truncated"),
        ({"x-envoy-auth-partial-body": "false", "content-length": LENGTH}, "whole"),
        ({"content-encoding": "identity"}, "whole"),
        ({"content-encoding": "Identity"}, "whole"),
        ({"content-length": "9"}, "truncated"),
        ({"content-length": "7"}, "truncated"),
        ({"content-length": "0"}, "truncated"),
        ({"content-length": ""}, "unreadable"),
        ({"content-length": f"{LENGTH},{LENGTH}"}, "unreadable"),
        ({"content-length": f"+{LENGTH}"}, "unreadable"),
        ({"content-length": f"{LENGTH} "}, "unreadable"),
        ({"content-length": f"{LENGTH}\n"}, "unreadable"),
        ({"content-length": "-1"}, "unreadable"),
        ({"content-length": "0x8"}, "unreadable"),
        ({"content-length": "\u0668"}, "unreadable"),
        ({"content-length": "1" * 5000}, "unreadable"),
        ({"x-envoy-auth-partial-body": "true"}, "truncated"),
        ({"x-envoy-auth-partial-body": "false,true"}, "truncated"),
        ({"x-envoy-auth-partial-body": "TRUE"}, "truncated"),
        ({"x-envoy-auth-partial-body": ""}, "truncated"),
        ({"content-encoding": "gzip"}, "unreadable"),
        ({"content-encoding": "identity, gzip"}, "unreadable"),
        ({"content-encoding": ""}, "unreadable"),
    ],
)
def test_what_the_headers_say_of_a_body(headers: Mapping[str, str], expected: str) -> None:
    assert outcome(with_body(BODY, headers)) == expected


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (-1, "truncated"),
        (-2, "truncated"),
        (0, "whole"),  # a proxy that does not count
        (len(BODY), "whole"),
        (len(BODY) + 1, "truncated"),
    ],
)
def test_what_the_proxy_counts(size: int, expected: str) -> None:
    assert outcome(with_body(size=size)) == expected
    assert outcome(with_body(size=size, headers={"content-length": LENGTH})) == expected


def test_a_body_that_may_be_another_is_unreadable() -> None:
    assert outcome(with_body(defect="bytes were replaced")) == "unreadable"
    assert outcome(with_body(b"", method="GET", defect="bytes were replaced")) == "unreadable"


@pytest.mark.parametrize(
    ("method", "headers", "expected"),
    [
        ("GET", {}, "whole"),
        ("HEAD", {}, "whole"),
        ("DELETE", {}, "whole"),
        ("OPTIONS", {}, "whole"),
        ("POST", {}, "truncated"),
        ("PUT", {}, "truncated"),
        ("PATCH", {}, "truncated"),
        ("CONNECT", {}, "truncated"),
        ("PROPFIND", {}, "truncated"),
        ("POST", {"content-length": "0"}, "whole"),
        ("GET", {"content-length": "0"}, "whole"),
        ("GET", {"content-length": "1"}, "truncated"),
        ("GET", {"transfer-encoding": "chunked"}, "truncated"),
        ("GET", {"content-encoding": "gzip"}, "whole"),
    ],
)
def test_no_body_is_believed_only_where_there_is_none(
    method: str, headers: Mapping[str, str], expected: str
) -> None:
    assert outcome(with_body(b"", headers, method=method)) == expected


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_no_body_although_the_proxy_counted_one(method: str) -> None:
    assert outcome(with_body(b"", method=method, size=3)) == "truncated"
    assert outcome(with_body(b"", {"content-length": "0"}, method=method, size=3)) == "truncated"


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
        'Application/JSON ; charset="utf-8"',
    ],
)
def test_json_is_read_in_utf_8(content_type: str) -> None:
    assert read_json_body(with_body(headers={"content-type": content_type})) == BODY
    assert read_json_body(with_body()) == BODY
    with pytest.raises(BodyTruncatedError):
        read_json_body(with_body(headers={"content-type": content_type}, size=-1))


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "application/json; charset=utf-7",
        "application/json; charset=utf-16",
        "application/json; char\u017fet=utf-8",
        "application/json; charset=utf-8; charset=utf-7",
        "application/json; charset*=us-ascii''utf-7",
        "application/json,application/json",
        "application/json; charset=utf-8\n",
        "application/x-www-form-urlencoded",
        "text/plain",
    ],
)
def test_json_that_the_upstream_may_decode_in_another_way_is_refused(content_type: str) -> None:
    with pytest.raises(BodyError):
        read_json_body(with_body(headers={"content-type": content_type}))
