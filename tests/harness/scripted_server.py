"""A TCP server that misbehaves on purpose, where an ordinary HTTP server would not."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from tests.harness.loopback import HOST

Script = Callable[[socket.socket, threading.Event], None]
"""What happens on one connection, until it returns or the event says that the test is over."""


@contextmanager
def running_server(script: Script) -> Iterator[str]:
    """Runs `script` on each connection, in a thread of its own; gives `http://host:port`."""
    over = threading.Event()
    threads: list[threading.Thread] = []

    def serve(connection: socket.socket) -> None:
        # A client that gives up is what these servers are for.
        with connection, suppress(OSError):
            script(connection, over)

    def accept() -> None:
        while True:
            connection, _ = listener.accept()
            if over.is_set():
                connection.close()
                return
            thread = threading.Thread(target=serve, args=(connection,), daemon=True)
            thread.start()
            threads.append(thread)

    with socket.create_server((HOST, 0)) as listener:
        port = listener.getsockname()[1]
        acceptor = threading.Thread(target=accept, daemon=True)
        acceptor.start()
        try:
            yield f"http://{HOST}:{port}"
        finally:
            over.set()
            socket.create_connection((HOST, port)).close()
            for thread in (acceptor, *threads):
                thread.join()


def hang(_connection: socket.socket, over: threading.Event) -> None:
    """Accepts and says nothing."""
    over.wait()


def drip(prefix: bytes, endless: bytes) -> Script:
    """Sends `prefix`, then `endless` again and again, slowly but never too slowly to be noticed."""

    def script(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(prefix)
        while not over.wait(0.02):
            connection.sendall(endless)

    return script


def answer(octets: bytes) -> Script:
    """Sends exactly these bytes and closes."""

    def script(connection: socket.socket, _over: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(octets)

    return script
