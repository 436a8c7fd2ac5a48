"""Objects of a Kubernetes API server: listed, watched, and their status written.

Rules of this file:
- What `lightkube` knows is used for finding the server and for showing who we are: in a pod its
  service account, whose token it reads again when it is refused, else the file of `KUBECONFIG`.
  Where it could not connect, all of it is read again: an authority may have been replaced.
- Every answer has a bound in time and size. A watch that says nothing ends, and is begun again:
  a connection that is dead does not look like a cluster in which nothing happens.
- Lists are asked of the store itself, not of what a server remembers.

Source: Kubernetes, "API concepts" (lists in chunks, watches, bookmarks, 410 Gone).
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from deputize.adapters.kubernetes_answers import (
    MAX_EVENT_BYTES,
    KubernetesError,
    find_message,
    parse_answer,
    read_answer,
    read_lines,
)

if TYPE_CHECKING:
    import httpx2

_PREFIX = "apis/deputize.dev/v1alpha1"
GONE, CONFLICT, FORBIDDEN, NOT_FOUND = 410, 409, 403, 404
WATCH_SECONDS = 50
"""How long the server keeps a watch open; we wait a little longer for it to say so."""
SECONDS = 10.0
"""Longest time for anything else, but for a list."""
LIST_SECONDS = 60.0
MAX_OBJECTS = 10_000
MAX_LIST_BYTES = 32 * 1024 * 1024
"""Of one kind in one namespace; as Python keeps it, several times as much."""
_PAGE = 250

_FAULTS = (OSError, RuntimeError, ValueError)
"""Of the network, of a client that another thread closed, of a kubeconfig that became wrong."""

Object = Mapping[str, Any]


class Listing(NamedTuple):
    """All objects of a kind in a namespace, and the version after which to watch."""

    objects: list[Object]
    version: str


class _Page(NamedTuple):
    """A part of a list; `more` is by what the next is asked for, empty for the last."""

    objects: list[Object]
    version: str
    more: str


class Event(NamedTuple):
    """`ADDED`, `MODIFIED`, `DELETED`, or `BOOKMARK` of which only the version counts.

    `size` is in bytes.
    """

    kind: str
    value: Object
    size: int = 0

    @property
    def version(self) -> str:
        """After which to watch on."""
        return str(self.value.get("metadata", {}).get("resourceVersion", ""))


class KubernetesApi:
    """One API server, for all threads.

    Raises:
        ImportError: without the extra `deputize[kubernetes]`.
        ValueError: it is not said where the server is, or not in a way that can be used.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._http = _open_client()
        self._is_doubted = False

    def list(self, plural: str, namespace: str) -> Listing:
        """All objects of a kind in a namespace.

        Raises:
            KubernetesError: also for more than `MAX_OBJECTS`.
        """
        try:
            return self._list(plural, namespace)
        except KubernetesError as error:
            if error.code == NOT_FOUND:
                raise KubernetesError(f"{plural} are not defined", NOT_FOUND) from None
            raise

    def _list(self, plural: str, namespace: str) -> Listing:
        objects: list[Object] = []
        asked: dict[str, str] = {"limit": str(_PAGE)}
        left, until = MAX_LIST_BYTES, time.monotonic() + LIST_SECONDS
        while True:
            with self._ask("GET", _path(plural, namespace), params=asked) as answer:
                octets = read_answer(answer, left, until)
            left -= len(octets)
            page = _page_of(parse_answer(octets))
            objects += page.objects
            if len(objects) > MAX_OBJECTS:
                raise KubernetesError(f"more than {MAX_OBJECTS} objects")
            if not page.more:
                return Listing(objects, page.version)
            asked["continue"] = page.more

    def watch(self, plural: str, namespace: str, version: str) -> Iterator[Event]:
        """What happens after a version, until the server ends it.

        Raises:
            KubernetesError: with code `GONE` where the version is too old.
        """
        asked = {
            "watch": "true",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(WATCH_SECONDS),
        }
        quiet = WATCH_SECONDS + SECONDS
        with self._ask("GET", _path(plural, namespace), params=asked, quiet=quiet) as answer:
            for line in read_lines(answer, MAX_EVENT_BYTES, time.monotonic() + quiet):
                event = parse_answer(line)
                kind, value = str(event.get("type")), event.get("object")
                if not isinstance(value, dict):
                    raise KubernetesError("an event without an object")
                if kind == "ERROR":
                    raise KubernetesError(str(value.get("message")), int(value.get("code", 0)))
                yield Event(kind, value, len(line))

    def write_conditions(
        self, plural: str, namespace: str, name: str, version: str, conditions: object
    ) -> None:
        """Replaces the conditions of an object that still has this version.

        Raises:
            KubernetesError: with code `CONFLICT` where it has another, `FORBIDDEN`, `NOT_FOUND`.
        """
        body = {"metadata": {"resourceVersion": version}, "status": {"conditions": conditions}}
        path = f"{_path(plural, namespace)}/{name}/status"
        kind = {"content-type": "application/merge-patch+json"}
        with self._ask("PATCH", path, content=json.dumps(body), headers=kind) as answer:
            read_answer(answer, MAX_EVENT_BYTES, time.monotonic() + SECONDS)

    def close(self) -> None:
        """Ends every watch."""
        with self._lock:
            self._http.close()

    def _client(self) -> httpx2.Client:
        with self._lock:
            if self._is_doubted and not self._http.is_closed:
                fresh = _open_client()
                self._http.close()
                self._http, self._is_doubted = fresh, False
            return self._http

    @contextmanager
    def _ask(
        self,
        method: str,
        path: str,
        *,
        quiet: float = 0.0,
        **parts: Any,  # noqa: ANN401
    ) -> Iterator[httpx2.Response]:
        import httpx2  # noqa: PLC0415 - only there with the extra
        from lightkube.core.exceptions import ConfigError  # noqa: PLC0415 - likewise

        timeout = httpx2.Timeout(SECONDS, read=quiet or SECONDS)
        try:
            with self._client().stream(method, path, timeout=timeout, **parts) as answer:
                if not answer.is_success:
                    octets = read_answer(answer, MAX_EVENT_BYTES, time.monotonic() + SECONDS)
                    message = find_message(octets) or answer.reason_phrase
                    raise KubernetesError(message, answer.status_code)
                yield answer
        except (httpx2.HTTPError, httpx2.StreamError, ConfigError, *_FAULTS) as error:
            self._is_doubted |= isinstance(error, httpx2.ConnectError)
            raise KubernetesError(f"{type(error).__name__}: {error}") from None


