"""Whether checks are answered, and whether they are answered for whoever asks.

Rules of this file:
- The check that is sent has no token, no peer and a host that nobody has: it can only be refused,
  and leaves one audit event. Over TLS nothing is sent at all: who is let in without a certificate
  is seen from the server's first word, its HTTP/2 settings.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from ipaddress import ip_address

import grpc
from google.protobuf.message import DecodeError
from grpc_health.v1 import health_pb2

from deputize._proto.envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse
from deputize.doctor.certificates import find_ending
from deputize.doctor.findings import Code, Finding, Report, found_at
from deputize.server.grpc_server import HEALTH_NAMES, SERVICE
from deputize.server.health import HEALTH_SERVICE

SECONDS = 5.0
HOST = "doctor.invalid"
"""What the check asks about: a name that can be nobody's (RFC 2606)."""

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"
"""The client's first words in HTTP/2 (RFC 9113 section 3.4): its preface and empty settings."""
_FRAME_HEAD = 9
_OPEN = "whoever reaches it from here can claim to be any peer"


def ask_port(address: str, report: Report, *, is_local: bool | None = None) -> None:
    """Adds what the port at `address` (`host:port` or `unix:/path`) shows.

    `is_local` says whether only this host reaches it; None to tell by its address.
    """
    local = is_loopback(address) if is_local is None else is_local
    try:
        certificate = None if address.startswith("unix:") else _served(address)
    except OSError as error:
        report.add([found_at(address, Code.NO_ANSWER, f"{type(error).__name__}: {error}")])
        return
    if certificate is None:
        report.add(_ask_plain(address, report, is_local=local))
        return
    report.checked.append(f"certificate served at {address}")
    report.add(find_ending(certificate, address))
    if not _lets_anybody_in(address):
        report.checked.append(f"callers without a certificate are kept out at {address}")
        report.unchecked.append(f"gRPC health at {address}: callers need a certificate")
    elif not local:
        cause = f"TLS without a certificate of the caller: {_OPEN}"
        report.add([found_at(address, Code.CHECK_OPEN, cause)])
    else:
        report.unchecked.append(f"gRPC health at {address}: asked over plain text only")


def is_loopback(address: str) -> bool:
    """Whether an address is one of this host only, whatever it resolves to."""
    if address.startswith("unix:"):
        return True
    host, port = _split(address)
    try:
        found = {entry[4][0] for entry in socket.getaddrinfo(host, port)}
    except OSError:
        return False
    return all(ip_address(str(each).partition("%")[0]).is_loopback for each in found)


def _ask_plain(address: str, report: Report, *, is_local: bool) -> Iterator[Finding]:
    # Else channels to one address share a connection, and see each other's faults.
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)]
    with grpc.insecure_channel(address, options) as channel:
        for name in HEALTH_NAMES:
            state = _health(channel, name)
            if state != "SERVING":
                cause = f"{state} for the service `{name}`"
                yield found_at(address, Code.NOT_SERVING, cause)
        report.checked.append(f"gRPC health of {address}")
        answer = _check(channel)
    if answer is None:
        report.checked.append(f"no check is answered from here at {address}")
    elif answer.status.code == 0:
        cause = "a check without token and peer was allowed: this is not deputize"
        yield found_at(address, Code.NO_ANSWER, cause)
    elif not is_local:
        yield found_at(address, Code.CHECK_OPEN, f"plain text: {_OPEN}")
    else:
        report.checked.append(f"a check without a token is refused at {address}")


def _health(channel: grpc.Channel, name: str) -> str:
    method: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
        f"/{HEALTH_SERVICE}/Check"
    )
    states = health_pb2.HealthCheckResponse
    try:
        request = health_pb2.HealthCheckRequest(service=name).SerializeToString()
        octets = method(request, timeout=SECONDS)
        return states.ServingStatus.Name(states.FromString(octets).status)
    except (grpc.RpcError, ValueError, DecodeError):
        return "no state"


def _check(channel: grpc.Channel) -> CheckResponse | None:
    """The answer; None where there is none, which is how it should be for strangers."""
    request = CheckRequest()
    http = request.attributes.request.http
    http.method, http.host, http.path = "GET", HOST, "/"
    http.headers.update({":method": "GET", ":authority": HOST, ":path": "/"})
    method: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(f"/{SERVICE}/Check")
    try:
        return CheckResponse.FromString(method(request.SerializeToString(), timeout=SECONDS))
    except (grpc.RpcError, DecodeError):
        return None


def _served(address: str) -> bytes | None:
    """The certificate that a client gets, as PEM; None where the port speaks no TLS.

    Raises:
        OSError: nobody listens there.
    """
    with socket.create_connection(_split(address), SECONDS) as plain:
        try:
            with _secure(plain) as stream:
                der = stream.getpeercert(binary_form=True)
        except OSError:
            return None
    return ssl.DER_cert_to_PEM_cert(der).encode() if der else None


def _lets_anybody_in(address: str) -> bool:
    try:
        with socket.create_connection(_split(address), SECONDS) as plain, _secure(plain) as stream:
            stream.sendall(_PREFACE)
            # With TLS 1.3 a server says only now that it wants a certificate.
            return len(stream.recv(_FRAME_HEAD)) > 0
    except OSError:
        return False


def _secure(stream: socket.socket) -> ssl.SSLSocket:
    """Takes whatever certificate is served, to look at it; nothing worth having is sent there."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    return context.wrap_socket(stream)


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)
