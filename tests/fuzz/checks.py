"""The target whose input is a whole check, as a proxy sends it."""

from __future__ import annotations

from google.protobuf import json_format

from deputize._proto.envoy.service.auth.v3.external_auth_pb2 import CheckRequest
from tests.fuzz.worlds import PLAIN
from tests.harness.ports import make_ports
from tests.harness.world import AGENT


def fuzz_check(octets: bytes) -> None:
    """Whatever is asked gets one lawful answer and one audit event, and nothing fails inside.

    An input that begins with `{` is the message in the JSON form of protobuf.
    """
    if octets.startswith(b"{"):
        message = CheckRequest()
        try:
            json_format.Parse(octets, message, ignore_unknown_fields=True, max_recursion_depth=50)
        except (json_format.ParseError, ValueError, RecursionError):
            return
        octets = message.SerializeToString()
    ports = make_ports(PLAIN)
    verdict = ports.ask(octets)
    assert len(ports.events) == 1
    assert verdict.reason != "system.internal"
    if verdict.allowed:
        assert CheckRequest.FromString(octets).attributes.source.principal == AGENT
