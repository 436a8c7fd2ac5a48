"""The configuration of a proxy that asks deputize about every call.

Clients need a certificate of the authority; the upstream gets only what deputize permits. The
path options of Envoy are off, so that paths reach us as the client wrote them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.harness.loopback import HOST
from tests.harness.spiffe_ca import Svid

Yaml = Mapping[str, object]

_TYPES = "type.googleapis.com/envoy.extensions"
_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_DEPUTIZE = "deputize"
_UPSTREAM = "upstream"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyOptions:
    """What a test may choose.

    `deputize` are addresses as in the service configuration: `host:port` or `unix:/path`.
    `body_bytes` sends that much of the body along with the question; 0 sends none.
    `deputize_tls` are the proxy's own certificate and the authority of deputize's.
    `waypoint` lets it name its clients as an Istio waypoint of that SPIFFE ID does, and
    `peer_metadata` as agentgateway does: the same metadata, by namespace, for every client.
    """

    deputize: Sequence[str]
    upstream_port: int
    server: Svid
    client_authority: Path
    timeout_seconds: float = 2
    failure_mode_allow: bool = False
    include_peer_certificate: bool = True
    validate_mutations: bool = False
    body_bytes: int = 0
    normalize_path: bool = False
    merge_slashes: bool = False
    escaped_slashes: str = "KEEP_UNCHANGED"
    health_service: str | None = None
    deputize_tls: tuple[Svid, Path] | None = None
    waypoint: str | None = None
    peer_metadata: Mapping[str, Yaml] = field(default_factory=dict)


def bootstrap(options: ProxyOptions, access_log: Path) -> Yaml:
    """The whole bootstrap; the listener and the admin port choose free ports."""
    return {
        "admin": {"address": _address(f"{HOST}:0")},
        "static_resources": {
            "listeners": [
                {
                    "name": "agents",
                    "address": _address(f"{HOST}:0"),
                    "filter_chains": [
                        {
                            "transport_socket": _downstream_tls(options),
                            "filters": [_connection_manager(options, access_log)],
                        }
                    ],
                }
            ],
            "clusters": [
                _cluster(_UPSTREAM, [f"{HOST}:{options.upstream_port}"]),
                _deputize_cluster(options),
            ],
        },
    }


def _connection_manager(options: ProxyOptions, access_log: Path) -> Yaml:
    return _typed(
        "envoy.filters.network.http_connection_manager",
        "filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="agents",
        codec_type="AUTO",
        normalize_path=options.normalize_path,
        merge_slashes=options.merge_slashes,
        path_with_escaped_slashes_action=options.escaped_slashes,
        access_log=[_access_log(access_log)],
        route_config={
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": _UPSTREAM}}],
                }
            ]
        },
        # So that it is the waypoint alone that replaces what a client sends.
        forward_client_cert_details="ALWAYS_FORWARD_ONLY" if options.waypoint else "SANITIZE",
        http_filters=[
            *_naming_filters(options),
            _authorization_filter(options),
            _typed("envoy.filters.http.router", "filters.http.router.v3.Router"),
        ],
    )


def _naming_filters(options: ProxyOptions) -> list[Yaml]:
    """What tells deputize who the client is, besides the connection."""
    filters: list[Yaml] = []
    if options.waypoint is not None:
        # istio pilot/pkg/networking/core/listener_waypoint.go, the annotation
        # ambient.istio.io/xfcc-include-client-identity.
        value = f"By={options.waypoint};URI=%DOWNSTREAM_PEER_URI_SAN%"
        header = {"key": "x-forwarded-client-cert", "value": value}
        mutation = {"append": {"header": header, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}}
        filters.append(
            _typed(
                "envoy.filters.http.header_mutation",
                "filters.http.header_mutation.v3.HeaderMutation",
                mutations={"request_mutations": [mutation]},
            )
        )
    if options.peer_metadata:
        entries = [
            {"metadata_namespace": namespace, "value": value}
            for namespace, value in options.peer_metadata.items()
        ]
        filters.append(
            _typed(
                "envoy.filters.http.set_metadata",
                "filters.http.set_metadata.v3.Config",
                metadata=entries,
            )
        )
    return filters


def _authorization_filter(options: ProxyOptions) -> Yaml:
    members: dict[str, object] = {
        "transport_api_version": "V3",
        "grpc_service": {
            "envoy_grpc": {"cluster_name": _DEPUTIZE},
            "timeout": f"{options.timeout_seconds:g}s",
        },
        "failure_mode_allow": options.failure_mode_allow,
        "include_peer_certificate": options.include_peer_certificate,
        "validate_mutations": options.validate_mutations,
    }
    if options.peer_metadata:
        members["metadata_context_namespaces"] = list(options.peer_metadata)
    if options.body_bytes:
        body = {"max_request_bytes": options.body_bytes, "pack_as_bytes": True}
        members["with_request_body"] = body
    return _typed("envoy.filters.http.ext_authz", "filters.http.ext_authz.v3.ExtAuthz", **members)


def _access_log(file: Path) -> Yaml:
    return _typed(
        "envoy.access_loggers.file",
        "access_loggers.file.v3.FileAccessLog",
        path=str(file),
        log_format={
            "json_format": {
                "method": "%REQ(:METHOD)%",
                "path": "%REQ(:PATH)%",
                "protocol": "%PROTOCOL%",
                "status": "%RESPONSE_CODE%",
                "details": "%RESPONSE_CODE_DETAILS%",
                "ext_authz": "%DYNAMIC_METADATA(envoy.filters.http.ext_authz)%",
            }
        },
    )


def _deputize_cluster(options: ProxyOptions) -> Yaml:
    cluster = dict(_cluster(_DEPUTIZE, options.deputize))
    cluster["typed_extension_protocol_options"] = {
        _HTTP_OPTIONS: {
            "@type": f"type.googleapis.com/{_HTTP_OPTIONS}",
            "explicit_http_config": {"http2_protocol_options": {}},
        }
    }
    if options.health_service is not None:
        # Nothing is sent to an endpoint that is not healthy, even if none is.
        cluster["common_lb_config"] = {"healthy_panic_threshold": {"value": 0}}
        cluster["health_checks"] = [
            {
                "timeout": "1s",
                "interval": "0.2s",
                "no_traffic_interval": "0.2s",
                "unhealthy_threshold": 1,
                "healthy_threshold": 1,
                "grpc_health_check": {"service_name": options.health_service},
            }
        ]
    if options.deputize_tls is not None:
        own, authority = options.deputize_tls
        cluster["transport_socket"] = _typed(
            "envoy.transport_sockets.tls",
            "transport_sockets.tls.v3.UpstreamTlsContext",
            common_tls_context={"alpn_protocols": ["h2"]} | _tls_files(own, authority),
        )
    return cluster


def _downstream_tls(options: ProxyOptions) -> Yaml:
    return _typed(
        "envoy.transport_sockets.tls",
        "transport_sockets.tls.v3.DownstreamTlsContext",
        require_client_certificate=True,
        common_tls_context={"alpn_protocols": ["h2", "http/1.1"]}
        | _tls_files(options.server, options.client_authority),
    )


def _tls_files(own: Svid, authority: Path) -> dict[str, object]:
    return {
        "tls_certificates": [
            {
                "certificate_chain": {"filename": str(own.certificate_file)},
                "private_key": {"filename": str(own.private_key_file)},
            }
        ],
        "validation_context": {"trusted_ca": {"filename": str(authority)}},
    }


def _cluster(name: str, addresses: Sequence[str]) -> Yaml:
    endpoints = [{"endpoint": {"address": _address(text)}} for text in addresses]
    return {
        "name": name,
        "type": "STATIC",
        "lb_policy": "ROUND_ROBIN",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]},
    }


def _address(text: str) -> Yaml:
    if text.startswith("unix:"):
        return {"pipe": {"path": text.removeprefix("unix:")}}
    host, _, port = text.rpartition(":")
    return {"socket_address": {"address": host, "port_value": int(port)}}


def _typed(name: str, kind: str, **members: object) -> Yaml:
    return {"name": name, "typed_config": {"@type": f"{_TYPES}.{kind}", **members}}
