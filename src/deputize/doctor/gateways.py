"""Gateways of a cluster: Envoy Gateway, kgateway, and ExternalAuth of the Gateway API.

Sources: Envoy Gateway `api/v1alpha1/ext_auth_types.go` (timeout of 10 s) and
`clienttrafficpolicy_types.go`; kgateway `api/v1alpha1/kgateway/gateway_extensions_types.go`;
Gateway API `apis/v1/httproute_types.go` (HTTPExternalAuthFilter) and `gateway_types.go` (TLS).
"""

from __future__ import annotations

from collections.abc import Iterator

from deputize.doctor.asks import Ask, Body, at_place, read_body
from deputize.doctor.findings import Code, Finding
from deputize.doctor.listeners import find_open_listeners, gateways_of, target_refs
from deputize.doctor.manifests import Manifest, is_same_namespace
from deputize.doctor.place import At
from deputize.doctor.world import GATEWAY_API, World

ENVOY_GATEWAY = "gateway.envoyproxy.io"
KGATEWAY = "gateway.kgateway.dev"

_ENVOY_SECONDS = 0.2
_ENVOY_GATEWAY_SECONDS = 10.0


def read_asks(world: World) -> Iterator[Ask]:
    """Everything that asks us."""
    routed = [ask for ask, _route in _routes(world)]
    for ask in (*_envoy_gateway(world), *_kgateway(world), *routed):
        if ask.is_ours(world):
            yield ask


def find_faults(world: World) -> Iterator[Finding]:
    """Gateways that let clients in without a certificate."""
    for policy in asking_policies(world):
        for gateway in gateways_of(policy, world):
            yield from _client_policy(gateway, world)
    for each in [*asking_traffic_policies(world), *asking_routes(world)]:
        for gateway in gateways_of(each, world):
            yield from find_open_listeners(gateway)


def asking_policies(world: World) -> list[Manifest]:
    """The policies of Envoy Gateway that ask us."""
    return [
        policy
        for policy in world.of(ENVOY_GATEWAY, "SecurityPolicy")
        if any(ask.is_ours(world) for ask in _of_security_policy(policy, world))
    ]


def asking_routes(world: World) -> list[Manifest]:
    """The routes that ask us in one of their rules or more."""
    found = {id(route): route for ask, route in _routes(world) if ask.is_ours(world)}
    return [*found.values()]


def _envoy_gateway(world: World) -> Iterator[Ask]:
    for policy in world.of(ENVOY_GATEWAY, "SecurityPolicy"):
        yield from _of_security_policy(policy, world)


def _of_security_policy(policy: Manifest, world: World) -> Iterator[Ask]:
    at = policy.spec["extAuth"]
    for key in ("grpc", "http"):
        side = at[key]
        one = side["backendRef"]
        for backend in side["backendRefs"].items + ([one] if one.exists else []):
            yield _ask(
                "Envoy Gateway",
                at,
                backend,
                policy,
                timeout=at["timeout"],
                default_seconds=_ENVOY_GATEWAY_SECONDS,
                # It packs bodies as it likes; there is nothing to set.
                body=read_body(at["bodyToExtAuth"], is_text=False),
                over_http=side if key == "http" else None,
                hidden=at["headersToExtAuth"].if_there,
                sends_certificate=_is_patched(world),
            )


def _is_patched(world: World) -> bool:
    """Whether somebody makes Envoy Gateway send the certificate."""
    return any(
        patch.dig("operation", "path").text.endswith("include_peer_certificate")
        and patch.dig("operation", "value").is_on
        for policy in world.of(ENVOY_GATEWAY, "EnvoyPatchPolicy")
        for patch in policy.spec["jsonPatches"].items
    )


