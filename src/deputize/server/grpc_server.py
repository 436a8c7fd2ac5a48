"""The gRPC port: the authorization service, with health and reflection, over either transport.

Rules of this file:
- The Check handler takes and gives bytes: a message that cannot be decoded is refused like any
  other, not answered with an RPC error, which a proxy may be told to let pass.
- Both transports get the same handlers. `grpcio` is the reference; `native` has no TLS.
- Nothing but checks may use the threads that decide (`health.py`).

Source: Envoy `api/envoy/service/auth/v3/external_auth.proto`.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import grpc

from deputize._proto.envoy.service.auth.v3 import external_auth_pb2
from deputize.config.schema import Grpc, GrpcTls, Server
from deputize.server.check import AskingProxy, Checker
from deputize.server.health import HEALTH_SERVICE, Health, register_reflection
from deputize.server.tls import server_credentials

SERVICE = external_auth_pb2.DESCRIPTOR.services_by_name["Authorization"].full_name
HEALTH_NAMES = ("", SERVICE)
SOCKET_MODE = 0o660
"""Of a Unix socket: the proxy beside us is another user, and asks as a member of the group."""

_SOCKET = "unix:"


class GrpcServer:
    """The listening server. `ports` are the bound ports in the order of `listen`."""

    def __init__(self, settings: Server, checker: Checker) -> None:
        self._health = Health(HEALTH_NAMES)
        self._server = _make_transport(settings)
        _register_check(self._server, checker, settings.grpc.tls)
        self._health.register(self._server)
        register_reflection(self._server, (SERVICE, HEALTH_SERVICE))
        self.ports = tuple(
            _bind(self._server, settings.grpc, text) for text in settings.grpc.listen
        )

    def start(self) -> None:
        """Begins to serve."""
        self._server.start()

    def set_serving(self, *, serving: bool) -> None:
        """Says to health checks whether proxies should send checks here."""
        self._health.serving = serving

    def stop(self, grace_seconds: float) -> None:
        """Lets running checks finish; what runs longer is cut off."""
        self._server.stop(grace_seconds).wait(grace_seconds + 1.0)


def _make_transport(settings: Server) -> grpc.Server:
    threads, max_bytes = settings.grpc.threads, settings.grpc.max_message_bytes
    # Threads take the interpreter from each other: as few as keep one free while one waits.
    if settings.transport == "native":
        # An extra, loaded only when it is chosen.
        from deputize.server.native_server import NativeServer  # noqa: PLC0415

        # It has the methods we use of grpcio's server, but no common base.
        return cast("grpc.Server", NativeServer(threads or 2, max_bytes))
    options = [
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", max_bytes),
        ("grpc.max_concurrent_streams", 1024),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", 5000),
    ]
    pool = ThreadPoolExecutor(threads or 4, thread_name_prefix="check")
    return grpc.server(pool, options=options)


def _register_check(server: grpc.Server, checker: Checker, tls: GrpcTls | None) -> None:
    # Reading the certificate costs time; without a list of proxies nobody asks for it.
    ask_names = tls is not None and tls.allowed_callers is not None

    def check(octets: bytes, context: grpc.ServicerContext) -> bytes:
        # None without a deadline, whatever the stubs say.
        remaining: float | None = context.time_remaining()
        return checker.check(octets, AskingProxy(remaining, _names(context) if ask_names else None))

    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(check)
    server.add_registered_method_handlers(SERVICE, {"Check": handler})


def _names(context: grpc.ServicerContext) -> tuple[str, ...]:
    """The URI names of the asking proxy's certificate, which TLS has verified."""
    names = context.auth_context().get("peer_spiffe_id", ())
    return tuple(bytes(name).decode("utf-8", "replace") for name in names)


def _bind(server: grpc.Server, settings: Grpc, address: str) -> int:
    if settings.tls is None:
        port = server.add_insecure_port(address)
    else:
        port = server.add_secure_port(address, server_credentials(settings.tls))
    if address.startswith(_SOCKET):
        Path(address.removeprefix(_SOCKET)).chmod(SOCKET_MODE)
    return port
