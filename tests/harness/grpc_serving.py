"""The gRPC port in this process, around any `Checker`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from deputize.config.schema import Server
from deputize.server.check import Checker
from deputize.server.grpc_server import GrpcServer
from tests.harness.loopback import HOST

TRANSPORTS = ("grpcio", "native")


@contextmanager
def running_grpc(
    checker: Checker, transport: str, listen: str = f"{HOST}:0"
) -> Iterator[tuple[GrpcServer, str]]:
    """Serves until the end of the block; gives the server and its address."""
    settings = Server.model_validate({"transport": transport, "grpc": {"listen": [listen]}})
    server = GrpcServer(settings, checker)
    server.start()
    address = listen if listen.startswith("unix:") else f"{HOST}:{server.ports[0]}"
    try:
        yield server, address
    finally:
        server.stop(5)
