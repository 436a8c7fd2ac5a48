"""The native transport: HTTP/2 outside the interpreter's lock, checks in batches on few threads.

Built on the low-level interface of `pygrpc-native`, whose grpcio-like server hands each call
from thread to thread; here the thread that receives a call also answers it. It offers of
`grpc.Server` what `grpc_server.py` uses.

Rules of this file:
- Unary methods are served natively; streams (reflection) go to a grpcio server behind a Unix
  socket, which `pygrpc-native` passes them to.
- Stopping means: answer all that comes until nothing comes any more, or the grace is over.
- No TLS; configurations that ask for it are refused before.
"""

from __future__ import annotations

import logging
import tempfile
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, cast

import grpc
from pygrpc_native import EVENT_CALL, NativeGrpcFront

BATCH = 64
"""Calls a thread takes at once; one that waits for keys holds up no more than these."""
IDLE_MILLIS = 100
MAX_STREAMS = 1024
UNREADABLE = b"\xff"
"""What a message above the limit is read as: no message at all, so that it is refused as one."""

_log = logging.getLogger(__name__)


class _AbortError(Exception):
    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(code, details)
        self.code = code
        self.details = details


@dataclass(slots=True)
class _Context:
    """What a handler may ask of a call; `remaining` counts from `received` (monotonic)."""

    remaining: float | None
    received: float

    def time_remaining(self) -> float | None:
        if self.remaining is None:
            return None
        return self.remaining - (time.monotonic() - self.received)

    def abort(self, code: grpc.StatusCode, details: str) -> NoReturn:
        raise _AbortError(code, details)


class NativeServer:
    """Serves registered methods on one plain-text address."""

    def __init__(self, threads: int, max_message_bytes: int) -> None:
        self._max_message_bytes = max_message_bytes
        self._unary: dict[str, grpc.RpcMethodHandler[object, object]] = {}
        self._streams: dict[str, dict[str, grpc.RpcMethodHandler[object, object]]] = {}
        self._handlers: dict[int, grpc.RpcMethodHandler[object, object]] = {}
        self._front: NativeGrpcFront | None = None
        self._stopping = threading.Event()
        self._workers = [
            threading.Thread(target=self._work, name=f"check {number}", daemon=True)
            for number in range(threads)
        ]
        self._folder = tempfile.TemporaryDirectory(prefix="deputize-")
        self._fallback = grpc.server(ThreadPoolExecutor(1))

    def add_registered_method_handlers(
        self, service: str, handlers: Mapping[str, grpc.RpcMethodHandler[object, object]]
    ) -> None:
        """Serves these methods of a service."""
        for name, handler in handlers.items():
            if handler.request_streaming or handler.response_streaming:
                self._streams.setdefault(service, {})[name] = handler
            else:
                self._unary[f"/{service}/{name}"] = handler

    def add_insecure_port(self, address: str) -> int:
        """Listens on `host:port` or `unix:/path`; gives the port.

        Raises:
            RuntimeError: the address cannot be used, or there is one already.
        """
        if self._front is not None:
            raise RuntimeError("the native transport listens on one address only")
        try:
            self._front = NativeGrpcFront(
                address, [], call_details=True, max_concurrent_streams=MAX_STREAMS, io_threads=1
            )
        except OSError as error:
            raise RuntimeError(f"{address}: {error}") from None
        return int(self._front.bound_port)

    def start(self) -> None:
        """Begins to serve."""
        front = self._listening
        for service, handlers in self._streams.items():
            self._fallback.add_registered_method_handlers(service, handlers)
        socket = Path(self._folder.name) / "streams.sock"
        self._fallback.add_insecure_port(f"unix:{socket}")
        self._fallback.start()
        front.set_fallback(str(socket))
        numbers = front.add_methods([(path, False) for path in self._unary])
        self._handlers = dict(zip(numbers, self._unary.values(), strict=True))
        front.start()
        for worker in self._workers:
            worker.start()

    def stop(self, grace: float | None) -> threading.Event:
        """Ends serving; the event is set at the end of the grace, or when nothing runs any more."""
        done = threading.Event()
        threading.Thread(target=self._stop, args=(grace or 0.0, done), daemon=True).start()
        return done

    @property
    def _listening(self) -> NativeGrpcFront:
        if self._front is None:
            raise RuntimeError("no address to listen on")
        return self._front

    def _stop(self, grace: float, done: threading.Event) -> None:
        deadline = time.monotonic() + grace
        self._stopping.set()
        for worker in self._workers:
            if worker.is_alive():
                worker.join(max(0.0, deadline - time.monotonic()))
        if self._front is not None:
            self._front.close()
        self._fallback.stop(None).wait()
        self._folder.cleanup()
        done.set()

    def _work(self) -> None:
        front = self._listening
        while (events := front.recv_batch_details(BATCH, IDLE_MILLIS)) is not None:
            if not events and self._stopping.is_set():
                return
            received = time.monotonic()
            for kind, call_id, method_id, payload, _key, details in events:
                if kind != EVENT_CALL or payload is None or details is None:
                    continue
                try:
                    context = _Context(details[2], received)
                    self._answer(front, call_id, self._handlers[method_id], payload, context)
                except Exception:
                    _log.exception("a call failed outside its handler")

    def _answer(
        self,
        front: NativeGrpcFront,
        call_id: int,
        handler: grpc.RpcMethodHandler[object, object],
        payload: bytes,
        context: _Context,
    ) -> None:
        if len(payload) > self._max_message_bytes:
            # An RPC error here would let the call in through a proxy that fails open.
            payload = UNREADABLE
        try:
            front.respond(call_id, _handle(handler, payload, context))
        except _AbortError as abort:
            _fail(front, call_id, abort.code, abort.details)
        except Exception:
            _log.exception("a handler failed")
            _fail(front, call_id, grpc.StatusCode.UNKNOWN, "the handler failed")


def _handle(
    handler: grpc.RpcMethodHandler[object, object], payload: bytes, context: _Context
) -> bytes:
    read, write = handler.request_deserializer, handler.response_serializer
    request = payload if read is None else read(payload)
    # Of the context, handlers here use what `_Context` has.
    response = handler.unary_unary(request, context)  # type: ignore[arg-type, misc]
    return cast("bytes", response) if write is None else write(response)


def _fail(front: NativeGrpcFront, call_id: int, code: grpc.StatusCode, details: str) -> None:
    front.fail(call_id, code.value[0], details)
