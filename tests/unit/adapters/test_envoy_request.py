from __future__ import annotations

import json
import math
from collections.abc import Mapping

import pytest
from google.protobuf.struct_pb2 import Value
from hypothesis import given
from hypothesis import strategies as st

from deputize._proto.envoy.service.auth.v3.external_auth_pb2 import CheckRequest
from deputize.adapters.envoy_request import (
    MAX_METADATA_BYTES,
    MAX_METADATA_DEPTH,
    read_check,
    unreadable,
)
from deputize.core.model import AccessRequest, Json
from deputize.core.request_body import BodyError, BodyTruncatedError, read_body
from tests.harness.check_message import make_check
from tests.harness.world import AGENT, HOST


def read(check: CheckRequest, proxies: tuple[str, ...] | None = None) -> AccessRequest:
    return read_check(check.SerializeToString(), "decision-1", proxies)


def with_raw_headers(*headers: tuple[str, bytes]) -> CheckRequest:
    """The other form: no map, a list with the bytes as received."""
    check = make_check()
    http = check.attributes.request.http
    http.headers.clear()
    for key, raw_value in headers:
        http.header_map.headers.add(key=key, raw_value=raw_value)
    return check


def test_a_check_is_read_as_it_stands() -> None:
    check = make_check(headers={"x-a": "1"}, path="/v1/orders/7?x=%2f")
    check.attributes.source.certificate = "-----BEGIN%20CERTIFICATE-----"
    check.attributes.request.http.scheme = "https"
    request = read(check, ("spiffe://a/b",))
    assert request == AccessRequest(
        decision_id="decision-1",
        defect="",
        is_http=True,
        method="GET",
        scheme="https",
        host=HOST,
        path="/v1/orders/7?x=%2f",
        headers=dict(check.attributes.request.http.headers),
        asserted_principal=AGENT,
        certificate="-----BEGIN%20CERTIFICATE-----",
        metadata={},
        is_internal=False,
        proxies=("spiffe://a/b",),
    )


def test_both_header_forms_give_the_same_value() -> None:
    check = make_check()
    check.attributes.request.http.headers.clear()
    check.attributes.request.http.headers.update({":path": "/", "x-a": "1,2", "x-b": "ü"})
    raw = with_raw_headers((":path", b"/"), ("x-a", b"1"), ("x-b", "ü".encode()), ("x-a", b"2"))
    assert read(raw).headers == read(check).headers


def test_repeated_headers_keep_their_order_and_empty_values() -> None:
    raw = with_raw_headers(("x-a", b"1"), ("x-a", b""), ("x-a", b"2"))
    assert read(raw).headers == {"x-a": "1,,2"}


def test_a_header_in_the_list_may_have_text_instead_of_bytes() -> None:
    check = with_raw_headers()
    check.attributes.request.http.header_map.headers.add(key="x-a", value="1")
    assert read(check).headers == {"x-a": "1"}


def test_bytes_that_are_not_utf_8_are_replaced() -> None:
    assert read(with_raw_headers(("x-a", b"a\xffb"))).headers == {"x-a": "a\ufffdb"}


def test_headers_in_both_forms_are_a_defect() -> None:
    check = make_check()
    check.attributes.request.http.header_map.headers.add(key="x-a", raw_value=b"1")
    assert read(check).defect


@pytest.mark.parametrize("name", ["X-A", "x-À", "Authorization", ":Path"])
def test_a_name_that_is_not_in_lower_case_is_a_defect(name: str) -> None:
    assert read(make_check(headers={name: "1"})).defect
    assert read(with_raw_headers((name, b"1"))).defect


def test_a_check_without_headers_has_no_defect() -> None:
    assert read(with_raw_headers()).defect == ""


def test_a_connection_without_http_is_seen_as_such() -> None:
    check = CheckRequest()
    check.attributes.source.principal = AGENT
    request = read(check)
    assert (request.is_http, request.defect) == (False, "")


def test_an_empty_message_is_a_check_about_nothing() -> None:
    request = read_check(b"", "decision-1", None)
    assert (request.is_http, request.asserted_principal) == (False, "")


