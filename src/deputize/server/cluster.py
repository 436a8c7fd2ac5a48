"""Policies and issuer profiles of a Kubernetes cluster, and how it stands with them."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping

from deputize.adapters.kubernetes_api import KubernetesApi, Object
from deputize.adapters.kubernetes_watch import ObjectWatch, watch_name
from deputize.adapters.telemetry import SourceKind, Telemetry
from deputize.config.objects import POLICY, PROFILE, ObjectKey, StoredObject, parse_stored
from deputize.config.settling import Objects, Settled, tell_refusal
from deputize.server.object_status import Condition, outcomes
from deputize.server.sources import SourceReport
from deputize.server.status_writer import StatusWriter

MAX_TOLD = 50
"""Objects of which a report tells; it is asked for several times a second."""
PLURALS = {POLICY: "delegationpolicies", PROFILE: "issuerprofiles"}


class Cluster:
    """Objects of the configured namespaces.

    Raises:
        ImportError: without the extra `deputize[kubernetes]`.
        ValueError: it is not said where the API server is.
    """

    def __init__(self, namespaces: Iterable[str], telemetry: Telemetry) -> None:
        self._api = KubernetesApi()
        self._on_change: Callable[[], None] = lambda: None
        self._listed: list[Mapping[str, Object]] = []
        self._seen: Objects = {}
        self._current: Objects | None = None
        self._settled: Settled | None = None
        self._is_used = False
        self._watches = {
            (kind, namespace): self._watch(plural, namespace, telemetry)
            for namespace in namespaces
            for kind, plural in PLURALS.items()
        }
        self._writer = StatusWriter(lambda: self._seen, self._write)

    def start(self, on_change: Callable[[], None]) -> None:
        """Lists and watches; `on_change` is called when `objects` may give something else."""
        self._on_change = on_change
        self._writer.start()
        for watch in self._watches.values():
            watch.start()

    def stop(self) -> None:
        """Ends all of it."""
        for watch in self._watches.values():
            watch.stop()
        self._writer.stop()
        self._api.close()

    def objects(self) -> Objects | None:
        """What is stored, None until all of it is known.

        It is the same value until a generation differs.
        """
        listed: list[Mapping[str, Object]] = []
        for watch in self._watches.values():
            if watch.objects is None:
                return None
            listed.append(watch.objects)
        if len(listed) == len(self._listed) and all(map(operator.is_, listed, self._listed)):
            return self._current
        seen = {
            stored.key: stored
            for (kind, _namespace), objects in zip(self._watches, listed, strict=True)
            for stored in (parse_stored(kind, value) for value in objects.values())
        }
        self._listed, self._seen = listed, seen
        if self._current is None or not _are_same(self._current, seen):
            self._current = seen
        self._writer.poke()
        return self._current

    def tell(self, settled: Settled, stored: Objects, *, is_used: bool) -> None:
        """Writes into the objects what became of them.

        As long as none of it is used, only what is wrong.
        """
        self._settled, self._is_used = settled, is_used
        said = outcomes(settled, stored)
        self._writer.tell({key: each for key, each in said.items() if is_used or each.problems})

    def report(self) -> SourceReport:
        """What keeps checks away, and what else is wrong."""
        report = SourceReport([], [])
        for watch in self._watches.values():
            if watch.objects is None:
                report.waiting_for.append(f"{watch.name}: {watch.error or 'not listed yet'}")
            elif watch.error:
                report.warnings.append(f"{watch.name}: {watch.error}; what was seen last is in use")
        settled = self._settled
        if settled is not None:
            missed = [] if self._is_used else [*settled.missing]
            others = sorted(settled.refused.keys() - missed)
            for keys, told in ((missed, report.waiting_for), (others, report.warnings)):
                told.extend(tell_refusal(key, settled.refused[key]) for key in keys[:MAX_TOLD])
                if len(keys) > MAX_TOLD:
                    told.append(f"{len(keys) - MAX_TOLD} more objects are not taken")
            for key in settled.lingering[:MAX_TOLD]:
                report.warnings.append(f"{key} is gone, but others still need it")
        if self._writer.problem:
            report.warnings.append(self._writer.problem)
        return report

    def _watch(self, plural: str, namespace: str, telemetry: Telemetry) -> ObjectWatch:
        name = watch_name(plural, namespace)
        watch = ObjectWatch(
            self._api,
            plural,
            namespace,
            on_change=self._changed,
            on_fetch=telemetry.fetch_counter(SourceKind.KUBERNETES, name),
        )
        telemetry.watch_age(SourceKind.KUBERNETES, name, watch.age)
        return watch

    def _changed(self) -> None:
        self._on_change()

    def _write(self, stored: StoredObject, conditions: list[Condition]) -> None:
        key = stored.key
        plural = PLURALS[key.kind]
        self._api.write_conditions(plural, key.namespace, key.name, stored.version, conditions)


def _are_same(
    before: Mapping[ObjectKey, StoredObject], now: Mapping[ObjectKey, StoredObject]
) -> bool:
    return before.keys() == now.keys() and all(
        each.is_same(now[key]) for key, each in before.items()
    )
