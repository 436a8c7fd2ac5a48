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


def _chains(bootstrap: Manifest) -> Iterator[tuple[At, list[At]]]:
    """Each filter chain with the configurations of its HTTP filters."""
    for listener in _get(bootstrap.at, "static_resources")["listeners"].items:
        chains = _get(listener, "filter_chains").items
        default = _get(listener, "default_filter_chain")
        for chain in [*chains, default] if default.exists else chains:
            for network in chain["filters"].items:
                http = _get(_get(network, "typed_config"), "http_filters")
                if http.exists:
                    yield chain, [_get(each, "typed_config") for each in http.items]


def _of_filters(filters: list[At], bootstrap: Manifest, world: World) -> Iterator[Ask]:
    for at in filters:
        if _is_type(at, "ExtAuthz"):
            ask = _ask(at, bootstrap)
            if ask.is_ours(world):
                yield ask


def _ask(at: At, bootstrap: Manifest) -> Ask:
    grpc = _get(at, "grpc_service")
    name = _get(_get(grpc, "envoy_grpc"), "cluster_name")
    uri = _get(_get(grpc, "google_grpc"), "target_uri")
    hidden = [_get(at, "allowed_headers"), _get(at, "disallowed_headers")]
    return Ask(
        proxy="Envoy",
        at=at,
        service=name if name.exists else uri,
        host=name.text or uri.text,
        port=_cluster_port(bootstrap, name.text),
        timeout=_get(grpc, "timeout"),
        default_seconds=_DEFAULT_SECONDS,
        fail_open=_get(at, "failure_mode_allow").if_on,
        body=_body(_get(at, "with_request_body")),
        over_http=_get(at, "http_service").if_there,
        hidden=next((each for each in hidden if each.exists), None),
        fraction=_fraction(at),
        sends_certificate=_get(at, "include_peer_certificate").is_on,
    )


def _cluster_port(bootstrap: Manifest, name: str) -> int | None:
    """The port of the first endpoint of a cluster."""
    for cluster in _get(bootstrap.at, "static_resources")["clusters"].items:
        if cluster["name"].text == name:
            for place in cluster.walk():
                port = _get(place, "port_value").whole
                if port is not None:
                    return port
    return None


def _fraction(at: At) -> At | None:
    """Where only a part of requests is checked."""
    value = _get(_get(at, "filter_enabled"), "default_value")
    if not value.exists:
        return None
    whole = {"TEN_THOUSAND": 10_000, "MILLION": 1_000_000}.get(value["denominator"].text, 100)
    return value if (value["numerator"].whole or 0) < whole else None


def _body(at: At) -> Body | None:
    if not at.exists:
        return None
    size, packed = _get(at, "max_request_bytes").whole, _get(at, "pack_as_bytes")
    return Body(at, size, _get(at, "allow_partial_message").if_on, not packed.is_on)


def _listener(chain: At) -> Iterator[Finding]:
    socket = _get(_get(chain, "transport_socket"), "typed_config")
    required = _get(socket, "require_client_certificate")
    if not required.is_on:
        kind = "listener" if socket.exists else "listener, which has no TLS,"
        cause = f"the {kind} takes clients without a certificate: no peer"
        yield at_place(required, Code.CLIENT_CERTIFICATE_NOT_REQUIRED, cause)


def _token(filters: list[At], world: World) -> Iterator[Finding]:
    for at in filters:
        if _is_type(at, "ExtAuthz"):
            return
        providers = at["providers"].entries if _is_type(at, "JwtAuthentication") else []
        for name, provider in providers:
            if not provider["forward"].is_on and _takes(provider, world.token_header):
                cause = f"provider {name} of jwt_authn removes the token before the check"
                yield at_place(provider["forward"], Code.TOKEN_STRIPPED, cause)


def _takes(provider: At, header: str) -> bool:
    """Whether it reads, and so removes, that header."""
    named = [each["name"].text.lower() for each in _get(provider, "from_headers").items]
    others = _get(provider, "from_params").exists or _get(provider, "from_cookies").exists
    return header in named if named or others else header == "authorization"


def _is_type(at: At, name: str) -> bool:
    return at["@type"].text.endswith(f".{name}")


def _get(at: At, name: str) -> At:
    """A field, by its name or as JSON spells it."""
    first, *rest = name.split("_")
    camel = at[first + "".join(word.capitalize() for word in rest)]
    return camel if camel.exists and not at[name].exists else at[name]
