"""A workload that calls through a proxy of a mesh, as its own sidecar or ztunnel would for it."""

from __future__ import annotations

import http.client
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

from tests.harness.calls import Answer, Call, exchange
from tests.harness.loopback import HOST
from tests.harness.spiffe_ca import Svid

_TIMEOUT_SECONDS = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Whoever holds `svid`; without one it speaks in plain text.

    `server_name` is sent as SNI. `redirected_from` is the address that it believes to connect to,
    where iptables lead it to a sidecar instead; it is told by the PROXY protocol. With `tunnel_to`
    the request goes through an HBONE tunnel to that address: CONNECT within mTLS, and plain HTTP
    within that. The tunnel is opened over HTTP/1.1, where a ztunnel would use HTTP/2.
    """

    authority: Path
    svid: Svid | None = None
    server_name: str = ""
    redirected_from: str = ""
    tunnel_to: str = ""

    def send(self, port: int, call: Call, host: str) -> Answer:
        """One request over a connection of its own, sent exactly as written."""
        connection = http.client.HTTPConnection(HOST, port, timeout=_TIMEOUT_SECONDS)
        with self._connected(port) as connection.sock:
            return exchange(connection, call, host)

    def _connected(self, port: int) -> socket.socket:
        connection = socket.create_connection((HOST, port), _TIMEOUT_SECONDS)
        try:
            if self.redirected_from:
                connection.sendall(_proxy_line(connection, self.redirected_from))
            if self.svid is None:
                return connection
            connection = self._secured(connection, self.svid)
            if self.tunnel_to:
                _open_tunnel(connection, self.tunnel_to)
        except OSError:
            connection.close()
            raise
        return connection

    def _secured(self, connection: socket.socket, svid: Svid) -> ssl.SSLSocket:
        context = ssl.create_default_context(cafile=self.authority)
        # Servers have SPIFFE IDs and not host names; the authority is checked all the same.
        context.check_hostname = False
        context.load_cert_chain(svid.certificate_file, svid.private_key_file)
        return context.wrap_socket(connection, server_hostname=self.server_name or None)


def _proxy_line(connection: socket.socket, destination: str) -> bytes:
    """Version 1 of the PROXY protocol (haproxy, doc/proxy-protocol.txt)."""
    source, source_port = connection.getsockname()
    address, _, port = destination.rpartition(":")
    return f"PROXY TCP4 {source} {address} {source_port} {port}\r\n".encode()


def _open_tunnel(connection: socket.socket, address: str) -> None:
    connection.sendall(f"CONNECT {address} HTTP/1.1\r\nhost: {address}\r\n\r\n".encode())
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        octet = connection.recv(1)
        if not octet:
            raise ConnectionError(f"{address}: the tunnel was closed after {answer!r}")
        answer += octet
    if b" 200 " not in answer.partition(b"\r\n")[0]:
        raise ConnectionError(f"{address}: no tunnel: {answer!r}")
