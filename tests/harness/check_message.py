"""Checks as a proxy sends them, and what an answer means to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from google.protobuf import json_format

from deputize._proto.envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse
from tests.harness.world import AGENT, HOST


def make_check(
    token: str | None = None,
    *,
    method: str = "GET",
    host: str = HOST,
    path: str = "/v1/orders/7",
    headers: Mapping[str, str] = MappingProxyType({}),
    peer: str = AGENT,
) -> CheckRequest:
    """The message for a call like that of `world.make_request`."""
    check = CheckRequest()
    check.attributes.source.principal = peer
    http = check.attributes.request.http
    http.method, http.host, http.path = method, host, path
    http.headers.update({":authority": host, ":method": method, ":path": path})
    if token is not None:
        http.headers["authorization"] = f"Bearer {token}"
    http.headers.update(headers)
    return check


@dataclass(frozen=True, slots=True)
class Verdict:
    """An answer as the proxy understands it. `reason` is the code in our metadata."""

    allowed: bool
    reason: str
    decision_id: str
    response: CheckResponse

    @property
    def upstream_headers(self) -> dict[str, str]:
        """The headers the proxy sets on an allowed call."""
        return {
            option.header.key: option.header.value for option in self.response.ok_response.headers
        }


def read_answer(octets: bytes) -> Verdict:
    """Reads an answer; it must be a lawful allow or a lawful refusal."""
    response = CheckResponse.FromString(octets)
    allowed = response.status.code == 0
    if allowed:
        assert response.WhichOneof("http_response") == "ok_response"
    else:
        assert response.status.code in {7, 16}
        assert response.WhichOneof("http_response") == "denied_response"
        assert response.denied_response.status.code >= 400
    metadata = json_format.MessageToDict(response.dynamic_metadata)
    # The refusal of last resort has no metadata; its message is the code alone.
    reason = metadata.get("reason", response.status.message)
    return Verdict(allowed, reason, metadata.get("decision_id", ""), response)
