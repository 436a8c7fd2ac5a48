"""Whatever a proxy sends, it gets a lawful answer, and there is one audit event."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from deputize._proto.envoy.service.auth.v3.external_auth_pb2 import CheckRequest
from deputize.server.check import AskingProxy
from tests.harness.check_message import Verdict, make_check
from tests.harness.ports import make_ports
from tests.harness.world import AGENT, HOST, NOW, OTHER_AGENT, shared_issuer

TOKEN = shared_issuer().issue(now=NOW)
ALLOWED = make_check(TOKEN).SerializeToString()

texts = st.text(st.characters(codec="utf-8"), max_size=30)
asking_proxies = st.builds(
    AskingProxy,
    remaining=st.one_of(st.none(), st.floats(allow_nan=True)),
    spiffe_ids=st.one_of(st.none(), st.lists(texts, max_size=2).map(tuple)),
)


def ask(octets: bytes, proxy: AskingProxy = AskingProxy(None, None)) -> Verdict:  # noqa: B008 - immutable
    ports = make_ports()
    verdict = ports.ask(octets, proxy)
    (event,) = ports.events
    assert event["effect"] == ("allow" if verdict.allowed else "deny")
    assert event["decision_id"] == verdict.decision_id
    return verdict


@given(st.binary(max_size=300), asking_proxies)
def test_random_bytes_are_refused(octets: bytes, proxy: AskingProxy) -> None:
    assert not ask(octets, proxy).allowed


@given(st.data())
def test_damaged_messages_are_answered_and_never_a_fault_of_ours(data: st.DataObject) -> None:
    octets = bytearray(ALLOWED)
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(octets) - 1))
        match data.draw(st.sampled_from(["change", "remove", "insert", "cut"])):
            case "change":
                octets[place] = data.draw(st.integers(0, 255))
            case "remove":
                del octets[place]
            case "insert":
                octets.insert(place, data.draw(st.integers(0, 255)))
            case _:
                del octets[max(place, 1) :]
        octets = octets or bytearray(b"\0")
    assert not ask(bytes(octets)).reason.startswith("system.")


@st.composite
def checks(draw: st.DrawFn) -> CheckRequest:
    """A message whose every field is a good one, a near miss or anything."""
    check = CheckRequest()
    source, http = check.attributes.source, check.attributes.request.http
    source.principal = draw(st.one_of(st.sampled_from([AGENT, OTHER_AGENT, ""]), texts))
    source.certificate = draw(st.one_of(st.just(""), texts))
    http.method = draw(st.one_of(st.sampled_from(["GET", "POST", "get"]), texts))
    http.host = draw(st.one_of(st.sampled_from([HOST, f"{HOST}:8443", ""]), texts))
    http.path = draw(st.one_of(st.sampled_from(["/v1/orders/7", "/v1/orders"]), texts))
    bearer = st.sampled_from([f"Bearer {TOKEN}", TOKEN, f"Bearer {TOKEN[:-2]}", ""])
    names = st.one_of(st.sampled_from(["authorization", ":path", "x-request-id"]), texts)
    http.headers.update(draw(st.dictionaries(names, st.one_of(bearer, texts), max_size=4)))
    for name, value in draw(st.lists(st.tuples(names, st.binary(max_size=20)), max_size=2)):
        http.header_map.headers.add(key=name, raw_value=value)
    return check


@given(checks(), asking_proxies)
def test_random_messages_are_answered(check: CheckRequest, proxy: AskingProxy) -> None:
    ask(check.SerializeToString(), proxy)


@given(checks())
def test_no_random_message_is_a_fault_of_ours(check: CheckRequest) -> None:
    assert not ask(check.SerializeToString()).reason.startswith("system.")


def test_the_message_they_start_from_is_allowed() -> None:
    assert ask(ALLOWED).allowed
