"""Asking over gRPC as a proxy does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import grpc
from grpc_health.v1 import health_pb2

from tests.harness.check_message import Verdict, read_answer

SERVICE = "envoy.service.auth.v3.Authorization"
SECONDS = 10

Options = Sequence[tuple[str, Any]]


@contextmanager
def open_channel(
    address: str,
    credentials: grpc.ChannelCredentials | None = None,
    options: Options = (),
) -> Iterator[grpc.Channel]:
    """A connection of its own; without credentials in plain text."""
    # Else channels with equal options would share a connection, and see each other's faults.
    own = [("grpc.use_local_subchannel_pool", 1), *options]
    channel = (
        grpc.insecure_channel(address, own)
        if credentials is None
        else grpc.secure_channel(address, credentials, own)
    )
    with channel:
        yield channel


def check_method(channel: grpc.Channel) -> grpc.UnaryUnaryMultiCallable[bytes, bytes]:
    """The Check method, from bytes to bytes."""
    return channel.unary_unary(f"/{SERVICE}/Check")


def ask(channel: grpc.Channel, octets: bytes, seconds: float = SECONDS) -> Verdict:
    """One check; the answer must be a lawful one."""
    return read_answer(check_method(channel)(octets, timeout=seconds, wait_for_ready=True))


def health(channel: grpc.Channel, service: str = "") -> str:
    """What the health service says: `SERVING`, `NOT_SERVING`, or the name of the RPC error."""
    method: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
        "/grpc.health.v1.Health/Check"
    )
    request = health_pb2.HealthCheckRequest(service=service).SerializeToString()
    code, octets = call(method, request)
    if code is not grpc.StatusCode.OK:
        return code.name
    response = health_pb2.HealthCheckResponse.FromString(octets)
    return health_pb2.HealthCheckResponse.ServingStatus.Name(response.status)


def call(
    method: grpc.UnaryUnaryMultiCallable[bytes, bytes], octets: bytes, seconds: float = SECONDS
) -> tuple[grpc.StatusCode, bytes]:
    """The status of a call and its answer, which is empty unless the status is OK."""
    future = method.future(octets, timeout=seconds)
    failure = future.exception()
    return future.code(), future.result() if failure is None else b""