def test_a_truncated_message_is_a_defect() -> None:
    octets = make_check().SerializeToString()
    assert read_check(octets[:-1], "decision-1", None).defect


def test_text_that_is_not_utf_8_is_a_defect() -> None:
    octets = make_check().SerializeToString().replace(b"GET", b"G\xffT")
    assert read_check(octets, "decision-1", None).defect


def test_unknown_fields_are_left_alone() -> None:
    unknown = b"\xfa\x3f\x03abc"
    octets = make_check().SerializeToString() + unknown
    assert read_check(octets, "decision-1", None) == read(make_check())


def with_metadata(metadata: dict[str, dict[str, Json]]) -> CheckRequest:
    check = make_check()
    for namespace, fields in metadata.items():
        check.attributes.metadata_context.filter_metadata[namespace].update(fields)
    return check


def with_value(value: Value) -> CheckRequest:
    check = make_check()
    check.attributes.metadata_context.filter_metadata["ns"].fields["x"].CopyFrom(value)
    return check


def nested(depth: int) -> Json:
    value: Json = "x"
    for level in range(depth):
        value = [value] if level % 2 else {"x": value}
    return value


def test_metadata_becomes_plain_values() -> None:
    metadata: dict[str, dict[str, Json]] = {
        "agent.peer": {"sans": ["spiffe://td/a", "10.0.0.1"], "cert": "-----BEGIN\r\n"},
        "other": {"null": None, "yes": True, "half": 0.5, "map": {"list": [[], {}, ""]}},
        "empty": {},
    }
    request = read(with_metadata(metadata))
    assert (request.metadata, request.defect) == (metadata, "")
    assert isinstance(request.metadata["agent.peer"], dict)
    assert type(request.metadata["agent.peer"]["sans"]) is list


def test_an_empty_metadata_message_is_no_metadata() -> None:
    check = make_check()
    check.attributes.metadata_context.SetInParent()
    assert read(check).metadata == {}


def test_metadata_is_bounded_in_size() -> None:
    around = with_metadata({"ns": {"x": "a" * MAX_METADATA_BYTES}})
    excess = around.attributes.metadata_context.ByteSize() - MAX_METADATA_BYTES
    longest = "a" * (MAX_METADATA_BYTES - excess)
    request = read(with_metadata({"ns": {"x": longest}}))
    assert (request.metadata, request.defect) == ({"ns": {"x": longest}}, "")
    request = read(with_metadata({"ns": {"x": f"{longest}a"}}))
    assert request.defect
    assert request.metadata == {}


def test_metadata_is_bounded_in_depth() -> None:
    # The namespace, and the value within all others, are levels too.
    deepest = with_metadata({"ns": {"x": nested(MAX_METADATA_DEPTH - 2)}})
    assert read(deepest).metadata == {"ns": {"x": nested(MAX_METADATA_DEPTH - 2)}}
    request = read(with_metadata({"ns": {"x": nested(MAX_METADATA_DEPTH - 1)}}))
    assert request.defect
    assert request.metadata == {}


@pytest.mark.parametrize(
    "value", [Value(), *(Value(number_value=number) for number in (math.nan, math.inf, -math.inf))]
)
def test_metadata_that_has_no_json_form_is_a_defect(value: Value) -> None:
    request = read(with_value(value))
    assert request.defect
    assert request.metadata == {}


def test_the_first_defect_is_told() -> None:
    check = with_value(Value())
    check.attributes.request.http.headers["X-A"] = "1"
    alone = read(make_check(headers={"X-A": "1"}))
    assert read(check).defect == alone.defect


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=8,
    )
)
def test_any_json_is_read_as_it_stands(value: Json) -> None:
    request = read(with_metadata({"ns": {"x": value}}))
    if not request.defect:
        # As text, because False equals 0; a map has no order.
        expected = json.dumps({"ns": {"x": value}}, sort_keys=True)
        assert json.dumps(request.metadata, sort_keys=True) == expected


@pytest.mark.parametrize("metadata_key", ["", "envoy.filters.http.jwt_authn", "ü"])
def test_any_namespace_is_read(metadata_key: str) -> None:
    assert read(with_metadata({metadata_key: {"x": 1.0}})).metadata == {metadata_key: {"x": 1.0}}


