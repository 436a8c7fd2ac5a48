"""The loopback interface: free ports, small HTTP servers in threads, plain GETs."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

HOST = "127.0.0.1"


def free_port() -> int:
    """A TCP port that the system gives to nobody else for the next minute.

    A connection that the server's side closed leaves its port waiting (TIME_WAIT): then it is
    not chosen for others, but a server that asks for it by number gets it.
    """
    with socket.socket() as listener, socket.socket() as client:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, 0))
        listener.listen(1)
        client.connect(listener.getsockname())
        accepted, (_, _) = listener.accept()
        accepted.close()
        port: int = listener.getsockname()[1]
        return port


def get(url: str, seconds: float = 2) -> httpx.Response | None:
    """The answer to a GET; None while nobody answers."""
    try:
        return httpx.get(url, timeout=seconds, trust_env=False)
    except httpx.TransportError:
        return None


@contextmanager
def http_server(handler: type[BaseHTTPRequestHandler], port: int = 0) -> Iterator[int]:
    """Serves `handler` from a thread, at any port for 0; gives the port."""
    with _Server((HOST, port), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


class _Server(ThreadingHTTPServer):
    # Connections that a proxy keeps open must not keep the server from closing.
    daemon_threads = True
    block_on_close = False
