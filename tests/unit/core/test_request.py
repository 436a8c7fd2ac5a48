from __future__ import annotations

import pytest

from deputize.core.model import Action, Credential
from deputize.core.reasons import Reason
from deputize.core.request import OVERRIDE_HEADERS, RequestRules, read_action, read_credential
from tests.harness.characters import CHARACTERS, DIGITS, LOWER, UPPER, places
from tests.harness.expect import refused
from tests.harness.world import bearer, make_request

NO_CREDENTIAL = Credential("", is_dpop=False, proof="")
BEARER = RequestRules("authorization")
OWN_HEADER = RequestRules("x-delegation-token")

HOST_EDGE = frozenset(UPPER + LOWER + DIGITS + "_")
HOST_INSIDE = HOST_EDGE | frozenset("-.")


def test_a_request_has_one_reading() -> None:
    request = make_request(method="POST", host="Orders.Example:8443", path="/v1/orders/a%20b?x=1")
    assert read_action(request) == Action("POST", "orders.example", ("v1", "orders", "a b"))


def test_a_check_that_cannot_be_read_is_refused() -> None:
    with refused(Reason.REQUEST_MALFORMED):
        read_action(make_request(defect="no attributes"))


def test_a_connection_without_http_is_refused() -> None:
    with refused(Reason.REQUEST_NOT_HTTP):
        read_action(make_request(is_http=False))


@pytest.mark.parametrize("path", ["/v1/../admin", "", "http://evil/admin", "*"])
def test_a_path_with_more_than_one_reading_is_refused(path: str) -> None:
    with refused(Reason.REQUEST_AMBIGUOUS_PATH):
        read_action(make_request(path=path))


@pytest.mark.parametrize("name", OVERRIDE_HEADERS)
@pytest.mark.parametrize("value", ["DELETE", ""])
def test_a_header_that_replaces_method_or_url_is_refused(name: str, value: str) -> None:
    with refused(Reason.REQUEST_OVERRIDE_HEADER):
        read_action(make_request(headers={name: value}))


@pytest.mark.parametrize("name", ["x_original_url", "x-http_method-override", "x.rewrite.url"])
def test_so_is_one_that_a_back_end_reads_like_it(name: str) -> None:
    with refused(Reason.REQUEST_OVERRIDE_HEADER):
        read_action(make_request(headers={name: "/admin"}))


@pytest.mark.parametrize("name", ["x_request_id", "original_url", "x-original-url-list"])
def test_other_names_are_not_mistaken_for_one(name: str) -> None:
    assert read_action(make_request(headers={name: "/admin"})) == read_action(make_request())


@pytest.mark.parametrize(
    "name", ["x-forwarded-host", "x-forwarded-uri", "x-forwarded-proto", "x-envoy-original-path"]
)
def test_forwarding_headers_are_never_read(name: str) -> None:
    assert read_action(make_request(headers={name: "/admin"})) == read_action(make_request())


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "M-SEARCH", "A", "A" * 32])
def test_a_method_is_an_upper_case_token(method: str) -> None:
    assert read_action(make_request(method=method)).method == method


@pytest.mark.parametrize("method", ["", "get", "Get", "GET ", " GET", "GET\n", "-GET", "A" * 33])
def test_any_other_method_is_refused(method: str) -> None:
    with refused(Reason.REQUEST_MALFORMED):
        read_action(make_request(method=method))


def test_a_method_has_exactly_these_characters() -> None:
    for char in CHARACTERS:
        request = make_request(method=f"G{char}T")
        if char in UPPER + "-":
            read_action(request)
        else:
            with refused(Reason.REQUEST_MALFORMED):
                read_action(request)


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("orders.example", "orders.example"),
        ("ORDERS.Example", "orders.example"),
        ("orders.example:443", "orders.example"),
        ("orders.example:80", "orders.example"),
        ("localhost", "localhost"),
        ("my_service.ns", "my_service.ns"),
        ("10.0.0.1:8080", "10.0.0.1"),
        ("[::1]", "[::1]"),
        ("[2001:DB8::A]:8443", "[2001:db8::a]"),
        ("a-b.example", "a-b.example"),
    ],
)
def test_a_host_is_read_in_lower_case_without_port(sent: str, read: str) -> None:
    assert read_action(make_request(host=sent)).host == read


@pytest.mark.parametrize(
    "host",
    [
        "",
        ":443",
        "orders.example:",
        "orders.example:http",
        "orders.example:123456",
        "orders.example:80:80",
        "orders.example.",
        ".orders.example",
        "orders..example",
        "-orders.example",
        "orders-.example",
        "orders.example ",
        " orders.example",
        "orders.example\n",
        "user@orders.example",
        "orders.example/admin",
        "orders.example,evil.example",
        "*.example",
        "*",
        "[::1",
        "::1",
        "[fe80::1%25eth0]",
        "[orders.example]",
        "ordErs.ex%61mple",
        "a" * 261,
    ],
)
def test_any_other_host_is_refused(host: str) -> None:
    with refused(Reason.REQUEST_MALFORMED):
        read_action(make_request(host=host))


def test_a_host_has_exactly_these_characters() -> None:
    for char in CHARACTERS:
        for text, good in zip(places(char), (HOST_EDGE, HOST_INSIDE, HOST_EDGE), strict=True):
            request = make_request(host=f"x.{text}.y")
            if char in good:
                read_action(request)
            else:
                with refused(Reason.REQUEST_MALFORMED):
                    read_action(request)


