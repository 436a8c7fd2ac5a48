"""Streams that a client leaves open must not hold up a check."""

from __future__ import annotations

import queue
from collections.abc import Iterator

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from tests.harness.grpc_client import ask, health, open_channel
from tests.harness.grpc_serving import TRANSPORTS, running_grpc
from tests.harness.ports import allowed_check, make_ports

SECONDS = 10
STREAMS = 12
"""More than there are threads."""


@pytest.fixture(params=TRANSPORTS)
def address(request: pytest.FixtureRequest) -> Iterator[str]:
    with running_grpc(make_ports().checker(), request.param) as (_, address):
        yield address


def test_open_reflection_streams_hold_up_no_check(address: str) -> None:
    with open_channel(address) as idle, open_channel(address) as channel:
        reflect: grpc.StreamStreamMultiCallable[bytes, bytes] = idle.stream_stream(
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
        )
        question = reflection_pb2.ServerReflectionRequest(list_services="").SerializeToString()
        questions: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        questions.put(question)
        first = reflect(iter(questions.get, None), timeout=3 * SECONDS, wait_for_ready=True)
        # An answer shows that the server holds the stream; now many more are opened.
        assert next(iter(first))
        others = [reflect(iter(questions.get, None), timeout=SECONDS) for _ in range(STREAMS)]
        assert ask(channel, allowed_check()).allowed
        assert health(channel) == "NOT_SERVING"
        for stream in (first, *others):
            stream.cancel()
            questions.put(None)


def test_health_cannot_be_watched(address: str) -> None:
    with open_channel(address) as channel:
        watch: grpc.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(
            "/grpc.health.v1.Health/Watch"
        )
        request = health_pb2.HealthCheckRequest().SerializeToString()
        stream = watch(request, timeout=SECONDS, wait_for_ready=True)
        assert stream.code() is grpc.StatusCode.UNIMPLEMENTED
