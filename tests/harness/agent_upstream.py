"""What agents call: a server that keeps whole bodies and takes WebSockets, and a gRPC server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

import grpc

from tests.harness.loopback import HOST, http_server

SERVED = b'{"served": true}'


@dataclass(frozen=True, slots=True)
class Served:
    """One request as it arrived; header names are in lower case, of a repeated one the last."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class AgentUpstream:
    """Where both listen, and what reached them, in order: requests, names of gRPC methods."""

    port: int
    rpc_port: int
    served: list[Served] = field(default_factory=list)
    rpcs: list[str] = field(default_factory=list)


@contextmanager
def running_agent_upstream() -> Iterator[AgentUpstream]:
    """Both servers, on ports of their own."""
    served: list[Served] = []
    rpcs: list[str] = []
    with (
        http_server(_handler(served.append)) as port,
        ThreadPoolExecutor(4) as pool,
    ):
        server = grpc.server(pool, handlers=[_AnyMethod(rpcs)])
        rpc_port = server.add_insecure_port(f"{HOST}:0")
        server.start()
        try:
            yield AgentUpstream(port, rpc_port, served, rpcs)
        finally:
            server.stop(None).wait()


class _AnyMethod(grpc.GenericRpcHandler):
    """Answers every method with the request it got."""

    def __init__(self, rpcs: list[str]) -> None:
        self._rpcs = rpcs

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[bytes, bytes]:
        name = handler_call_details.method

        def answer(octets: bytes, _context: grpc.ServicerContext) -> bytes:
            self._rpcs.append(name)
            return octets

        return grpc.unary_unary_rpc_method_handler(answer)


def _handler(record: Callable[[Served], None]) -> type[BaseHTTPRequestHandler]:
    class Handler(_Server):
        def record(self, served: Served) -> None:
            record(served)

    return Handler


class _Server(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def record(self, served: Served) -> None:
        raise NotImplementedError

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline:
            self.close_connection = True
        elif self.parse_request():
            self._serve()

    def _serve(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.record(Served(self.command, self.path, headers, self._read_body(headers)))
        if headers.get("upgrade", "").lower() == "websocket":
            self._switch(ends_at_once="x-end" in headers)
            return
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(SERVED)))
        self.end_headers()
        self.wfile.write(SERVED)

    def _switch(self, *, ends_at_once: bool) -> None:
        """Changes the protocol and sends back whatever comes."""
        self.send_response(101)
        self.send_header("connection", "upgrade")
        self.send_header("upgrade", "websocket")
        self.end_headers()
        while not ends_at_once and (octets := self.connection.recv(65536)):
            self.connection.sendall(octets)
        self.close_connection = True

    def _read_body(self, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding") != "chunked":
            return self.rfile.read(int(headers.get("content-length", "0")))
        body = b""
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Says nothing: what arrived is recorded."""
