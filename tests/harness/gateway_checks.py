"""Checks as gateways write them of one and the same call, each in its own form.

The forms follow the sources of these versions; what differs between them is what the tests are
about. Fields that we never read (addresses, SNI, stream ids) are left out.

Sources: agentgateway v1.4.1 `crates/agentgateway/src/http/ext_authz.rs` (check, build_metadata) and
`src/transport/tls.rs` (sans, IstioIdentity); Envoy `source/extensions/filters/common/ext_authz/
check_request_utils.cc`; Envoy Gateway v1.9.1 `internal/xds/translator/extauth.go`; kgateway v2.2.0
`pkg/kgateway/extensions2/plugins/trafficpolicy/gateway_extension.go`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any
from urllib.parse import quote

from deputize._proto.envoy.service.auth.v3.external_auth_pb2 import CheckRequest

NAMESPACE = "deputize.peer"
"""Where agentgateway puts what the expression of the examples gives."""

_ISTIO_ID = re.compile(r"spiffe://[^/]+/ns/[^/]+/sa/[^/]+")
_PARTIAL = "x-envoy-auth-partial-body"


class Body(Enum):
    """How the proxy sends bodies."""

    NONE = auto()
    TEXT = auto()
    OCTETS = auto()


@dataclass(frozen=True, slots=True)
class Sent:
    """What a client sent, and the names and the PEM of its certificate."""

    method: str
    host: str
    path: str
    headers: tuple[tuple[str, str], ...]
    sans: tuple[str, ...]
    certificate: str
    body: bytes = b""

    @property
    def pseudo(self) -> dict[str, str]:
        return {
            ":method": self.method,
            ":scheme": "https",
            ":authority": self.host,
            ":path": self.path,
        }


def agentgateway_check(
    sent: Sent, *, body: Body, peer: dict[str, Any] | None, cut_at: int | None = None
) -> bytes:
    """As agentgateway writes it.

    `peer` is what the CEL expression gives, None where it fails or gives no map. With `cut_at` only
    so many bytes of a longer body come along.
    """
    check = CheckRequest()
    attributes = check.attributes
    names = [name for name in sent.sans if _ISTIO_ID.fullmatch(name)]
    attributes.source.principal = names[0] if names else ""
    # Always there, with or without anything in it.
    attributes.metadata_context.SetInParent()
    if peer is not None:
        attributes.metadata_context.filter_metadata[NAMESPACE].update(peer)
    http = attributes.request.http
    http.method, http.host, http.path = sent.method, sent.host, sent.path
    http.scheme = "https"
    http.headers.update(sent.pseudo | _joined(sent.headers, ", ", cookies="; "))
    if body is not Body.NONE:
        is_cut = cut_at is not None and len(sent.body) > cut_at
        octets = sent.body[:cut_at]
        http.size = -1 if is_cut else len(octets)
        if body is Body.TEXT:
            http.body = octets.decode("utf-8", "replace")
        else:
            http.raw_body = octets
    return check.SerializeToString()


def envoy_check(sent: Sent, *, body: Body, with_certificate: bool = False) -> bytes:
    """As Envoy writes it, whoever configured it.

    `source.principal` is the first URI SAN, without one the first DNS SAN.
    """
    check = CheckRequest()
    attributes = check.attributes
    uris = [name for name in sent.sans if ":" in name]
    attributes.source.principal = (uris or list(sent.sans) or [""])[0]
    if with_certificate:
        attributes.source.certificate = quote(sent.certificate, safe="")
    attributes.metadata_context.SetInParent()
    http = attributes.request.http
    http.method, http.host, http.path = sent.method, sent.host, sent.path
    http.scheme = "https"
    http.headers.update(sent.pseudo | _joined(sent.headers, ",", cookies=","))
    http.headers["x-request-id"] = "1e2f7d0c-6a50-4d57-8f5b-0b6a3c4d5e6f"
    if body is not Body.NONE:
        http.headers[_PARTIAL] = "false"
        http.size = len(sent.body)
        if body is Body.TEXT:
            http.body = sent.body.decode("utf-8", "replace").replace("\ufffd", "!")
        else:
            http.raw_body = sent.body
    return check.SerializeToString()


def _joined(headers: Iterable[tuple[str, str]], separator: str, *, cookies: str) -> dict[str, str]:
    values: dict[str, list[str]] = {}
    for name, value in headers:
        values.setdefault(name, []).append(value)
    return {
        name: (cookies if name == "cookie" else separator).join(given)
        for name, given in values.items()
    }