@pytest.mark.parametrize("name", [":authority", ":path", ":method", "host"])
def test_two_places_must_say_the_same(name: str) -> None:
    request = make_request()
    said = {":path": request.path, ":method": request.method}.get(name, request.host)
    read_action(make_request(headers={name: said}))
    with refused(Reason.REQUEST_MALFORMED):
        read_action(make_request(headers={name: f"{said}x"}))


@pytest.mark.parametrize("value", ["Bearer abc", "bearer abc", "BEARER abc", "Bearer    abc"])
def test_the_scheme_has_any_case(value: str) -> None:
    credential = read_credential(make_request(headers={"authorization": value}), BEARER)
    assert credential == Credential("abc", is_dpop=False, proof="")


@pytest.mark.parametrize(
    "value",
    ["", "Bearer", "Bearer ", "Bearer   ", "Basic YTpi", "DPoP", "DPoP ", "DPoPabc", "abc",
     "Bearerabc", "Bearer\tabc", "DPoP\tabc", "BearerDPoP abc", " Bearer abc",
     "Bearer\u00a0abc", "Token abc", "Be\u0430rer abc"],
)  # fmt: skip
def test_without_a_token_behind_a_known_scheme_there_is_no_credential(value: str) -> None:
    for proof in ({}, {"dpop": "proof"}):
        request = make_request(headers={"authorization": value, **proof})
        assert read_credential(request, BEARER) == NO_CREDENTIAL


def test_without_the_header_there_is_no_credential() -> None:
    assert read_credential(make_request(), BEARER) == NO_CREDENTIAL
    assert read_credential(make_request(headers={"dpop": "proof"}), BEARER) == NO_CREDENTIAL


@pytest.mark.parametrize(
    "value",
    [
        "Bearer a,Bearer b",
        "Bearer a, Bearer a",
        "Bearer a,",
        ",",
        "Basic YTpi,Bearer a",
        "DPoP a,DPoP a",
        "DPoP a,Bearer a",
    ],
)
def test_two_credentials_are_refused(value: str) -> None:
    with refused(Reason.REQUEST_DUPLICATE_CREDENTIAL):
        read_credential(make_request(headers={"authorization": value}), BEARER)


@pytest.mark.parametrize("token", [None, "abc"])
@pytest.mark.parametrize(
    "query",
    [
        "access_token=abc",
        "x=1&access_token=abc",
        "access_token=",
        "access%5Ftoken=abc",
        "Access_Token=abc",
        "x=1;access_token=abc",
    ],
)
def test_a_token_in_the_query_is_refused(token: str | None, query: str) -> None:
    with refused(Reason.REQUEST_DUPLICATE_CREDENTIAL):
        read_credential(make_request(token, path=f"/v1/orders/7?{query}"), BEARER)


def test_another_header_holds_the_bare_token() -> None:
    request = make_request("not this", headers={"x-delegation-token": "abc"})
    assert read_credential(request, OWN_HEADER) == bearer("abc")


def test_another_header_is_not_taken_apart() -> None:
    request = make_request(headers={"x-delegation-token": "Bearer abc"})
    assert read_credential(request, OWN_HEADER) == bearer("Bearer abc")


def test_with_another_header_a_proof_beside_the_token_is_the_token_s() -> None:
    request = make_request("not this", headers={"x-delegation-token": "abc", "dpop": "proof"})
    assert read_credential(request, OWN_HEADER) == Credential("abc", is_dpop=True, proof="proof")


def test_with_another_header_configured_authorization_is_no_credential() -> None:
    assert read_credential(make_request("abc"), OWN_HEADER) == NO_CREDENTIAL


@pytest.mark.parametrize("query", ["my_access_token=abc", "x=access_token=abc", "access_tokens=1"])
def test_another_parameter_is_no_credential(query: str) -> None:
    request = make_request("token", path=f"/v1/orders/7?{query}")
    assert read_credential(request, RequestRules("authorization")) == bearer("token")


@pytest.mark.parametrize("scheme", ["DPoP", "dpop", "DPOP"])
@pytest.mark.parametrize("proof", ["", "proof"])
def test_the_scheme_dpop_comes_with_a_proof_or_none(scheme: str, proof: str) -> None:
    headers = {"authorization": f"{scheme} abc", **({"dpop": proof} if proof else {})}
    credential = read_credential(make_request(headers=headers), BEARER)
    assert credential == Credential("abc", is_dpop=True, proof=proof)


def test_a_proof_does_not_make_a_bearer_token_one_for_dpop() -> None:
    credential = read_credential(make_request("abc", headers={"dpop": "proof"}), BEARER)
    assert credential == Credential("abc", is_dpop=False, proof="proof")


@pytest.mark.parametrize("value", ["a,b", "a, a", "a,", ","])
@pytest.mark.parametrize("rules", [BEARER, OWN_HEADER])
def test_two_proofs_are_refused(value: str, rules: RequestRules) -> None:
    headers = {"authorization": "DPoP abc", "x-delegation-token": "abc", "dpop": value}
    with refused(Reason.REQUEST_DUPLICATE_CREDENTIAL):
        read_credential(make_request(headers=headers), rules)
