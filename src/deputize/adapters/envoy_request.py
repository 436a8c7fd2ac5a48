"""A proxy's check message to an `AccessRequest`. Believes nothing, decides nothing.

Rules of this file:
- Never raises for what a proxy or its caller sent: what cannot be read becomes a `defect`.
- Both header forms of Envoy give the same value: the map, and `header_map` with raw values,
  whose repeated names are joined with `,` as Envoy does in the map.

Source: Envoy `api/envoy/service/auth/v3/attribute_context.proto`,
`source/extensions/filters/common/ext_authz/check_request_utils.cc`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from google.protobuf.message import DecodeError

from deputize._proto.envoy.config.core.v3.base_pb2 import HeaderValue
from deputize._proto.envoy.service.auth.v3.external_auth_pb2 import CheckRequest
from deputize.core.model import AccessRequest


def read_check(octets: bytes, decision_id: str, proxies: tuple[str, ...] | None) -> AccessRequest:
    """Reads a serialized `envoy.service.auth.v3.CheckRequest`.

    `proxies` are the SPIFFE IDs of the calling proxy's certificate, None where none are asked for.
    """
    try:
        attributes = CheckRequest.FromString(octets).attributes
    except (DecodeError, RuntimeError):  # RuntimeError: a message nested too deep
        return unreadable("the check message cannot be decoded", decision_id, proxies)
    source, http = attributes.source, attributes.request.http
    sent = http.headers
    # `dict(sent)` would walk a view written in Python.
    headers: Mapping[str, str] = {name: sent[name] for name in sent}
    defect = ""
    if http.header_map.headers:
        if headers:
            defect = "headers in both forms"
        headers = _join(http.header_map.headers)
    if not defect and headers and not "".join(headers).islower():
        defect = "header names that are not in lower case"
    return AccessRequest(
        decision_id,
        defect,
        attributes.request.HasField("http"),
        http.method,
        http.host,
        http.path,
        headers,
        source.principal,
        source.certificate,
        proxies,
    )


def unreadable(defect: str, decision_id: str, proxies: tuple[str, ...] | None) -> AccessRequest:
    """A request of which nothing is known but that it cannot be read."""
    return AccessRequest(decision_id, defect, False, "", "", "", {}, "", "", proxies)  # noqa: FBT003


def _join(raw: Iterable[HeaderValue]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for header in raw:
        value = header.raw_value.decode("utf-8", "replace") or header.value
        headers[header.key] = f"{headers[header.key]},{value}" if header.key in headers else value
    return headers
