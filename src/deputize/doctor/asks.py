"""How proxies are told to ask, in one form whatever the proxy, and what can be wrong with it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from deputize.doctor.findings import Code, Finding
from deputize.doctor.manifests import Manifest, is_same_namespace
from deputize.doctor.place import At
from deputize.doctor.pods import NAME
from deputize.doctor.world import World

HEADER_BYTES = 128 * 1024
"""What a check holds beside the body: headers, twice, and a certificate."""

_LONG_SECONDS = 1.0
"""A default above this is one that nobody meant."""
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_PART = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(h|ms|us|ns|m|s)")
_SIZES = {"": 1, "k": 1000, "K": 1000, "M": 10**6, "G": 10**9}
_SIZES |= {"Ki": 1024, "Mi": 1024**2, "Gi": 1024**3}
_SIZE = re.compile(r"([0-9]{1,12})(Ki|Mi|Gi|k|K|M|G|)")
_SERVICE_HOST = re.compile(r"([a-z0-9-]+)(?:\.([a-z0-9-]+)(?:\.svc(?:\.[a-z0-9.-]+)?)?)?")


@dataclass(frozen=True, slots=True)
class Body:
    """What a proxy sends of bodies. `partial` is where it is told to send parts."""

    at: At
    max_bytes: int | None
    partial: At | None
    is_text: bool


@dataclass(frozen=True, slots=True)
class Ask:
    """How one proxy is told to ask; `at` is where.

    `service` is what it asks, a host as it is written or `name.namespace` of a Service, and
    `default_seconds` holds where nothing stands at `timeout`: None where nothing ends the wait.
    """

    proxy: str
    at: At
    service: At
    host: str
    port: int | None
    timeout: At
    default_seconds: float | None
    namespace: str = ""
    fail_open: At | None = None
    body: Body | None = None
    over_http: At | None = None
    hidden: At | None = None
    fraction: At | None = None
    sends_certificate: bool = False

    def is_ours(self, world: World) -> bool:
        """Whether it is deputize that is asked, as far as names and ports tell."""
        if self.is_served(world.services):
            return True
        if not world.takes_rest or self.is_served(world.elsewhere):
            return False
        named = NAME in self.host or any(service.name == _name(self) for service in world.services)
        return named or self.port in world.check_ports

    def is_served(self, manifests: Sequence[Manifest]) -> bool:
        """Whether it leads to a Service among these."""
        return any(
            each.kind == "Service"
            and each.name == _name(self)
            and is_same_namespace(each.namespace, _namespace(self))
            for each in manifests
        )


def find_faults(ask: Ask, world: World) -> Iterator[Finding]:
    """What is wrong with it, whatever the proxy."""
    yield from _target(ask, world)
    yield from _time(ask, world)
    yield from _bodies(ask, world)
    if ask.fail_open is not None:
        yield at_place(ask.fail_open, Code.FAIL_OPEN, "a call that gets no answer is let in")
    if ask.fraction is not None:
        yield at_place(ask.fraction, Code.CHECKS_SAMPLED, "some calls are let in unasked")
    if ask.hidden is not None:
        yield at_place(ask.hidden, Code.HEADERS_HIDDEN, f"{ask.proxy} sends a part of the headers")
    if world.requires_certificate and not ask.sends_certificate:
        cause = f"peer.requireCertificate is set, and {ask.proxy} sends no certificate from here"
        yield at_place(ask.at, Code.CERTIFICATE_NOT_SENT, cause)


def find_missing_bodies(asks: Sequence[Ask], world: World) -> Iterator[Finding]:
    """Where policies need bodies and nobody sends any; one route with them may be all there is."""
    if world.needs.bodies and all(ask.body is None for ask in asks):
        for ask in asks:
            cause = f"policies need bodies, and {ask.proxy} sends none"
            yield at_place(ask.at, Code.BODY_MISSING, cause)


def at_place(at: At, code: Code, cause: str) -> Finding:
    """A finding at a place in a manifest."""
    return Finding(at.file, at.line, at.where, code, cause)


def read_body(at: At, *, is_text: bool) -> Body | None:
    """What a proxy is told there to send of bodies; None where it is told nothing."""
    if not at.exists:
        return None
    size = at["maxRequestBytes"].if_there or at["maxSize"]
    return Body(at, read_size(size.text), at["allowPartialMessage"].if_on, is_text)


def read_seconds(text: str) -> float | None:
    """The seconds of `0.25s`, `250ms`, `1m30s`; None for what is no duration."""
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def read_size(text: str) -> int | None:
    """The bytes of `8192`, `1Mi`; None for what is no size."""
    match = _SIZE.fullmatch(text)
    return int(match[1]) * _SIZES[match[2]] if match else None


def _target(ask: Ask, world: World) -> Iterator[Finding]:
    if ask.over_http is not None:
        cause = f"{ask.proxy} asks over HTTP; deputize answers over gRPC only"
        yield at_place(ask.over_http, Code.ASKED_OVER_HTTP, cause)
    if _is_declared_host(ask, world):
        return
    if not world.services:
        yield from _absent_service(ask, world)
        return
    name, namespace = _name(ask), _namespace(ask)
    found = [
        service
        for service in world.services
        if service.name == name and is_same_namespace(service.namespace, namespace)
    ]
    known = ", ".join(sorted(f"{each.name}.{each.namespace}" for each in world.services))
    if not found:
        if _is_service_host(ask):
            cause = f"no Service of deputize is `{ask.host}`; there is {known}"
            yield at_place(ask.service, Code.SERVICE_UNKNOWN, cause)
        return
    ports = {port["port"].whole for service in found for port in service.spec["ports"].items}
    good = {number for service in found for number in _check_ports(service, world)}
    if ask.port is not None and ask.port not in (good or ports):
        shown = ", ".join(str(port) for port in sorted(filter(None, good or ports)))
        cause = f"port {ask.port} of Service {name} is not where checks are answered: {shown}"
        yield at_place(ask.service, Code.PORT_UNKNOWN, cause)


def _absent_service(ask: Ask, world: World) -> Iterator[Finding]:
    """What is named like us, and is not there, though Services were given."""
    given = world.of("", "Service")
    is_named = NAME in ask.host and _is_service_host(ask)
    if given and is_named and not ask.is_served(given):
        cause = f"no Service `{ask.host}` among the {len(given)} given: nobody answers"
        yield at_place(ask.service, Code.SERVICE_UNKNOWN, cause)


def _check_ports(service: Manifest, world: World) -> Iterator[int | None]:
    for port in service.spec["ports"].items:
        target = port["targetPort"]
        is_named = "grpc" in {port["name"].text, target.text, port["appProtocol"].text}
        if is_named or (target.whole or port["port"].whole) in world.check_ports:
            yield port["port"].whole


def _is_declared_host(ask: Ask, world: World) -> bool:
    """Whether a ServiceEntry makes up the host, as for a deputize in the same pod."""
    entries = world.of("networking.istio.io", "ServiceEntry")
    return any(ask.host in entry.spec["hosts"].texts for entry in entries)


def _is_service_host(ask: Ask) -> bool:
    host = ask.host.rpartition("/")[2]
    return "." not in host or ".svc" in host or bool(ask.namespace)


def _name(ask: Ask) -> str:
    match = _SERVICE_HOST.fullmatch(ask.host.rpartition("/")[2])
    return match[1] if match else ""


def _namespace(ask: Ask) -> str:
    match = _SERVICE_HOST.fullmatch(ask.host.rpartition("/")[2])
    return (match[2] if match else None) or ask.namespace


def _time(ask: Ask, world: World) -> Iterator[Finding]:
    if ask.over_http is not None:
        return
    seconds = read_seconds(ask.timeout.text) if ask.timeout.exists else ask.default_seconds
    if not ask.timeout.exists and (seconds is None or seconds > _LONG_SECONDS):
        default = "nothing ends the wait" if seconds is None else f"the default is {seconds:g} s"
        yield at_place(ask.timeout, Code.TIMEOUT_MISSING, f"{ask.proxy} has no timeout: {default}")
    elif seconds is not None and seconds <= world.decision_seconds:
        cause = f"{seconds:g} s is not above decisionTimeoutMillis, {world.decision_seconds:g} s"
        yield at_place(ask.timeout, Code.TIMEOUT_SHORT, cause)


def _bodies(ask: Ask, world: World) -> Iterator[Finding]:
    body = ask.body
    if body is None:
        return
    if body.partial is not None:
        yield at_place(body.partial, Code.BODY_PARTIAL, "the beginning of a large body is sent")
    if body.is_text:
        cause = "octets that are not UTF-8 are sent as `!`, and such a body is refused"
        yield at_place(body.at, Code.BODY_AS_TEXT, cause)
    largest = world.max_message_bytes - HEADER_BYTES
    if body.max_bytes is not None and body.max_bytes > largest:
        cause = (
            f"bodies of {body.max_bytes} bytes, with headers, "
            f"are more than maxMessageBytes, {world.max_message_bytes}"
        )
        yield at_place(body.at, Code.BODY_TOO_LARGE, cause)
