"""The gRPC port: the authorization service, health and reflection, over either transport.

Rules of this file:
- The Check handler takes and gives bytes: a message that cannot be decoded is refused like any
  other, not answered with an RPC error, which a proxy may be told to let pass.
- Both transports get the same handlers. `grpcio` is the reference; `native` has no TLS.

Sources: Envoy `api/envoy/service/auth/v3/external_auth.proto`; gRPC health checking protocol
(`grpc/health/v1/health.proto`), asked by Envoy with or without the service's name.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from deputize._proto.envoy.service.auth.v3 import external_auth_pb2
from deputize.config.schema import Grpc, Server
from deputize.server.check import Caller, Checker
from deputize.server.tls import server_credentials

SERVICE = external_auth_pb2.DESCRIPTOR.services_by_name["Authorization"].full_name
HEALTH_NAMES = ("", SERVICE)
NO_DEADLINE_SECONDS = 1e6
"""The native transport reports a huge number where grpcio reports None."""


class GrpcServer:
    """The listening server. `ports` are the bound ports in the order of `listen`."""

    def __init__(self, settings: Server, checker: Checker) -> None:
        self._health = health.HealthServicer()
        self._server = _make_transport(settings)
        ask_names = settings.grpc.tls is not None and settings.grpc.tls.allowed_callers is not None
        _register(self._server, self._health, checker, ask_names=ask_names)
        self.set_serving(serving=False)
        self.ports = tuple(
            _bind(self._server, settings.grpc, text) for text in settings.grpc.listen
        )

    def start(self) -> None:
        """Begins to serve."""
        self._server.start()

    def set_serving(self, *, serving: bool) -> None:
        """Says to health checks whether proxies should send checks here."""
        states = health_pb2.HealthCheckResponse
        status = states.SERVING if serving else states.NOT_SERVING
        for name in HEALTH_NAMES:
            self._health.set(name, status)

    def stop(self, grace_seconds: float) -> bool:
        """Lets running checks finish; true when all did in time."""
        return self._server.stop(grace_seconds).wait(grace_seconds + 1.0)


def _make_transport(settings: Server) -> grpc.Server:
    pool = ThreadPoolExecutor(settings.grpc.threads, thread_name_prefix="check")
    options = [
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", settings.grpc.max_message_bytes),
        ("grpc.max_concurrent_streams", 1024),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", 5000),
    ]
    if settings.transport == "native":
        import pygrpc_native  # noqa: PLC0415 - an extra, loaded only when it is chosen

        # It takes the place of grpcio's server and has its methods, but no common base.
        return cast("grpc.Server", pygrpc_native.server(pool, options=options))
    return grpc.server(pool, options=options)


def _register(
    server: grpc.Server, servicer: health.HealthServicer, checker: Checker, *, ask_names: bool
) -> None:
    def check(octets: bytes, context: grpc.ServicerContext) -> bytes:
        # None without a deadline, whatever the stubs say.
        left: float | None = context.time_remaining()
        remaining = None if left is None or left > NO_DEADLINE_SECONDS else left
        return checker.check(octets, Caller(remaining, _names(context) if ask_names else None))

    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(check)
    server.add_registered_method_handlers(SERVICE, {"Check": handler})
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    names: Sequence[str] = (SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, server)


def _names(context: grpc.ServicerContext) -> tuple[str, ...]:
    """The URI names of the caller's certificate, which TLS has verified."""
    names = context.auth_context().get("peer_spiffe_id", ())
    return tuple(bytes(name).decode("utf-8", "replace") for name in names)


def _bind(server: grpc.Server, settings: Grpc, address: str) -> int:
    if settings.tls is None:
        return server.add_insecure_port(address)
    return server.add_secure_port(address, server_credentials(settings.tls))