def test_a_connection_from_inside_the_proxy_is_seen_as_such() -> None:
    check = make_check(peer="")
    assert not read(check).is_internal
    check.attributes.source.address.envoy_internal_address.SetInParent()
    assert read(check).is_internal


def test_a_connection_from_a_socket_is_not_from_inside() -> None:
    check = make_check(peer="")
    # Address.socket_address = 1 {address = 2: "::1"}, which the trimmed message does not know.
    check.attributes.source.address.MergeFromString(b"\x0a\x05\x12\x03::1")
    assert not read(check).is_internal


def test_beside_a_principal_it_is_not_asked_where_the_connection_is_from() -> None:
    check = make_check()
    check.attributes.source.address.envoy_internal_address.SetInParent()
    assert not read(check).is_internal


def test_of_an_unreadable_message_nothing_is_known() -> None:
    request = unreadable("why", "decision-1", ("spiffe://a/b",))
    told = {name: value for name, value in request._asdict().items() if value}
    assert told == {"decision_id": "decision-1", "defect": "why", "proxies": ("spiffe://a/b",)}


@given(st.binary(max_size=200))
def test_no_bytes_raise(octets: bytes) -> None:
    request = read_check(octets, "decision-1", None)
    assert request.decision_id == "decision-1"


@given(st.data())
def test_no_damaged_message_raises(data: st.DataObject) -> None:
    octets = bytearray(make_check("token").SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    assert read_check(bytes(octets), "decision-1", None).decision_id == "decision-1"


def with_body(
    *, text: str = "", raw: bytes = b"", size: int = 0, headers: Mapping[str, str] = {}
) -> AccessRequest:
    check = make_check(method="POST", headers=headers)
    http = check.attributes.request.http
    http.body, http.raw_body, http.size = text, raw, size
    return read(check)


@pytest.mark.parametrize(
    ("text", "raw", "expected"),
    [
        ("", b"", b""),
        ("", b'{"a": "!"}', b'{"a": "!"}'),
        ("", b"\xff\x00", b"\xff\x00"),
        ('{"a": "\u00fc"}', b"", b'{"a": "\xc3\xbc"}'),
    ],
)
def test_a_body_is_read_as_octets_or_as_text(text: str, raw: bytes, expected: bytes) -> None:
    request = with_body(text=text, raw=raw, size=len(expected))
    assert (request.body, request.body_defect) == (expected, "")
    assert request.body_size == len(expected)


@pytest.mark.parametrize(
    ("text", "raw"),
    [("a", b"a"), ("a!b", b""), ("!", b""), ("a\ufffdb", b""), ("!", b"!")],
)
def test_a_body_that_may_not_be_what_was_sent_has_a_defect(text: str, raw: bytes) -> None:
    request = with_body(text=text, raw=raw, size=3)
    assert request.body == b""
    assert request.body_defect
    assert not request.defect
    with pytest.raises(BodyError):
        read_body(request)


@pytest.mark.parametrize("size", [-1, 0, 7])
def test_the_size_that_the_proxy_tells_is_kept(size: int) -> None:
    assert with_body(raw=b"abc", size=size).body_size == size


def test_a_body_that_was_cut_is_none() -> None:
    cut = {"x-envoy-auth-partial-body": "true"}
    for request in (with_body(raw=b"abc", size=-1), with_body(raw=b"abc", size=3, headers=cut)):
        with pytest.raises(BodyTruncatedError):
            read_body(request)
    told = {"x-envoy-auth-partial-body": "false", "content-length": "3"}
    whole = with_body(raw=b"abc", size=3, headers=told)
    assert read_body(whole) == b"abc"


@given(st.text(st.characters(codec="utf-8")))
def test_a_text_body_is_read_whole_or_not_at_all(text: str) -> None:
    request = with_body(text=text, size=len(text.encode()))
    is_sure = "!" not in text and "\ufffd" not in text
    assert request.body == (text.encode() if is_sure else b"")
    assert bool(request.body_defect) is not is_sure
