"""What Istio sends to a proxy, as the bootstrap of an Envoy that is on its own.

Filters, matches, routes and TLS settings stay as Istio wrote them. In place of the mesh are:

- secrets: files, under the names by which Istio would send them;
- endpoints: addresses on loopback, in plain text, in the clusters that Istio wrote;
- the port that clients connect to, and iptables before a sidecar, see `_entrance`;
- filters that only Istio's build of Envoy has, which report and decide nothing, are left out. They
  are listed here; Envoy refuses any other that it does not know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.harness.envoy_bootstrap import Yaml
from tests.harness.loopback import HOST
from tests.harness.spiffe_ca import Svid

ISTIO_ONLY = frozenset(
    {
        "istio.alpn",  # chooses the protocol towards upstreams
        "istio.metadata_exchange",  # workload metadata, for metrics
        "istio.stats",
        "propagate_endpoint_metadata",
        "waypoint_downstream_peer_metadata",
        "waypoint_upstream_peer_metadata",
    }
)
_OF_THE_MESH = frozenset(
    {
        "eds_cluster_config",
        "lb_policy",
        "original_dst_lb_config",
        "transport_socket",
        "transport_socket_matches",
        "upstream_bind_config",
    }
)
"""Keys of a cluster that say how its endpoints are found and reached in the mesh."""

_TYPES = "type.googleapis.com/envoy.extensions"
_PROXY_PROTOCOL = {
    "name": "envoy.filters.listener.proxy_protocol",
    "typed_config": {"@type": f"{_TYPES}.filters.listener.proxy_protocol.v3.ProxyProtocol"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the mesh would give the proxy.

    `entrance` is the listener that clients reach. `certificates` are by name of the secret,
    `addresses` (`host:port` or `unix:/path`) by name of the cluster.
    """

    entrance: str
    certificates: Mapping[str, Svid]
    authority: Path
    addresses: Mapping[str, str]


def bootstrap(sent: Mapping[str, Any], around: Surroundings) -> Yaml:
    """The whole bootstrap; the entrance and the admin port choose free ports."""
    listeners = [
        each
        for each in sent["listeners"]
        if "internal_listener" in each or each["name"] == around.entrance
    ]
    routes = {each["name"]: each for each in sent["routes"]}
    clusters = [_cluster(each, around.addresses) for each in sent["clusters"]]
    # The first one is where clients connect.
    listeners.sort(key=lambda each: "internal_listener" in each)
    listeners[0] = _entrance(listeners[0])
    resources = {"listeners": listeners, "clusters": clusters}
    names = _secret_names(resources)
    return {
        "admin": {"address": _address(f"{HOST}:0")},
        "bootstrap_extensions": [
            {
                "name": "envoy.bootstrap.internal_listener",
                "typed_config": {
                    "@type": f"{_TYPES}.bootstrap.internal_listener.v3.InternalListener"
                },
            }
        ],
        "static_resources": {
            **_settled(resources, routes),
            "secrets": [_secret(name, around) for name in sorted(names)],
        },
    }


def _settled(value: Any, routes: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any JSON
    """The same without what has to be asked for: secrets, routes, filters that are not there."""
    if isinstance(value, list):
        return [_settled(each, routes) for each in value if not _is_istio_only(each)]
    if not isinstance(value, dict):
        # In Istio's build a hash of the text is compared, in others the text.
        return "envoy.string" if value == "istio.hashable_string" else value
    kept = {key: _settled(each, routes) for key, each in value.items() if key != "sds_config"}
    if "rds" in kept:
        kept["route_config"] = _settled(routes[kept.pop("rds")["route_config_name"]], routes)
    return kept


def _is_istio_only(value: object) -> bool:
    return isinstance(value, dict) and value.get("name") in ISTIO_ONLY


def _entrance(listener: Mapping[str, Any]) -> dict[str, Any]:
    """The listener on a free port.

    A sidecar asks the socket for the address that the client believed to connect to, before
    iptables led it here. Without iptables the client itself tells it, by the PROXY protocol.
    """
    original = "envoy.filters.listener.original_dst"
    filters = [
        _PROXY_PROTOCOL if each["name"] == original else each
        for each in listener.get("listener_filters", [])
    ]
    return {**listener, "address": _address(f"{HOST}:0"), "listener_filters": filters}


def _cluster(cluster: Mapping[str, Any], addresses: Mapping[str, str]) -> dict[str, Any]:
    """The cluster with its endpoints; those that no call reaches have none."""
    name = cluster["name"]
    if name not in addresses and cluster["type"] != "EDS":
        return dict(cluster)
    kept = {key: value for key, value in cluster.items() if key not in _OF_THE_MESH}
    kept["type"] = "STATIC"
    if name in addresses:
        kept["load_assignment"] = _endpoints(name, _address(addresses[name]))
    else:
        kept["load_assignment"] = {"cluster_name": name}
    return kept


def _endpoints(cluster: str, address: Yaml) -> dict[str, Any]:
    return {
        "cluster_name": cluster,
        "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
    }


def _secret_names(value: object) -> set[str]:
    if isinstance(value, list):
        return {name for each in value for name in _secret_names(each)}
    if not isinstance(value, dict):
        return set()
    own = {str(value["name"])} if "sds_config" in value else set()
    return own.union(*(_secret_names(each) for each in value.values()))


def _secret(name: str, around: Surroundings) -> Yaml:
    if name not in around.certificates:
        return {
            "name": name,
            "validation_context": {"trusted_ca": {"filename": str(around.authority)}},
        }
    own = around.certificates[name]
    return {
        "name": name,
        "tls_certificate": {
            "certificate_chain": {"filename": str(own.certificate_file)},
            "private_key": {"filename": str(own.private_key_file)},
        },
    }


def _address(text: str) -> Yaml:
    if text.startswith("unix:"):
        return {"pipe": {"path": text.removeprefix("unix:")}}
    host, _, port = text.rpartition(":")
    return {"socket_address": {"address": host, "port_value": int(port)}}