def asking_traffic_policies(world: World) -> list[Manifest]:
    """The policies of kgateway with an extension that asks us."""
    extensions = [extension for ask, extension in _extensions(world) if ask.is_ours(world)]
    return [
        policy
        for policy in world.of(KGATEWAY, "TrafficPolicy")
        if any(_refers(policy, extension) for extension in extensions)
    ]


def _refers(policy: Manifest, extension: Manifest) -> bool:
    ref = policy.spec.dig("extAuth", "extensionRef")
    namespace = ref["namespace"].text or policy.namespace
    is_named = ref["name"].text == extension.name
    return is_named and is_same_namespace(namespace, extension.namespace)


def _kgateway(world: World) -> Iterator[Ask]:
    for ask, _extension in _extensions(world):
        yield ask


def _extensions(world: World) -> Iterator[tuple[Ask, Manifest]]:
    for extension in world.of(KGATEWAY, "GatewayExtension"):
        at = extension.spec["extAuth"]
        body = at["withRequestBody"]
        for policy in world.of(KGATEWAY, "TrafficPolicy"):
            own = policy.spec.dig("extAuth", "withRequestBody")
            if _refers(policy, extension) and own.exists:
                body = own
        for key in ("grpcService", "httpService"):
            side = at[key]
            if side.exists:
                ask = _ask(
                    "kgateway",
                    at,
                    side["backendRef"],
                    extension,
                    timeout=side["requestTimeout"],
                    default_seconds=_ENVOY_SECONDS,
                    body=read_body(body, is_text=not body["packAsBytes"].is_on),
                    over_http=side if key == "httpService" else None,
                    hidden=at["headersToForward"].if_there,
                )
                yield ask, extension


def _routes(world: World) -> Iterator[tuple[Ask, Manifest]]:
    for route in world.of(GATEWAY_API, "HTTPRoute"):
        for rule in route.spec["rules"].items:
            for each in rule["filters"].items:
                if each["externalAuth"].exists:
                    yield _of_route(each["externalAuth"], route), route


def _of_route(at: At, route: Manifest) -> Ask:
    protocol = at["protocol"]
    return _ask(
        "Gateway API",
        at,
        at["backendRef"],
        route,
        # It has no timeout to set, and says of none what it is.
        timeout=at["timeout"],
        default_seconds=1.0,
        body=read_body(at["forwardBody"], is_text=False),
        over_http=protocol if protocol.text == "HTTP" else None,
        hidden=at.dig("grpc", "allowedHeaders").if_there,
    )


def _ask(
    proxy: str,
    at: At,
    backend: At,
    owner: Manifest,
    *,
    timeout: At,
    default_seconds: float | None,
    body: Body | None,
    over_http: At | None,
    hidden: At | None,
    sends_certificate: bool = False,
) -> Ask:
    return Ask(
        proxy=proxy,
        at=at,
        service=backend,
        host=backend["name"].text,
        namespace=backend["namespace"].text or owner.namespace,
        port=backend["port"].whole,
        timeout=timeout,
        default_seconds=default_seconds,
        fail_open=at["failOpen"].if_on,
        body=body,
        over_http=over_http,
        hidden=hidden,
        sends_certificate=sends_certificate,
    )


def _client_policy(gateway: Manifest, world: World) -> Iterator[Finding]:
    """Envoy Gateway asks for client certificates where a ClientTrafficPolicy says so."""
    for policy in world.of(ENVOY_GATEWAY, "ClientTrafficPolicy"):
        validation = policy.spec.dig("tls", "clientValidation")
        if gateway.name in {ref["name"].text for ref in target_refs(policy)} and validation.exists:
            mode = validation["mode"].text or "RequireAndVerify"
            if validation["optional"].is_on or mode != "RequireAndVerify":
                cause = "clients without a certificate that is verified get in: no peer"
                at = validation["mode"] if validation["mode"].exists else validation["optional"]
                yield at_place(at, Code.CLIENT_CERTIFICATE_NOT_REQUIRED, cause)
            return
    yield from find_open_listeners(gateway)
