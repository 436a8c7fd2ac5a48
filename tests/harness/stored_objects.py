"""Policies and profiles as an API server stores them, for tests without one."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from deputize.config.file_set import FileSet, read_files
from deputize.config.objects import POLICY as POLICY_KIND
from deputize.config.objects import PROFILE, ObjectKey, StoredObject, parse_stored
from deputize.config.settling import Objects
from tests.harness.config_files import POLICY, SERVICE, changed, write_world

NAMESPACE = "team"
WITH_OBJECTS = changed(
    SERVICE, "  policies: [policies]\n", f"  kubernetes: {{namespaces: [{NAMESPACE}]}}\n"
)
SPEC: dict[str, Any] = yaml.safe_load(POLICY)["spec"]
RULE: dict[str, Any] = SPEC["rules"][0]
FORBID = {key: value for key, value in RULE.items() if key != "scopes"} | {"effect": "forbid"}
BROKEN_PATH = "/v1/{id"
_UIDS = itertools.count()


def spec_of(**rule: object) -> dict[str, Any]:
    """A policy with other keys in its only rule."""
    return {"rules": [copy.deepcopy(RULE) | rule]}


BROKEN = spec_of(paths=[BROKEN_PATH])
_MCP = {"hosts": ["orders.example"], "paths": ["/mcp"], "protocol": "mcp"}
SPEAKS = {"resources": [_MCP]}
SPEAKS_OTHERWISE = {"resources": [_MCP | {"protocol": "a2a"}]}
CALLS = spec_of(paths=["/mcp"], mcp={"methods": ["*"]})
"""It needs what `SPEAKS` says of the resource; `SPEAKS_OTHERWISE` disagrees with that."""


def stored(
    name: str,
    spec: Any,  # noqa: ANN401 - also what is none
    *,
    kind: str = POLICY_KIND,
    generation: int = 1,
    uid: str = "",
    created: str = "2026-01-01T00:00:00Z",
    conditions: tuple[Mapping[str, Any], ...] = (),
) -> StoredObject:
    """An object; of its own unless a `uid` is given."""
    return parse_stored(
        kind,
        {
            "apiVersion": "deputize.dev/v1alpha1",
            "kind": kind,
            "metadata": {
                "namespace": NAMESPACE,
                "name": name,
                "uid": uid or f"uid-{next(_UIDS)}",
                "generation": generation,
                "resourceVersion": str(next(_UIDS)),
                "creationTimestamp": created,
            },
            "spec": spec,
            "status": {"conditions": [dict(each) for each in conditions]},
        },
    )


def by_key(*objects: StoredObject) -> Objects:
    """All objects there are."""
    return {each.key: each for each in objects}


def policy_key(name: str) -> ObjectKey:
    return ObjectKey(POLICY_KIND, NAMESPACE, name)


def profile_key(name: str) -> ObjectKey:
    return ObjectKey(PROFILE, NAMESPACE, name)


def files_in(folder: Path, service: str = WITH_OBJECTS) -> FileSet:
    """The files of a service whose policies are objects."""
    return read_files(write_world(folder, service=service))
