"""Objects in a namespace of a real API server, and the service that decides by them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.harness.api_server import ApiServer
from tests.harness.live import Live, running_live
from tests.harness.polling import wait_until
from tests.harness.service import DeputizeProcess

PLURALS = {"DelegationPolicy": "delegationpolicies", "IssuerProfile": "issuerprofiles"}
SECONDS = 30
_NUMBERS = itertools.count()


def objects_path(namespace: str, kind: str) -> str:
    """Where the API server has the objects of a kind."""
    return f"/apis/deputize.dev/v1alpha1/namespaces/{namespace}/{PLURALS[kind]}"


@dataclass(slots=True)
class Space:
    """A namespace of its own, and the objects in it."""

    server: ApiServer
    namespace: str = field(default_factory=lambda: f"team-{next(_NUMBERS)}")

    def __post_init__(self) -> None:
        self.server.create_namespace(self.namespace)

    def put(self, name: str, spec: object, kind: str = "DelegationPolicy") -> None:
        """Creates the object, or gives it another spec."""
        body = {
            "apiVersion": "deputize.dev/v1alpha1",
            "kind": kind,
            "metadata": {"name": name},
            "spec": spec,
        }
        answer = self.server.request("POST", self._path(kind), body)
        while answer.status_code == 409:
            # It is there, and its status may be written meanwhile.
            body["metadata"] = self.get(name, kind)["metadata"]
            answer = self.server.request("PUT", f"{self._path(kind)}/{name}", body)
        assert answer.is_success, answer.text

    def get(self, name: str, kind: str = "DelegationPolicy") -> dict[str, Any]:
        """The object as it is stored."""
        answer = self.server.request("GET", f"{self._path(kind)}/{name}")
        assert answer.is_success, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def delete(self, name: str, kind: str = "DelegationPolicy") -> None:
        """Deletes the object."""
        assert self.server.request("DELETE", f"{self._path(kind)}/{name}").is_success

    def condition(self, name: str, of: str, kind: str = "DelegationPolicy") -> dict[str, Any]:
        """A condition of the object; empty where it does not speak of what is stored now."""
        found = self.get(name, kind)
        for each in found.get("status", {}).get("conditions", []):
            if (each["type"], each["observedGeneration"]) == (of, found["metadata"]["generation"]):
                return dict(each)
        return {}

    def wait_for(self, name: str, of: str, status: str, kind: str = "DelegationPolicy") -> str:
        """Waits until the object's present generation has this condition; gives its message."""

        def is_so() -> dict[str, Any] | None:
            condition = self.condition(name, of, kind)
            return condition if condition.get("status") == status else None

        return str(wait_until(is_so, SECONDS, f"{of} {status} of {name}")["message"])

    def _path(self, kind: str) -> str:
        return objects_path(self.namespace, kind)


@contextmanager
def serving(
    folder: Path,
    space: Space,
    change: Callable[[dict[str, Any]], None] = lambda _spec: None,
    process: type[DeputizeProcess] = DeputizeProcess,
) -> Iterator[Live]:
    """A service whose only policies are the objects of the namespace."""

    def use_objects(spec: dict[str, Any]) -> None:
        del spec["policies"]
        spec["kubernetes"] = {"namespaces": [space.namespace]}
        change(spec)

    with running_live(folder, change=use_objects, process=process) as live:
        yield live
