"""The health and reflection services, so that neither can hold up a check.

Rules of this file:
- Health answers `Check` only. A `Watch` stream would keep a thread for as long as its client
  likes; clients that find it unimplemented go on without (gRPC A17).
- Reflection streams have a thread of their own; who holds it open holds up reflection alone.

Source: `grpc/health/v1/health.proto`, asked by Envoy with or without the service's name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import grpc
from grpc_health.v1 import health, health_pb2
from grpc_reflection.v1alpha import reflection, reflection_pb2

HEALTH_SERVICE = health.SERVICE_NAME
REFLECTION_SERVICE = reflection.SERVICE_NAME


class Health:
    """Says whether checks should come here, under the given names."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = frozenset(names)
        self.serving = False

    def register(self, server: grpc.Server) -> None:
        """Serves `grpc.health.v1.Health/Check`."""
        handler = grpc.unary_unary_rpc_method_handler(
            self._check,
            request_deserializer=health_pb2.HealthCheckRequest.FromString,
            response_serializer=health_pb2.HealthCheckResponse.SerializeToString,
        )
        server.add_registered_method_handlers(HEALTH_SERVICE, {"Check": handler})

    def _check(
        self, request: health_pb2.HealthCheckRequest, context: grpc.ServicerContext
    ) -> health_pb2.HealthCheckResponse:
        if request.service not in self._names:
            context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
        states = health_pb2.HealthCheckResponse
        return states(status=states.SERVING if self.serving else states.NOT_SERVING)


def register_reflection(server: grpc.Server, names: Sequence[str]) -> None:
    """Serves `grpc.reflection.v1alpha.ServerReflection` for these services."""
    servicer = reflection.ReflectionServicer((*names, REFLECTION_SERVICE))

    def info(
        requests: Iterator[reflection_pb2.ServerReflectionRequest], context: grpc.ServicerContext
    ) -> Iterator[reflection_pb2.ServerReflectionResponse]:
        yield from servicer.ServerReflectionInfo(requests, context)

    # How grpcio gives a method threads of its own: `grpc/_server.py`,
    # _select_thread_pool_for_behavior.
    pool = ThreadPoolExecutor(1, thread_name_prefix="reflection")
    info.experimental_thread_pool = pool  # type: ignore[attr-defined] # an attribute by design
    handler = grpc.stream_stream_rpc_method_handler(
        info,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    server.add_registered_method_handlers(REFLECTION_SERVICE, {"ServerReflectionInfo": handler})
