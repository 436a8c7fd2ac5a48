"""What doctor finds: a code with its place and cause. What a code means is in `table.py`.

Rules of this file:
- Codes are stable: none is renamed or used for something else.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum


class Severity(StrEnum):
    """An error lets in what should not be, or keeps out all; a warning may come to either."""

    ERROR = "error"
    WARNING = "warning"


class Code(StrEnum):
    """The code of a finding."""

    CONFIG_INVALID = "config-invalid"

    PROVIDER_UNKNOWN = "provider-unknown"
    SERVICE_UNKNOWN = "service-unknown"
    PORT_UNKNOWN = "port-unknown"
    ASKED_OVER_HTTP = "asked-over-http"
    TIMEOUT_MISSING = "timeout-missing"
    TIMEOUT_SHORT = "timeout-short"
    FAIL_OPEN = "fail-open"
    CHECKS_SAMPLED = "checks-sampled"
    CALLS_UNASKED = "calls-unasked"
    BODY_MISSING = "body-missing"
    BODY_PARTIAL = "body-partial"
    BODY_AS_TEXT = "body-as-text"
    BODY_TOO_LARGE = "body-too-large"
    HEADERS_HIDDEN = "headers-hidden"
    TOKEN_STRIPPED = "token-stripped"  # noqa: S105 - a code, no secret
    CACHE_UNSAFE = "cache-unsafe"
    CACHE_UNAUDITED = "cache-unaudited"

    CERTIFICATE_NOT_SENT = "certificate-not-sent"
    CLIENT_CERTIFICATE_NOT_REQUIRED = "client-certificate-not-required"
    METADATA_ABSENT = "metadata-absent"
    METADATA_NO_MAP = "metadata-no-map"
    WAYPOINT_NOT_ANNOTATED = "waypoint-not-annotated"
    WAYPOINT_SOURCE = "waypoint-source"
    WAYPOINT_UNLISTED = "waypoint-unlisted"
    WAYPOINT_ABSENT = "waypoint-absent"
    MTLS_NOT_STRICT = "mtls-not-strict"

    CUSTOM_ON_AUTHORIZER = "custom-on-authorizer"
    CUSTOM_ON_TCP = "custom-on-tcp"
    CUSTOM_WITHOUT_TARGET = "custom-without-target"

    CALLERS_UNRESTRICTED = "callers-unrestricted"
    CALLERS_EVERYBODY = "callers-everybody"
    CALLER_UNLISTED = "caller-unlisted"

    PROBE_WITHOUT_TLS = "probe-without-tls"
    GRACE_SHORT = "grace-short"
    MEMORY_WITH_REPLICAS = "memory-with-replicas"
    MOUNT_NEVER_CHANGES = "mount-never-changes"

    NO_ANSWER = "no-answer"
    NOT_READY = "not-ready"
    SERVICE_WARNS = "service-warns"
    OBSERVE_MODE = "observe-mode"
    OTHER_CONFIG = "other-config"
    RELOADS_FAILED = "reloads-failed"
    AUDIT_LOST = "audit-lost"
    SOURCE_STALE = "source-stale"
    POLICY_UNUSED = "policy-unused"
    DECISIONS_SLOW = "decisions-slow"
    NOT_SERVING = "not-serving"
    CHECK_OPEN = "check-open"
    CERTIFICATE_EXPIRING = "certificate-expiring"
    CERTIFICATE_UNUSABLE = "certificate-unusable"
    CLOCK_SKEW = "clock-skew"
    KEYS_UNREACHABLE = "keys-unreachable"
    KEYS_UNUSABLE = "keys-unusable"
    DENY_LIST_UNREACHABLE = "deny-list-unreachable"
    DENY_LIST_UNUSABLE = "deny-list-unusable"
    REDIS_UNREACHABLE = "redis-unreachable"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong.

    `where` is `file:line: pointer`, or an address; `file` and `line` put findings in order. Texts
    may quote what others wrote: whoever prints them makes them visible.
    """

    file: str
    line: int
    where: str
    code: Code
    cause: str


@dataclass(slots=True)
class Report:
    """All that was found, what was looked at, and what could not be."""

    findings: set[Finding] = field(default_factory=set)
    checked: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)

    def add(self, findings: Iterable[Finding]) -> None:
        """Takes up more findings; one that is there already is not taken twice."""
        self.findings.update(findings)

    def ordered(self) -> list[Finding]:
        """By place; those of one place by code."""
        return sorted(
            self.findings,
            key=lambda each: (each.file, each.line, each.where, each.code, each.cause),
        )


def found_at(address: str, code: Code, cause: str) -> Finding:
    """A finding about something that runs, at an address."""
    return Finding(address, 0, address, code, cause)
