from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deputize._proto.envoy.service.auth.v3.external_auth_pb2 import CheckRequest
from deputize.adapters.envoy_request import read_check
from deputize.core.model import AccessRequest
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
    request = read(check, ("spiffe://a/b",))
    assert request == AccessRequest(
        decision_id="decision-1",
        defect="",
        is_http=True,
        method="GET",
        host=HOST,
        path="/v1/orders/7?x=%2f",
        headers=dict(check.attributes.request.http.headers),
        asserted_principal=AGENT,
        certificate="-----BEGIN%20CERTIFICATE-----",
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
