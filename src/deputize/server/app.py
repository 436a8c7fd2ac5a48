"""The running service: everything built once, wired together, reloaded and drained."""

from __future__ import annotations

import logging
import signal
import threading
import time
from pathlib import Path

from deputize.adapters.audit_log import AuditLog, FileSink, Sink, StdoutSink
from deputize.adapters.envoy_response import Answers
from deputize.adapters.telemetry import Telemetry
from deputize.config.file_set import read_files
from deputize.config.loader import Loaded
from deputize.config.remarks import find_serving_remarks
from deputize.config.schema import Audit, ServiceSpec
from deputize.config.settling import begin
from deputize.server.check import Checker, Limits
from deputize.server.cluster import Cluster
from deputize.server.grpc_server import GrpcServer
from deputize.server.http_server import HttpServer, Readiness
from deputize.server.reload import Reloader
from deputize.server.replay import open_replay_store
from deputize.server.sources import Sources
from deputize.server.state import State, TokenMemory, allowed_proxies, upstream_rules

AUDIT_CLOSE_SECONDS = 5.0
POLL_SECONDS = 0.2

_log = logging.getLogger(__name__)


class App:
    """The service of one configuration file.

    Raises:
        ConfigError: the configuration is wrong.
        OSError, RuntimeError, ValueError: a port, file or certificate cannot be used.
        ImportError: transport `native` without the extra `deputize[native]`.
    """

    def __init__(self, config_file: Path) -> None:
        files = read_files(config_file)
        first = begin(files)
        service = files.service
        self._first = service
        self._restart_notes: tuple[str, ...] = ()
        self._draining = threading.Event()
        self._stopping = threading.Event()
        self._state = State(allowed_proxies(service))
        self.telemetry = Telemetry(service.server.transport)
        self._cluster = _open_cluster(service, self.telemetry)
        self._sources = Sources(self._state, self.telemetry)
        self._replay_store = open_replay_store(service.replay, self.telemetry)
        self._audit = _open_audit(service.audit, self.telemetry)
        checker = Checker(
            snapshots=self._state,
            fallback=Answers(upstream_rules(service)),
            sources=self._sources,
            replay_store=self._replay_store,
            tokens=TokenMemory(service.token.cache_entries),
            audit=self._audit,
            metrics=self.telemetry,
            limits=Limits(
                service.server.decision_timeout_millis / 1000,
                audit_required=service.audit.on_failure == "deny",
                audit_claims=tuple(service.audit.claims),
            ),
            clock=time.time,
        )
        self.grpc = GrpcServer(service.server, checker)
        self.http = HttpServer(service.server.http.listen, self.readiness, self.telemetry.registry)
        self._reloader = Reloader(
            config_file,
            files,
            first,
            on_loaded=self._use,
            on_failed=lambda: self.telemetry.count_reload(loaded_at=None, rules=0),
            on_changed=self._sources.poke_files,
            cluster=self._cluster,
        )
        self.telemetry.watch_config_problems(lambda: self._reloader.problem_count)

    def start(self) -> None:
        """Begins to serve; `readiness` tells when checks should come."""
        self.grpc.start()
        self.http.start()
        self._reloader.start()
        if self._cluster is not None:
            self._cluster.start(self._reloader.wake)

    def run(self) -> None:
        """Serves until SIGTERM or SIGINT, then drains."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stopping.set())
        self.start()
        listen = ", ".join(self._first.server.grpc.listen)
        _log.info("serving checks on %s, health and metrics on port %d", listen, self.http.port)
        while not self._stopping.is_set():
            self.grpc.set_serving(serving=not self.readiness().waiting_for)
            self._stopping.wait(POLL_SECONDS)
        self.drain()

    def drain(self) -> None:
        """Turns proxies away, goes on serving for the delay, lets running checks finish."""
        drain = self._first.server.drain
        self._draining.set()
        self.grpc.set_serving(serving=False)
        _log.info("draining for %d s", drain.delay_seconds)
        time.sleep(drain.delay_seconds)
        self.grpc.stop(drain.grace_seconds)
        self._reloader.stop()
        if self._cluster is not None:
            self._cluster.stop()
        self._sources.stop()
        self._replay_store.stop()
        if not self._audit.close(AUDIT_CLOSE_SECONDS):
            _log.error("%d audit events could not be written", self._audit.length)
        self.http.stop()

    def readiness(self) -> Readiness:
        """What keeps checks away, and what else is wrong."""
        waiting: list[str] = []
        warnings = [str(problem) for problem in self._reloader.problems]
        warnings += self._restart_notes
        sources = self._sources.report(time.time())
        waiting += sources.waiting_for
        warnings += sources.warnings
        if self._replay_store.problem:
            warnings.append(f"replay store: {self._replay_store.problem}")
        active = self._state.current
        if self._cluster is not None:
            objects = self._cluster.report()
            waiting += objects.waiting_for
            warnings += objects.warnings
        unfit = [str(problem) for problem in self._reloader.unfit]
        if active is None:
            waiting += unfit or (["policies"] if not waiting else [])
        else:
            warnings += unfit
        if active is not None and active.snapshot.policies.is_observed:
            warnings.append("policyMode: observe, so policies refuse nothing")
        if not self._audit.healthy:
            warnings.append("audit log: the sink fails or the queue is full")
        if self._draining.is_set():
            waiting.append("draining")
        digest = active.snapshot.digest if active else ""
        return Readiness(tuple(waiting), tuple(warnings), digest)

    def _use(self, loaded: Loaded) -> None:
        self._restart_notes = tuple(_needs_restart(self._first, loaded.service))
        self._sources.use(loaded)
        rules = len(loaded.compiled.policies.rules)
        self.telemetry.count_reload(loaded_at=time.time(), rules=rules)
        _log.info("using configuration %s with %d rules", loaded.digest[:12], rules)
        for remark in find_serving_remarks(loaded):
            _log.warning("%s", remark)


def _needs_restart(first: ServiceSpec, now: ServiceSpec) -> list[str]:
    """Settings that differ from those the process was started with and cannot be changed."""
    fixed = {
        "spec.server": first.server != now.server,
        "spec.audit": first.audit != now.audit,
        "spec.kubernetes": first.kubernetes != now.kubernetes,
        "spec.replay": first.replay != now.replay,
        "spec.token.cacheEntries": first.token.cache_entries != now.token.cache_entries,
    }
    return [
        f"{name} changed: takes effect at the next start"
        for name, is_new in fixed.items()
        if is_new
    ]


def _open_cluster(service: ServiceSpec, telemetry: Telemetry) -> Cluster | None:
    settings = service.kubernetes
    return None if settings is None else Cluster(settings.namespaces, telemetry)


def _open_audit(settings: Audit, telemetry: Telemetry) -> AuditLog:
    sink: Sink = StdoutSink() if settings.file is None else FileSink(Path(settings.file))
    log = AuditLog(
        sink,
        settings.queue_size,
        on_written=telemetry.count_audit_written,
        on_dropped=telemetry.count_audit_dropped,
        on_failure=telemetry.count_audit_failure,
    )
    telemetry.watch_audit_queue(lambda: log.length)
    return log
