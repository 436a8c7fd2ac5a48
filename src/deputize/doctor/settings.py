"""Our own configuration among the manifests: as objects, or as files in ConfigMaps."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from deputize.config.issuer_schema import Issuer
from deputize.config.loader import Loaded
from deputize.config.policy_compiler import CompiledPolicies, compile_policies
from deputize.config.policy_schema import DelegationPolicy
from deputize.config.problems import ConfigError, Problem
from deputize.config.schema import ServiceConfig
from deputize.config.strict_yaml import Document, Value, parse_documents
from deputize.config.validation import validate
from deputize.core.model import Binding
from deputize.doctor.findings import Code, Finding
from deputize.doctor.manifests import Manifest
from deputize.doctor.place import At, Node
from deputize.doctor.reading import read_documents, read_inner_documents
from deputize.doctor.world import Needs, Settings

_GROUP = "deputize.dev"
_SERVICE, _POLICY = "ServiceConfig", "DelegationPolicy"
_BODIES = frozenset({Binding.BODY, Binding.JSON_RPC})
_WORDS = {"true": True, "false": False}
_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]{0,15})")
_FRACTION = re.compile(r"-?(?:0|[1-9][0-9]{0,15})\.[0-9]{1,15}")


class HeldSettings(NamedTuple):
    """A service configuration, and the object that is or holds it."""

    holder: Manifest
    settings: Settings


class HeldPolicy(NamedTuple):
    """A policy, and the object that is or holds it."""

    holder: Manifest
    policy: tuple[DelegationPolicy, Document]


class Own(NamedTuple):
    """What of ours is among the manifests, and what is wrong with it."""

    services: list[HeldSettings]
    policies: list[HeldPolicy]
    findings: list[Finding]


def settings_of(loaded: Loaded) -> Settings:
    """The settings of a configuration that was loaded from a file."""
    file = loaded.sources[0]
    (document,) = read_documents(file.read_bytes(), str(file))
    return Settings(loaded.service, document)


def needs_of(loaded: Loaded) -> Needs:
    """What the policies of a loaded configuration need."""
    return _needs(loaded.compiled.policies, loaded.service.issuers)


def needs_of_held(policies: Iterable[HeldPolicy], settings: Settings | None) -> Needs:
    """What these policies need, under that configuration."""
    # Whether they go together is not asked: several services may be among the manifests.
    compiled, _problems = compile_policies([each.policy for each in policies])
    return _needs(compiled, settings.spec.issuers if settings else ())


def read_own(manifests: Sequence[Manifest]) -> Own:
    """Finds and checks all of it."""
    services: list[HeldSettings] = []
    policies: list[HeldPolicy] = []
    findings: list[Finding] = []
    for holder, at, document in _documents(manifests, findings):
        try:
            if at["kind"].text == _SERVICE:
                spec = validate(ServiceConfig, document).spec
                services.append(HeldSettings(holder, Settings(spec, at)))
            else:
                policy = (validate(DelegationPolicy, document), document)
                policies.append(HeldPolicy(holder, policy))
        except ConfigError as error:
            findings += [_invalid(at, problem) for problem in error.problems]
    return Own(services, policies, findings)


def _needs(policies: CompiledPolicies, issuers: Iterable[Issuer]) -> Needs:
    return Needs(
        bodies=any(rule.approval is not None for rule in policies.rules)
        or any(route.resource.binding in _BODIES for route in policies.routes),
        counts=any(rule.budget is not None or rule.use_once for rule in policies.rules)
        or any(entry.use_once for entry in issuers),
    )


def _documents(
    manifests: Sequence[Manifest], findings: list[Finding]
) -> Iterator[tuple[Manifest, At, Document]]:
    for manifest in manifests:
        if manifest.group == _GROUP and manifest.kind in {_SERVICE, _POLICY}:
            yield manifest, manifest.at, _as_document(manifest)
        if (manifest.group, manifest.kind) != ("", "ConfigMap"):
            continue
        for _name, file in manifest.at["data"].entries:
            if f"apiVersion: {_GROUP}/" not in file.text:
                continue
            try:
                # As the service reads that very text.
                strict = parse_documents(file.text.encode(), file.file)
                yield from (
                    (manifest, at, document)
                    for at, document in zip(read_inner_documents(file), strict, strict=False)
                    if at["kind"].text in {_SERVICE, _POLICY}
                )
            except ConfigError as error:
                findings += [_invalid(file, problem) for problem in error.problems]


def _as_document(manifest: Manifest) -> Document:
    """An object without what an API server adds to it."""
    value = _value(manifest.at.node)
    own = value if isinstance(value, dict) else {}
    own.pop("status", None)
    if manifest.kind == _POLICY:
        own["metadata"] = {"name": manifest.name}
    return Document(manifest.at.file, own, {})


def _value(node: Node | None) -> Value:
    """The value, typed as our own reader does it."""
    if node is None or node.is_null:
        return None
    if isinstance(node.value, list):
        return [_value(inner) for inner in node.value]
    if isinstance(node.value, dict):
        return {key: _value(inner) for key, inner in node.value.items()}
    if not node.is_plain:
        return node.value
    if _WHOLE.fullmatch(node.value):
        return int(node.value)
    return (
        float(node.value) if _FRACTION.fullmatch(node.value) else _WORDS.get(node.value, node.value)
    )


def _invalid(at: At, problem: Problem) -> Finding:
    pointer = f"{problem.pointer}: " if problem.pointer else ""
    return Finding(at.file, at.line, at.where, Code.CONFIG_INVALID, f"{pointer}{problem.message}")
