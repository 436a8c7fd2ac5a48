"""Clients of protocols other than plain HTTP, through the proxy of an `AgentStage`."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import grpc

from tests.harness.agent_stage import AgentStage
from tests.harness.calls import Answer
from tests.harness.grpc_client import open_channel
from tests.harness.loopback import HOST
from tests.harness.polling import wait_until
from tests.harness.raw_http2 import RawHttp2Client

_SECONDS = 15
_CHAT = "chat.example"


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of a gRPC call."""

    code: grpc.StatusCode
    details: str
    octets: bytes


def call_rpc(
    stage: AgentStage, host: str, method: str, octets: bytes, *, token: str | None
) -> Reply:
    """Calls a gRPC method as a real gRPC client does."""
    credentials = grpc.ssl_channel_credentials(
        stage.authority.certificate_file.read_bytes(),
        stage.svid.private_key_pem,
        stage.svid.certificate_pem,
    )
    metadata = () if token is None else (("authorization", f"Bearer {token}"),)
    options = [("grpc.ssl_target_name_override", host)]
    with open_channel(f"{HOST}:{stage.proxy.port}", credentials, options) as channel:
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(method)
        future = call.future(octets, metadata=metadata, timeout=_SECONDS)
        failure = future.exception()
        answer = future.result() if failure is None else b""
        return Reply(future.code(), future.details() or "", answer)


def send_late(stage: AgentStage, first: bytes, rest: bytes) -> Answer:
    """Posts two chunks to the MCP server, the second one after deputize has decided."""
    connection = http.client.HTTPSConnection(
        HOST, stage.proxy.port, timeout=_SECONDS, context=_context(stage)
    )
    with contextlib.closing(connection):
        connection.putrequest("POST", "/mcp", skip_host=True)
        connection.putheader("host", "tools.example")
        connection.putheader("authorization", f"Bearer {stage.token()}")
        connection.putheader("content-type", "application/json")
        connection.putheader("transfer-encoding", "chunked")
        connection.endheaders()
        before = stage.deputize.decisions
        connection.send(_chunk(first))
        wait_until(lambda: stage.deputize.decisions > before, _SECONDS, "a decision")
        # The proxy may have answered and closed by now.
        with contextlib.suppress(ConnectionError):
            connection.send(_chunk(rest) + _chunk(b""))
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())


@dataclass(frozen=True, slots=True)
class Opened:
    """A connection after the answer to its request for another protocol."""

    status: int
    connection: ssl.SSLSocket

    def echo(self, octets: bytes) -> bytes:
        """Sends octets and reads as many."""
        self.connection.sendall(octets)
        answer = b""
        while len(answer) < len(octets):
            more = self.connection.recv(len(octets) - len(answer))
            assert more, "the other side closed the connection"
            answer += more
        return answer


@contextmanager
def open_websocket(
    stage: AgentStage, path: str, token: str | None, *, protocol: str = "websocket"
) -> Iterator[Opened]:
    """Asks for another protocol over HTTP/1.1 (RFC 6455 section 4.1)."""
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {_CHAT}",
        "Connection: Upgrade",
        f"Upgrade: {protocol}",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ]
    if token is not None:
        lines.append(f"Authorization: Bearer {token}")
    plain = socket.create_connection((HOST, stage.proxy.port), _SECONDS)
    with _context(stage).wrap_socket(plain, server_hostname=_CHAT) as connection:
        connection.sendall("".join(f"{line}\r\n" for line in [*lines, ""]).encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            octet = connection.recv(1)
            assert octet, "the other side closed the connection"
            head += octet
        yield Opened(int(head.split()[1]), connection)


def connect_websocket(stage: AgentStage, path: str, token: str | None) -> bytes:
    """Asks for a WebSocket over HTTP/2 (RFC 8441), and gives what is said until the end."""
    headers = {
        "Host": _CHAT,
        ":protocol": "websocket",
        "sec-websocket-version": "13",
        "x-end": "1",
    }
    if token is not None:
        headers["authorization"] = f"Bearer {token}"
    context = _context(stage)
    context.set_alpn_protocols(["h2"])
    with RawHttp2Client(stage.proxy.port, context, _CHAT) as client:
        answer = client.send("CONNECT", path, headers)
    # A tunnel that the other side ends is cut off.
    return b"" if answer is None else answer.body


def _chunk(octets: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(octets), octets)


def _context(stage: AgentStage) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=stage.authority.certificate_file)
    context.load_cert_chain(stage.svid.certificate_file, stage.svid.private_key_file)
    return context
