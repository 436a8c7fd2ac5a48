"""An Envoy that is configured by a file: its filters, and the listeners they stand in.

Sources: Envoy `api/envoy/extensions/filters/http/ext_authz/v3/ext_authz.proto`,
`.../transport_sockets/tls/v3/tls.proto`, `.../filters/http/jwt_authn/v3/config.proto`. Names of
fields may be written as JSON has them too.
"""

from __future__ import annotations

from collections.abc import Iterator

from deputize.doctor.asks import Ask, Body, at_place
from deputize.doctor.findings import Code, Finding
from deputize.doctor.manifests import ENVOY, Manifest
from deputize.doctor.place import At
from deputize.doctor.world import World

_DEFAULT_SECONDS = 0.2
_VERIFIED = (
    "validation_context",
    "validation_context_sds_secret_config",
    "combined_validation_context",
)


def read_asks(world: World) -> Iterator[Ask]:
    """Every filter that asks us."""
    for bootstrap in world.of("", ENVOY):
        for _chain, filters in _chains(bootstrap):
            yield from _of_filters(filters, bootstrap, world)


def find_faults(world: World) -> Iterator[Finding]:
    """What is wrong around the filters that ask us."""
    for bootstrap in world.of("", ENVOY):
        for chain, filters in _chains(bootstrap):
            if list(_of_filters(filters, bootstrap, world)):
                yield from _listener(chain)
                yield from _token(filters, world)


def asking_chains(world: World) -> Iterator[At]:
    """The connection managers with filters that ask us."""
    for bootstrap in world.of("", ENVOY):
        for _chain, manager in _managers(bootstrap):
            configs = [get(each, "typed_config") for each in get(manager, "http_filters").items]
            if any(_of_filters(configs, bootstrap, world)):
                yield manager


def _chains(bootstrap: Manifest) -> Iterator[tuple[At, list[At]]]:
    """Each filter chain with the configurations of its HTTP filters."""
    for chain, manager in _managers(bootstrap):
        yield chain, [get(each, "typed_config") for each in get(manager, "http_filters").items]


def _managers(bootstrap: Manifest) -> Iterator[tuple[At, At]]:
    """Each filter chain with its connection manager, if that has HTTP filters."""
    for listener in get(bootstrap.at, "static_resources")["listeners"].items:
        chains = get(listener, "filter_chains").items
        default = get(listener, "default_filter_chain")
        for chain in [*chains, default] if default.exists else chains:
            for network in chain["filters"].items:
                manager = get(network, "typed_config")
                if get(manager, "http_filters").exists:
                    yield chain, manager


def _of_filters(filters: list[At], bootstrap: Manifest, world: World) -> Iterator[Ask]:
    for at in filters:
        if is_type(at, "ExtAuthz"):
            ask = _ask(at, bootstrap)
            if ask.is_ours(world):
                yield ask


def _ask(at: At, bootstrap: Manifest) -> Ask:
    grpc = get(at, "grpc_service")
    name = get(get(grpc, "envoy_grpc"), "cluster_name")
    uri = get(get(grpc, "google_grpc"), "target_uri")
    hidden = [get(at, "allowed_headers"), get(at, "disallowed_headers")]
    return Ask(
        proxy="Envoy",
        at=at,
        service=name if name.exists else uri,
        host=name.text or uri.text,
        port=_cluster_port(bootstrap, name.text),
        timeout=get(grpc, "timeout"),
        default_seconds=_DEFAULT_SECONDS,
        fail_open=get(at, "failure_mode_allow").if_on,
        body=_body(get(at, "with_request_body")),
        over_http=get(at, "http_service").if_there,
        hidden=next((each for each in hidden if each.exists), None),
        fraction=_fraction(at),
        sends_certificate=get(at, "include_peer_certificate").is_on,
    )


def _cluster_port(bootstrap: Manifest, name: str) -> int | None:
    """The port of the first endpoint of a cluster."""
    for cluster in get(bootstrap.at, "static_resources")["clusters"].items:
        if cluster["name"].text == name:
            for place in cluster.walk():
                port = get(place, "port_value").whole
                if port is not None:
                    return port
    return None


def _fraction(at: At) -> At | None:
    """Where only a part of requests is checked."""
    value = get(get(at, "filter_enabled"), "default_value")
    if not value.exists:
        return None
    whole = {"TEN_THOUSAND": 10_000, "MILLION": 1_000_000}.get(value["denominator"].text, 100)
    return value if (value["numerator"].whole or 0) < whole else None


def _body(at: At) -> Body | None:
    if not at.exists:
        return None
    size, packed = get(at, "max_request_bytes").whole, get(at, "pack_as_bytes")
    return Body(at, size, get(at, "allow_partial_message").if_on, not packed.is_on)


def _listener(chain: At) -> Iterator[Finding]:
    socket = get(get(chain, "transport_socket"), "typed_config")
    required = get(socket, "require_client_certificate")
    if not required.is_on:
        kind = "listener" if socket.exists else "listener, which has no TLS,"
        cause = f"the {kind} takes clients without a certificate: no peer"
        yield at_place(required, Code.CLIENT_CERTIFICATE_NOT_REQUIRED, cause)
        return
    context = get(socket, "common_tls_context")
    verified = any(get(context, name).exists for name in _VERIFIED)
    untrusted = [
        get(place, "trust_chain_verification")
        for place in context.walk()
        if get(place, "trust_chain_verification").text == "ACCEPT_UNTRUSTED"
    ]
    if untrusted or not verified:
        cause = "certificates are not verified: whoever makes one can be any peer"
        at = untrusted[0] if untrusted else context
        yield at_place(at, Code.CLIENT_CERTIFICATE_NOT_REQUIRED, cause)


def _token(filters: list[At], world: World) -> Iterator[Finding]:
    for at in filters:
        if is_type(at, "ExtAuthz"):
            return
        providers = at["providers"].entries if is_type(at, "JwtAuthentication") else []
        for name, provider in providers:
            if not provider["forward"].is_on and _takes(provider, world.token_header):
                cause = f"provider {name} of jwt_authn removes the token before the check"
                yield at_place(provider["forward"], Code.TOKEN_STRIPPED, cause)


def _takes(provider: At, header: str) -> bool:
    """Whether it reads, and so removes, that header."""
    named = [each["name"].text.lower() for each in get(provider, "from_headers").items]
    others = get(provider, "from_params").exists or get(provider, "from_cookies").exists
    return header in named if named or others else header == "authorization"


def is_type(at: At, name: str) -> bool:
    """Whether a configuration is of that message."""
    return at["@type"].text.endswith(f".{name}")


def get(at: At, name: str) -> At:
    """A field, by its name or as JSON spells it."""
    first, *rest = name.split("_")
    camel = at[first + "".join(word.capitalize() for word in rest)]
    return camel if camel.exists and not at[name].exists else at[name]
