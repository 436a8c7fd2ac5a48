"""A proxy as agents' protocols need it: it sends bodies along, changes protocols, speaks gRPC."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.harness.envoy_bootstrap import ProxyOptions, Yaml
from tests.harness.envoy_proxy import EnvoyProxy
from tests.harness.loopback import HOST

_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_HTTP2 = {
    _HTTP_OPTIONS: {
        "@type": f"type.googleapis.com/{_HTTP_OPTIONS}",
        "explicit_http_config": {"http2_protocol_options": {}},
    }
}
_RPC = "rpc"


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyOptions:
    """How much of a body is sent along with the question, and how.

    With `is_partial` the first bytes of a longer one are; else a longer one gets a 413.
    Without `as_bytes` it is sent as text.
    """

    max_bytes: int
    is_partial: bool = False
    as_bytes: bool = True


class AgentProxy(EnvoyProxy):
    """Sends gRPC to the server on `rpc_port`, all else to the upstream; lets WebSockets through.

    Without `body` no bodies are sent along.
    """

    def __init__(
        self, options: ProxyOptions, folder: Path, *, rpc_port: int, body: BodyOptions | None
    ) -> None:
        super().__init__(options, folder)
        self._rpc_port = rpc_port
        self._body = body

    def bootstrap(self, access_log: Path) -> Yaml:
        document: Any = copy.deepcopy(super().bootstrap(access_log))
        resources = document["static_resources"]
        resources["clusters"].append(_rpc_cluster(self._rpc_port))
        (chain,) = resources["listeners"][0]["filter_chains"]
        manager = chain["filters"][0]["typed_config"]
        manager["upgrade_configs"] = [{"upgrade_type": "websocket"}]
        manager["http2_protocol_options"] = {"allow_connect": True}
        (host,) = manager["route_config"]["virtual_hosts"]
        rpc_route = {"match": {"prefix": "/", "grpc": {}}, "route": {"cluster": _RPC}}
        host["routes"].insert(0, rpc_route)
        if self._body is not None:
            (check,) = (f for f in manager["http_filters"] if f["name"].endswith("ext_authz"))
            check["typed_config"]["with_request_body"] = {
                "max_request_bytes": self._body.max_bytes,
                "allow_partial_message": self._body.is_partial,
                "pack_as_bytes": self._body.as_bytes,
            }
        return document  # type: ignore[no-any-return]  # a mapping of YAML


def _rpc_cluster(port: int) -> Yaml:
    address = {"socket_address": {"address": HOST, "port_value": port}}
    endpoints = [{"endpoint": {"address": address}}]
    return {
        "name": _RPC,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": _RPC, "endpoints": [{"lb_endpoints": endpoints}]},
        "typed_extension_protocol_options": _HTTP2,
    }