def _open_client() -> httpx2.Client:
    try:
        from lightkube.config.client_adapter import (  # noqa: PLC0415 - an extra
            Client,
            ConnectionParams,
        )
        from lightkube.config.kubeconfig import KubeConfig  # noqa: PLC0415 - likewise
        from lightkube.core.exceptions import ConfigError  # noqa: PLC0415 - likewise
    except ImportError:
        raise ImportError(
            "`kubernetes` needs the extra: pip install 'deputize[kubernetes]'"
        ) from None
    try:
        config = KubeConfig.from_env().get()
        if config is None or config.user is None:
            raise ConfigError("the kubeconfig names no user")
        # No proxy of the environment stands between us and what decides.
        return Client(config, ConnectionParams(trust_env=False))
    except ConfigError as error:
        raise ValueError(f"Kubernetes: {error}") from None
    except Exception as error:  # noqa: BLE001 - whatever a wrong file makes of the library
        # Not its text: it may quote a line with a token.
        raise ValueError(f"Kubernetes: the kubeconfig: {type(error).__name__}") from None


def _page_of(answer: Mapping[str, Any]) -> _Page:
    """What is no whole page must not look as if everything had been deleted.

    Raises:
        KubernetesError: it is none.
    """
    metadata, items = answer.get("metadata"), answer.get("items")
    version = metadata.get("resourceVersion") if isinstance(metadata, dict) else None
    if not isinstance(metadata, dict) or not isinstance(items, list) or not version:
        raise KubernetesError("an answer that is no list")
    more = str(metadata.get("continue") or "")
    if metadata.get("remainingItemCount") and not more:
        raise KubernetesError("a list that ends too early")
    return _Page(items, str(version), more)


def _path(plural: str, namespace: str) -> str:
    return f"{_PREFIX}/namespaces/{namespace}/{plural}"
