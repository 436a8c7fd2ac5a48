"""Policies and issuer profiles that are Kubernetes objects: what is stored, and what is good of it.

Rules of this file:
- An object is checked by the same models as a file, under its own name.
- The name of a policy or profile is `<namespace>.<name>`: namespaces have no dots, and neither have
  names here, so no two objects, and no object and file, share one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from deputize.config.issuer_schema import IssuerProfileFile, ProfileSpec
from deputize.config.object_bounds import check_depth, check_size
from deputize.config.policy_schema import DelegationPolicy
from deputize.config.strict_yaml import Document, Value
from deputize.config.validation import validate

ACCEPTED = "Accepted"
POLICY, PROFILE = "DelegationPolicy", "IssuerProfile"
API_VERSION = "deputize.dev/v1alpha1"
_OF_THE_SERVER = ("apiVersion", "kind", "metadata", "status")


class ObjectKey(NamedTuple):
    """Which object it is; as text as problems name it."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"

    @property
    def qualified(self) -> str:
        """Its name among all policies or profiles."""
        return f"{self.namespace}.{self.name}"


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One generation of an object, as the API server has it.

    `version` changes with each write, `generation` only with the spec. `created` is RFC 3339;
    `conditions` are those of its status.
    """

    key: ObjectKey
    uid: str
    generation: int
    version: str
    created: str
    value: Mapping[str, Value]
    conditions: tuple[Mapping[str, Value], ...]

    @property
    def was_accepted(self) -> bool:
        """Whether a service has said that this very generation is good."""
        return any(
            condition.get("type") == ACCEPTED
            and condition.get("status") == "True"
            and condition.get("observedGeneration") == self.generation
            for condition in self.conditions
        )

    def is_same(self, other: StoredObject) -> bool:
        """Whether the two say the same: the same generation of the same object."""
        return (self.uid, self.generation) == (other.uid, other.generation)


@dataclass(frozen=True, slots=True)
class GoodObject:
    """An object that is good alone: a policy or a profile, with the document for messages."""

    stored: StoredObject
    document: Document
    policy: DelegationPolicy | None = None
    profile: ProfileSpec | None = None

    @property
    def key(self) -> ObjectKey:
        """Which object it is."""
        return self.stored.key

    @property
    def content(self) -> bytes:
        """What of it the digest of a configuration covers, the same wherever it is computed."""
        part = self.policy.spec if self.policy is not None else self.profile
        text = part.model_dump_json(exclude_unset=True) if part is not None else ""
        return json.dumps([*self.key, text]).encode()


def parse_stored(kind: str, value: Mapping[str, Value]) -> StoredObject:
    """Reads an object as the API server gives it.

    Raises:
        ValueError: it has not what every object has.
    """
    match value.get("metadata"):
        case {
            "namespace": str(namespace),
            "name": str(name),
            "uid": str(uid),
            "generation": int(generation),
            "resourceVersion": str(version),
            **others,
        } if namespace and name and uid and version:
            key = ObjectKey(kind, namespace, name)
            created = str(others.get("creationTimestamp"))
        case _:
            raise ValueError("an object without namespace, name, uid, version or generation")
    return StoredObject(key, uid, generation, version, created, value, _conditions(value))


def _conditions(value: Mapping[str, Value]) -> tuple[Mapping[str, Value], ...]:
    match value.get("status"):
        case {"conditions": list(conditions)}:
            return tuple(each for each in conditions if isinstance(each, dict))
    return ()


def read_object(stored: StoredObject) -> GoodObject:
    """Checks an object alone.

    Raises:
        ConfigError: with every problem of it.
    """
    key = stored.key
    value: dict[str, Value] = {
        "apiVersion": API_VERSION,
        "kind": key.kind,
        "metadata": {"name": key.name},
    }
    # Whatever else stands there was meant to say something, most likely in the spec.
    value |= {name: stored.value[name] for name in stored.value if name not in _OF_THE_SERVER}
    document = Document(str(key), value, {})
    check_depth(document)
    if key.kind == PROFILE:
        return GoodObject(stored, document, profile=validate(IssuerProfileFile, document).spec)
    policy = validate(DelegationPolicy, document)
    check_size(policy, document)
    return GoodObject(stored, document, policy=_named(policy, key.qualified))


def only_allows(stored: StoredObject) -> bool:
    """Whether a policy that is not good could only have let calls in: it has rules that allow.

    Nothing else may stand in it: who leaves it out then refuses more, never less.
    """
    spec = stored.value.get("spec")
    if (
        stored.key.kind != POLICY
        or not isinstance(spec, dict)
        or not spec.keys() <= {"mode", "rules"}
        or not stored.value.keys() <= {*_OF_THE_SERVER, "spec"}
    ):
        return False
    rules = spec.get("rules")
    return isinstance(rules, list) and all(
        isinstance(rule, dict) and rule.get("effect") == "allow" for rule in rules
    )


def without_rules(good: GoodObject) -> GoodObject | None:
    """Of a policy only what stands behind routes; None where it does not say it."""
    policy = good.policy
    if policy is None or not policy.spec.resources:
        return None
    spec = policy.spec.model_copy(
        update={"rules": [], "agent_ceilings": [], "principal_scopes": []}
    )
    return replace(good, policy=policy.model_copy(update={"spec": spec}))


def _named(policy: DelegationPolicy, name: str) -> DelegationPolicy:
    metadata = policy.metadata.model_copy(update={"name": name})
    return policy.model_copy(update={"metadata": metadata})
