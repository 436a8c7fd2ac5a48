"""A proxy's check message to an `AccessRequest`. Believes nothing, decides nothing.

Rules of this file:
- Never raises for what a proxy or its caller sent: what cannot be read becomes a `defect`.
- Both header forms of Envoy give the same value: the map, and `header_map` with raw values,
  whose repeated names are joined with `,` as Envoy does in the map.
- Metadata costs nothing where there is none; where there is, its size and depth are bounded.

Source: Envoy `api/envoy/service/auth/v3/attribute_context.proto`,
`source/extensions/filters/common/ext_authz/check_request_utils.cc`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from google.protobuf.message import DecodeError
from google.protobuf.struct_pb2 import Struct, Value

from deputize._proto.envoy.config.core.v3.base_pb2 import HeaderValue, Metadata
from deputize._proto.envoy.service.auth.v3.attribute_context_pb2 import AttributeContext
from deputize._proto.envoy.service.auth.v3.external_auth_pb2 import CheckRequest
from deputize.core.model import AccessRequest, Json

MAX_METADATA_BYTES = 65536
"""As encoded, all namespaces together."""
MAX_METADATA_DEPTH = 16

_NO_METADATA: Mapping[str, Json] = MappingProxyType({})


class _MetadataError(ValueError):
    """The metadata cannot be read; the message says why."""


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
    metadata = _NO_METADATA
    # Envoy sends an empty message where there is no metadata.
    if attributes.HasField("metadata_context") and attributes.metadata_context.filter_metadata:
        try:
            metadata = _read_metadata(attributes.metadata_context)
        except _MetadataError as error:
            defect = defect or str(error)
    principal = source.principal
    body, body_defect = _read_body(http)
    return AccessRequest(
        decision_id,
        defect,
        attributes.request.HasField("http"),
        http.method,
        http.scheme,
        http.host,
        http.path,
        headers,
        principal,
        source.certificate,
        metadata,
        # Told where it explains a missing principal; not worth its time elsewhere.
        not principal and source.address.HasField("envoy_internal_address"),
        proxies,
        body,
        http.size,
        body_defect,
    )


def unreadable(defect: str, decision_id: str, proxies: tuple[str, ...] | None) -> AccessRequest:
    """A request of which nothing is known but that it cannot be read."""
    return AccessRequest(
        decision_id=decision_id,
        defect=defect,
        is_http=False,
        method="",
        scheme="",
        host="",
        path="",
        headers={},
        asserted_principal="",
        certificate="",
        metadata=_NO_METADATA,
        is_internal=False,
        proxies=proxies,
    )


def _read_body(http: AttributeContext.HttpRequest) -> tuple[bytes, str]:
    """The body, and why it may not be what the caller sent."""
    text = http.body
    if not text:
        return http.raw_body, ""
    if http.raw_body:
        return b"", "a body in both forms"
    if "!" in text or "\ufffd" in text:
        # Where Envoy sends the body as text, these stand for octets that are none.
        return b"", "a text body that may have been changed; let the proxy send octets"
    return text.encode("utf-8", "surrogatepass"), ""


def _join(raw: Iterable[HeaderValue]) -> dict[str, str]:
    values: dict[str, list[str]] = {}
    for header in raw:
        value = header.raw_value.decode("utf-8", "replace") or header.value
        values.setdefault(header.key, []).append(value)
    return {name: ",".join(sent) for name, sent in values.items()}


def _read_metadata(metadata: Metadata) -> dict[str, Json]:
    if metadata.ByteSize() > MAX_METADATA_BYTES:
        raise _MetadataError(f"more than {MAX_METADATA_BYTES} bytes of metadata")
    sent = metadata.filter_metadata
    return {name: _read_struct(sent[name], MAX_METADATA_DEPTH) for name in sent}


def _read_struct(struct: Struct, depth: int) -> dict[str, Json]:
    fields = struct.fields
    return {name: _read_value(fields[name], depth - 1) for name in fields}


def _read_value(value: Value, depth: int) -> Json:
    if depth == 0:
        raise _MetadataError(f"metadata deeper than {MAX_METADATA_DEPTH}")
    match value.WhichOneof("kind"):
        case "string_value":
            return value.string_value
        case "list_value":
            return [_read_value(item, depth - 1) for item in value.list_value.values]
        case "struct_value":
            return _read_struct(value.struct_value, depth)
        case "bool_value":
            return value.bool_value
        case "null_value":
            return None
        case "number_value" if math.isfinite(value.number_value):
            return value.number_value
        case _:
            raise _MetadataError("metadata that is not JSON: no kind, NaN or Infinity")
