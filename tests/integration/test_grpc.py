"""The gRPC port as a proxy sees it, over both transports."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_reflection.v1alpha import reflection_pb2

from deputize.core.reasons import Reason
from tests.harness.grpc_client import SERVICE, ask, call, check_method, health, open_channel
from tests.harness.grpc_serving import TRANSPORTS
from tests.harness.live import Live, UnreadyProcess, running_live
from tests.harness.polling import wait_until
from tests.harness.world import AGENT

SECONDS = 15
MAX_MESSAGE = 65536


@pytest.fixture(scope="module", params=TRANSPORTS)
def live(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Live]:
    def change(spec: dict[str, Any]) -> None:
        spec["server"]["grpc"]["maxMessageBytes"] = MAX_MESSAGE

    folder = tmp_path_factory.mktemp("live")
    with running_live(folder, transport=request.param, change=change) as running:
        yield running


@pytest.fixture
def channel(live: Live) -> Iterator[grpc.Channel]:
    with open_channel(live.address) as opened:
        yield opened


def test_an_allowed_check(live: Live) -> None:
    verdict = live.ask()
    assert (verdict.allowed, verdict.reason) == (True, Reason.POLICY_ALLOWED)
    assert verdict.upstream_headers["x-deputize-agent"] == AGENT


def test_a_refused_check_is_an_answer_and_no_error(live: Live) -> None:
    verdict = live.ask(live.check(method="DELETE"))
    assert (verdict.allowed, verdict.reason) == (False, Reason.POLICY_NO_MATCH)


@pytest.mark.parametrize("octets", [b"", b"\xff", b"\x0a\x05\x0a", b"GET / HTTP/1.1\r\n\r\n"])
def test_a_message_that_is_no_check_is_refused_and_no_error(live: Live, octets: bytes) -> None:
    assert live.ask(octets).reason in {Reason.REQUEST_MALFORMED, Reason.REQUEST_NOT_HTTP}


def test_every_answer_is_in_the_audit_log(live: Live) -> None:
    for octets in (live.check(), b"\xff"):
        verdict = live.ask(octets)
        event = live.process.audit_event(verdict.decision_id)
        assert event["reason"] == verdict.reason


@pytest.mark.parametrize("name", ["", SERVICE])
def test_a_ready_service_is_healthy_under_both_names(channel: grpc.Channel, name: str) -> None:
    wait_until(lambda: health(channel, name) == "SERVING", SECONDS)


def test_other_services_are_unknown_to_health_checks(channel: grpc.Channel) -> None:
    assert health(channel, "another.Service") == "NOT_FOUND"


def test_reflection_lists_the_service(channel: grpc.Channel) -> None:
    method: grpc.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
    )
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    (octets,) = method(iter([request.SerializeToString()]), timeout=SECONDS)
    response = reflection_pb2.ServerReflectionResponse.FromString(octets)
    names = {each.name for each in response.list_services_response.service}
    assert {SERVICE, "grpc.health.v1.Health"} <= names


def test_an_unknown_method_is_an_error(channel: grpc.Channel) -> None:
    method: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(f"/{SERVICE}/Other")
    assert call(method, b"")[0] is grpc.StatusCode.UNIMPLEMENTED


def test_the_largest_message_is_answered(live: Live, channel: grpc.Channel) -> None:
    rest = MAX_MESSAGE - len(live.check(path="/"))
    octets = live.check(path="/" + "a" * (rest // 2 - 20))
    assert MAX_MESSAGE - 100 < len(octets) <= MAX_MESSAGE
    assert ask(channel, octets).reason == Reason.REQUEST_AMBIGUOUS_PATH


def test_a_message_too_large_is_never_let_in_and_harms_no_other(
    live: Live, channel: grpc.Channel
) -> None:
    octets = live.check(path="/" + "a" * MAX_MESSAGE)
    if live.process.config["spec"]["server"]["transport"] == "native":
        verdict = ask(channel, octets)
        assert verdict.reason == Reason.REQUEST_MALFORMED
        assert live.process.audit_event(verdict.decision_id)["reason"] == verdict.reason
    else:
        # grpcio refuses it before any code of ours.
        code, _ = call(check_method(channel), octets)
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert ask(channel, live.check()).allowed


def test_a_caller_in_a_hurry_gets_an_answer_or_nothing_but_never_another_one(
    live: Live, channel: grpc.Channel
) -> None:
    ask(channel, live.check())
    for millis in (1, 2, 5, 10, 50):
        code, _ = call(check_method(channel), live.check(), millis / 1000)
        assert code in {grpc.StatusCode.OK, grpc.StatusCode.DEADLINE_EXCEEDED}


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_without_keys_nothing_is_served_until_they_are_there(
    tmp_path: Path, transport: str
) -> None:
    keys = {"file": "later.json"}
    with (
        running_live(tmp_path, transport=transport, keys=keys, process=UnreadyProcess) as live,
        open_channel(live.address) as channel,
    ):
        assert [health(channel, name) for name in ("", SERVICE)] == ["NOT_SERVING"] * 2
        assert live.ask().reason == Reason.SYSTEM_KEYS_UNAVAILABLE
        assert live.readiness()["ready"] is False
        (tmp_path / "later.json").write_bytes(live.issuer.jwks())
        wait_until(lambda: health(channel) == "SERVING", SECONDS)
        assert live.ask().allowed
        assert live.readiness()["ready"] is True


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_unix_socket_is_as_good_as_a_port(tmp_path: Path, transport: str) -> None:
    socket = tmp_path / "deputize.sock"

    def change(spec: dict[str, Any]) -> None:
        spec["server"]["grpc"]["listen"] = [f"unix:{socket}"]

    with running_live(tmp_path, transport=transport, change=change) as live:
        assert live.ask().allowed
        # A proxy with another user can ask if it is in the group; nobody else can.
        assert stat.S_IMODE(socket.stat().st_mode) == 0o660


def test_there_may_be_several_addresses(tmp_path: Path) -> None:
    def change(spec: dict[str, Any]) -> None:
        spec["server"]["grpc"]["listen"].append(f"unix:{tmp_path / 'deputize.sock'}")

    with running_live(tmp_path, change=change) as live:
        for address in live.process.grpc_addresses:
            with open_channel(address) as channel:
                assert ask(channel, live.check()).allowed
