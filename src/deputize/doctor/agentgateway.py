"""agentgateway, by its own file or by objects of a cluster.

Sources: agentgateway `schema/config.json` (extAuthz) and the CRD AgentgatewayPolicy (extAuth);
`crates/agentgateway/src/http/ext_authz.rs` (no timeout over gRPC; metadata that is no map is left
out); `crates/agentgateway/src/http/jwt.rs` (the token is removed).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from deputize.doctor.asks import Ask, at_place, read_body
from deputize.doctor.findings import Code, Finding
from deputize.doctor.listeners import find_open_listeners, gateways_of
from deputize.doctor.manifests import AGENTGATEWAY, Manifest, is_same_namespace
from deputize.doctor.place import At
from deputize.doctor.world import World

GROUP = "agentgateway.dev"

_CERTIFICATE = "source.certificate"
_KEYED = {
    "the peer": re.compile(r"source\.(?:certificate|subjectAltNames|spiffeId|identity)"),
    "the method": re.compile(r"request\.method"),
    "the host": re.compile(r"request\.(?:host|uri|headers(?!\[))"),
    "the path with its query": re.compile(r"request\.(?:pathAndQuery|uri)"),
}
_NO_MAP = re.compile(
    r"(?:\"[^\"]*\"|'[^']*'|[0-9.]+|true|false|null|\[.*\]|(?:source|request)[.\w]*)", re.DOTALL
)
"""Expressions that are certainly none: literals, lists, and attributes as they are."""


@dataclass(frozen=True, slots=True)
class Asking:
    """One question to deputize.

    `jwt` is where the same policy checks tokens itself, `tls` where the listener of the same place
    in a file has its certificates, `policy` the object that asks, and `branches` the
    list of conditions that it is one of.
    """

    ask: Ask
    metadata: At
    cache: At
    jwt: At
    tls: At | None = None
    policy: Manifest | None = None
    branches: At | None = None


def read_asks(world: World) -> list[Ask]:
    """Everything that asks us."""
    return [each.ask for each in _all(world)]


def find_faults(world: World) -> Iterator[Finding]:
    """What is wrong with it beyond what any proxy can do wrong."""
    for asking in _all(world):
        yield from _cache(asking.cache, world)
        yield from _metadata(asking, world)
        if _takes(asking.jwt, world.token_header):
            cause = f"the jwt policy removes {world.token_header} before the check"
            yield at_place(asking.jwt, Code.TOKEN_STRIPPED, cause)
        if asking.tls is not None and asking.tls.exists and not asking.tls["root"].exists:
            cause = "without `root` clients need no certificate: no peer"
            yield at_place(asking.tls, Code.CLIENT_CERTIFICATE_NOT_REQUIRED, cause)
        for gateway in gateways_of(asking.policy, world) if asking.policy else ():
            yield from find_open_listeners(gateway)


def conditions(world: World) -> list[At]:
    """The lists of conditions under which we are asked."""
    lists = {
        id(parent.node): parent
        for asking in _all(world)
        if (parent := asking.branches) is not None and parent.exists
    }
    return [*lists.values()]


def _all(world: World) -> list[Asking]:
    found = [*_of_files(world), *_of_objects(world)]
    return [each for each in found if each.ask.is_ours(world)]


def _of_files(world: World) -> Iterator[Asking]:
    for file in world.of("", AGENTGATEWAY):
        for place in file.at.walk():
            at = place["extAuthz"]
            if at.is_mapping:
                branches = at["conditional"].items or [at]
                yield from (_of_file(each, place) for each in branches)


def _of_file(at: At, place: At) -> Asking:
    host, _, port = at["host"].text.rpartition(":")
    service, grpc = at["service"], at.dig("protocol", "grpc")
    failure, body = at["failureMode"], at["includeRequestBody"]
    headers = at["includeRequestHeaders"]
    ask = Ask(
        proxy="agentgateway",
        at=at,
        service=service if service.exists else at["host"],
        host=service["name"].text or host,
        port=service["port"].whole if service.exists else int(port) if port.isdecimal() else None,
        timeout=at.dig("policies", "http", "requestTimeout"),
        default_seconds=None,
        fail_open=failure if failure.text.lower() == "allow" else None,
        body=read_body(body, is_text=not body["packAsBytes"].is_on),
        over_http=at.dig("protocol", "http").if_there,
        hidden=headers if headers.items else None,
        sends_certificate=_sends_certificate(grpc["metadata"]),
    )
    return Asking(
        ask,
        grpc["metadata"],
        at["cache"],
        place["jwtAuth"],
        place["tls"],
        branches=place["extAuthz"]["conditional"],
    )


def _of_objects(world: World) -> Iterator[Asking]:
    policies = world.of(GROUP, "AgentgatewayPolicy")
    for policy in policies:
        for side in ("traffic", "backend"):
            at = policy.spec.dig(side, "extAuth")
            if at.is_mapping:
                branches = [each["policy"] for each in at["conditional"].items] or [at]
                jwt = policy.spec.dig(side, "jwtAuthentication")
                conditional = at["conditional"]
                for each in branches:
                    yield _of_object(each, policy, jwt, policies, conditional)


def _of_object(
    at: At, policy: Manifest, jwt: At, policies: Sequence[Manifest], branches: At
) -> Asking:
    backend, failure = at["backendRef"], at["failureMode"]
    name, namespace = backend["name"].text, backend["namespace"].text or policy.namespace
    metadata = at.dig("grpc", "requestMetadata")
    ask = Ask(
        proxy="agentgateway",
        at=at,
        service=backend,
        host=name,
        namespace=namespace,
        port=backend["port"].whole,
        timeout=_timeout(name, namespace, policies, backend),
        default_seconds=None,
        fail_open=failure if failure.text == "FailOpen" else None,
        # It always sends parts, as text; there is nothing to set.
        body=read_body(at["forwardBody"], is_text=False),
        over_http=at["http"].if_there,
        sends_certificate=_sends_certificate(metadata),
    )
    return Asking(ask, metadata, at["cache"], jwt, policy=policy, branches=branches)


def _timeout(name: str, namespace: str, policies: Iterable[Manifest], backend: At) -> At:
    """Where another policy bounds requests to that Service; else where it is asked."""
    for policy in policies:
        at = policy.spec.dig("backend", "http", "requestTimeout")
        refs = policy.spec["targetRefs"].items
        is_about = any(ref["kind"].text == "Service" and ref["name"].text == name for ref in refs)
        if at.exists and is_about and is_same_namespace(policy.namespace, namespace):
            return at
    return backend["requestTimeout"]


def _cache(cache: At, world: World) -> Iterator[Finding]:
    if not cache.exists:
        return
    key = " ".join(cache["key"].texts)
    wanted = dict(_KEYED)
    name = re.escape(world.token_header)
    wanted["the token"] = re.compile(rf"request\.headers(?!\[)|request\.headers\[.{name}.\]")
    absent = [what for what, pattern in wanted.items() if not pattern.search(key)]
    if absent:
        cause = f"the key lacks {', '.join(absent)}: one caller gets the answer of another"
        yield at_place(cache["key"], Code.CACHE_UNSAFE, cause)
    else:
        cause = "answers from it have no audit event, and outlive revocation"
        yield at_place(cache, Code.CACHE_UNAUDITED, cause)


def _metadata(asking: Asking, world: World) -> Iterator[Finding]:
    for key, expression in asking.metadata.entries:
        if not _may_be_map(expression.text.strip()):
            cause = f"the expression of {key} gives no map, and is left out without a word"
            yield at_place(expression, Code.METADATA_NO_MAP, cause)
    peer = world.settings.spec.peer if world.settings else None
    name = peer.metadata_namespace if peer and peer.source == "metadata" else None
    if name is not None and not asking.metadata[name].exists and asking.ask.over_http is None:
        cause = f"peers are read from `{name}`, which is not sent"
        yield at_place(asking.metadata[name], Code.METADATA_ABSENT, cause)


def _may_be_map(expression: str) -> bool:
    return bool(expression) and not _NO_MAP.fullmatch(expression)


def _sends_certificate(metadata: At) -> bool:
    return any(_CERTIFICATE in expression.text for _key, expression in metadata.entries)


def _takes(jwt: At, header: str) -> bool:
    """Whether a jwt policy reads, and so removes, that header."""
    if not jwt.exists:
        return False
    location = jwt["location"]
    named = location.dig("header", "name").text.lower()
    return named == header if location.exists else header == "authorization"
