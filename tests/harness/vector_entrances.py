"""The ways a request can come to a decision, each in the world of its vector.

- `decide_vector`: the core alone.
- `running_servers`: the service's own checker behind its own gRPC port, over either transport.
- `explain_vector`: the command line.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal, Protocol

import grpc
from google.protobuf import json_format
from typer.testing import CliRunner

from deputize._proto.envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse
from deputize.adapters.envoy_request import read_check
from deputize.adapters.envoy_response import Answers
from deputize.adapters.replay_store import MemoryReplayStore
from deputize.adapters.telemetry import Telemetry
from deputize.cli.main import app
from deputize.cli.offline import read_sources
from deputize.config.loader import Loaded, load
from deputize.core.audit_form import AuditEvent
from deputize.core.decide import decide
from deputize.core.snapshot import Snapshot
from deputize.core.verdict import Decision, Wanted
from deputize.server.check import Checker, Limits
from deputize.server.grpc_server import SERVICE, GrpcServer
from deputize.server.state import Fetched, State, TokenMemory, build_snapshot, upstream_rules
from tests.harness.loopback import HOST
from tests.harness.vector_files import FOLDER, READ_AT, Vector, world_names
from tests.harness.world import no_recall

_PATIENCE_SECONDS = 30.0

Transport = Literal["grpcio", "native"]


def encode_request(vector: Vector) -> bytes:
    """The request as a proxy sends it; what deputize never reads is left out."""
    message = CheckRequest()
    json_format.ParseDict(dict(vector.request), message, ignore_unknown_fields=True)
    return message.SerializeToString()


def decide_vector(vector: Vector) -> Decision:
    """The decision of the core."""
    request = read_check(encode_request(vector), vector.id, None)
    return decide(request, _snapshot(vector.world), vector.now, no_recall)


@dataclass(frozen=True, slots=True)
class Explained:
    """What the command printed, and its exit code."""

    exit_code: int
    output: dict[str, object]


def explain_vector(vector: Vector) -> Explained:
    """The answer of `deputize explain`."""
    arguments = [
        *("explain", "--config", str(_config_file(vector.world))),
        *("--request", "-", "--at", str(vector.now), "--json"),
    ]
    result = CliRunner().invoke(app, arguments, input=json.dumps(vector.request))
    return Explained(result.exit_code, json.loads(result.stdout))


@dataclass(slots=True)
class Clock:
    """A clock that shows what it was set to."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass(slots=True)
class AuditList:
    """An audit log that keeps the events."""

    healthy: bool = True
    events: list[AuditEvent] = field(default_factory=list)

    def offer(self, event: AuditEvent) -> bool:
        self.events.append(event)
        return True


class NoRefetch:
    """Sources that are never fetched again: a vector's world does not change."""

    def refetch(self, wanted: Wanted, timeout: float) -> None:
        """Does nothing."""

    def introspection(self, issuer: str) -> None:
        """No issuer is asked."""


class Call(Protocol):
    """A gRPC method over bytes."""

    def __call__(self, request: bytes, timeout: float) -> bytes: ...


class VectorServer:
    """A running server of one world, asked over the network at the time of the vector."""

    def __init__(self, clock: Clock, audit: AuditList, call: Call) -> None:
        self._clock = clock
        self._audit = audit
        self._call = call

    def ask(self, vector: Vector) -> tuple[CheckResponse, list[AuditEvent]]:
        """The answer, and the audit events this call caused."""
        self._clock.now = vector.now
        self._audit.events.clear()
        octets = self._call(encode_request(vector), timeout=_PATIENCE_SECONDS)
        return CheckResponse.FromString(octets), list(self._audit.events)


@contextmanager
def running_servers(transport: Transport) -> Iterator[Mapping[str, VectorServer]]:
    """A server for each world by its name, until the end of the block."""
    with ExitStack() as stack:
        yield {name: stack.enter_context(_running(name, transport)) for name in world_names()}


@contextmanager
def _running(world: str, transport: Transport) -> Iterator[VectorServer]:
    loaded = _loaded(world)
    clock, audit = Clock(), AuditList()
    checker = Checker(
        snapshots=_state(world),
        fallback=Answers(upstream_rules(loaded.service)),
        sources=NoRefetch(),
        tokens=TokenMemory(loaded.service.token.cache_entries),
        replay_store=MemoryReplayStore(loaded.service.replay.entries),
        audit=audit,
        metrics=Telemetry(transport),
        limits=Limits(_PATIENCE_SECONDS, audit_required=True),
        clock=clock,
    )
    settings = loaded.service.server.model_copy(update={"transport": transport})
    server = GrpcServer(settings, checker)
    server.start()
    try:
        with grpc.insecure_channel(f"{HOST}:{server.ports[0]}") as channel:
            yield VectorServer(clock, audit, channel.unary_unary(f"/{SERVICE}/Check"))
    finally:
        server.stop(0)


def _state(world: str) -> State:
    state, fetched = State(None), _fetched(world)
    state.use(_loaded(world), fetched.revocations)
    for issuer, ring in fetched.key_rings.items():
        state.publish_ring(issuer, ring)
    for (issuer, _uri), status_list in fetched.status_lists.items():
        state.publish_status_list(issuer, status_list)
    for domain, bundle in fetched.bundles.items():
        state.publish_bundle(domain, bundle)
    return state


def _config_file(world: str) -> Path:
    return FOLDER / world / "config.yaml"


@cache
def _loaded(world: str) -> Loaded:
    return load(_config_file(world))


@cache
def _fetched(world: str) -> Fetched:
    return read_sources(_loaded(world), [], READ_AT)


@cache
def _snapshot(world: str) -> Snapshot:
    loaded = _loaded(world)
    return build_snapshot(loaded.compiled, loaded.digest, _fetched(world), None)
