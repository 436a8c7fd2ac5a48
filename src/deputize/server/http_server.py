"""The HTTP port: `/healthz` (alive), `/readyz` (ready, and why not), `/metrics`."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass

import uvicorn
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

STOP_SECONDS = 10.0
MAX_PORT = 65535


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether checks should be sent here. `waiting_for` is empty exactly when ready.

    `warnings` say what is wrong but does not stop decisions, for example a changed file that
    could not be loaded while the last good configuration stays in use.
    """

    waiting_for: tuple[str, ...]
    warnings: tuple[str, ...]
    policy_digest: str


class HttpServer:
    """Serves in a thread of its own. `port` is the bound port."""

    def __init__(
        self, address: str, readiness: Callable[[], Readiness], registry: CollectorRegistry
    ) -> None:
        host, _, port = address.rpartition(":")

        def healthz(_request: Request) -> Response:
            return PlainTextResponse("ok\n")

        def readyz(_request: Request) -> Response:
            state = readiness()
            ready = not state.waiting_for
            body = {
                "ready": ready,
                "waiting_for": list(state.waiting_for),
                "warnings": list(state.warnings),
                "policy_digest": state.policy_digest,
            }
            return JSONResponse(body, 200 if ready else 503)

        def metrics(_request: Request) -> Response:
            return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

        app = Starlette(
            routes=[
                Route("/healthz", healthz),
                Route("/readyz", readyz),
                Route("/metrics", metrics),
            ]
        )
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                lifespan="off",
                server_header=False,
                limit_concurrency=64,
                timeout_keep_alive=5,
            )
        )
        self._socket = socket.create_server((host.strip("[]"), _port(port)), family=_family(host))
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)

    def start(self) -> None:
        """Begins to serve."""
        self._thread.start()

    def stop(self) -> None:
        """Ends serving."""
        self._server.should_exit = True
        self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        self._server.run([self._socket])


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if host.startswith("[") else socket.AF_INET


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number <= MAX_PORT:
        raise ValueError(f"{number} is not a port")
    return number
