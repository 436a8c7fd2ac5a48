"""All objects of one kind in one namespace, kept as they are on the API server.

Rules of this file:
- What was seen last stays while the server is away; decisions never wait for it.
- A watch is resumed where it ended. After any failure everything is listed again: nothing that
  happened meanwhile is missed, deletions neither.
- So it is after an event that cannot follow what was seen: what is stored counts, not its order.
"""

from __future__ import annotations

import logging
import math
import random
import threading
import time
from collections.abc import Callable, Mapping

from deputize.adapters.kubernetes_answers import KubernetesError
from deputize.adapters.kubernetes_api import (
    GONE,
    MAX_LIST_BYTES,
    MAX_OBJECTS,
    Event,
    KubernetesApi,
    Object,
)

RETRY_SECONDS = 0.5
"""First pause after a failure; it doubles up to the longest."""
LONGEST_RETRY_SECONDS = 10.0
LEAST_PAUSE_SECONDS = 0.1
"""Between a watch that ended and the next."""
ADDED, DELETED = "ADDED", "DELETED"
_CHANGES = (ADDED, "MODIFIED", DELETED)
_KEPT = ("namespace", "name", "uid", "generation", "resourceVersion", "creationTimestamp")

_log = logging.getLogger(__name__)


def watch_name(plural: str, namespace: str) -> str:
    """What logs, `/readyz` and metrics call the watch over one kind in one namespace."""
    return f"{namespace}/{plural}"


class ObjectWatch:
    """One kind in one namespace.

    `objects` are by name, None until all of them were listed once; each change gives a new
    mapping. `error` is why the last try failed, empty when it did not.
    """

    def __init__(
        self,
        api: KubernetesApi,
        plural: str,
        namespace: str,
        *,
        on_change: Callable[[], None],
        on_fetch: Callable[[bool], None],
    ) -> None:
        self.name = watch_name(plural, namespace)
        self.objects: Mapping[str, Object] | None = None
        self.error = ""
        self._api = api
        self._place = plural, namespace
        self._on_change = on_change
        self._on_fetch = on_fetch
        self._heard: float | None = None
        self._grown = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)

    def start(self) -> None:
        """Begins to list and watch."""
        self._thread.start()

    def stop(self) -> None:
        """Ends at the next word of the server, or when its connection is closed."""
        self._stopping.set()

    def age(self) -> float:
        """Seconds since the server last said how it stands; NaN before the first time."""
        return math.nan if self._heard is None else max(0.0, time.monotonic() - self._heard)

    def _run(self) -> None:
        version, failures = "", 0
        while not self._stopping.is_set():
            try:
                version = self._watch(version or self._list())
                failures = 0
                # A server that ends each watch at once is not asked without end.
                self._stopping.wait(LEAST_PAUSE_SECONDS)
            except KubernetesError as error:
                version, failures = "", failures + 1
                if error.code != GONE or failures > 1:
                    self._failed(str(error))
            except Exception as error:  # noqa: BLE001 - the thread must live, whatever it is
                if self._stopping.is_set():
                    return
                _log.exception("%s", self.name)
                version, failures = "", failures + 1
                self._failed(type(error).__name__)
            if failures:
                pause = min(RETRY_SECONDS * 2.0 ** min(failures - 1, 10), LONGEST_RETRY_SECONDS)
                # Replicas that lost the server together must not come back together.
                self._stopping.wait(pause * random.uniform(0.5, 1.0))  # noqa: S311 - no secret

    def _list(self) -> str:
        listing = self._api.list(*self._place)
        objects = {self._name(each): _kept_of(each) for each in listing.objects}
        if len(objects) < len(listing.objects):
            raise KubernetesError("a list with an object twice")
        self._grown = 0
        self._publish(objects)
        self._succeeded()
        return listing.version

    def _watch(self, version: str) -> str:
        """Follows what happens; gives the version after which to go on."""
        for event in self._api.watch(*self._place, version):
            if self._stopping.is_set():
                break
            version = event.version or version
            self._heard = time.monotonic()
            if event.kind in _CHANGES:
                self._publish(self._after(event))
            self._grown += event.size
            if self._grown > MAX_LIST_BYTES:
                raise KubernetesError("so much that it is to be listed again", GONE)
        self._succeeded()
        return version

    def _after(self, event: Event) -> Mapping[str, Object]:
        """All objects once this has happened."""
        objects, name = dict(self.objects or {}), self._name(event.value)
        kept = objects.pop(name, None)
        if kept is not None and _is_older(event, kept):
            raise KubernetesError(f"an event of before about {name}")
        if event.kind != DELETED:
            objects[name] = _kept_of(event.value)
        if len(objects) > MAX_OBJECTS:
            raise KubernetesError(f"more than {MAX_OBJECTS} objects")
        return objects

    def _name(self, value: Object) -> str:
        """The name of what is an object of this kind's namespace."""
        metadata = value.get("metadata")
        found = metadata if isinstance(metadata, dict) else {}
        texts = [found.get(key) for key in ("name", "uid", "resourceVersion")]
        is_whole = all(isinstance(text, str) and text for text in texts)
        is_ours = found.get("namespace") == self._place[1]
        if not is_whole or not is_ours or not isinstance(found.get("generation"), int):
            raise KubernetesError("what is no object of this namespace")
        return str(texts[0])

    def _publish(self, objects: Mapping[str, Object]) -> None:
        self.objects = objects
        self._on_change()

    def _succeeded(self) -> None:
        if self.error:
            _log.info("%s: the API server is back", self.name)
        self.error = ""
        self._heard = time.monotonic()
        self._on_fetch(True)  # noqa: FBT003 - a callback has no keywords

    def _failed(self, error: str) -> None:
        if self._stopping.is_set():
            return
        if error != self.error:
            _log.warning("%s: %s", self.name, error)
        self.error = error
        self._on_fetch(False)  # noqa: FBT003 - likewise


def _kept_of(value: Object) -> Object:
    """The object without what others noted in its metadata, which may be larger than it is."""
    kept = {name: each for name, each in value["metadata"].items() if name in _KEPT}
    return {**value, "metadata": kept}


def _is_older(event: Event, kept: Object) -> bool:
    """Whether this was before what is kept: about an object that was there before it, or a spec."""
    now, then = event.value["metadata"], kept["metadata"]
    if now["uid"] != then["uid"]:
        return event.kind != ADDED
    return bool(now["generation"] < then["generation"])
