"""Deny lists: the third kind of YAML file, and what it revokes as a value of the core.

Rules of this file:
- A list has one reading or none: one mistake, and nothing of it counts. So an entry that could
  match no token (a line break in an identifier) is a mistake, not an entry without effect.
- "Nothing is revoked" must be said (`spec: {}`): an empty file is one that is being written.
- Saying a thing twice revokes it once, and of several cut-offs the latest counts: lists are put
  together in a hurry, from several hands.

Sources: RFC 3339 section 5.6 (moments); RFC 8259 (a list may be JSON, which is YAML).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Annotated, Literal, Self, TypeVar

from pydantic import AfterValidator, Field, model_validator

from deputize.config.model import Model
from deputize.config.problems import ConfigError, Problem
from deputize.config.strict_yaml import parse_documents
from deputize.config.texts import SpiffeIdText, Text
from deputize.config.validation import validate
from deputize.core.revocation import Revocations

MAX_ENTRIES = 200_000
"""Of each kind. A list of so many tokens is read in 5 seconds, with 400 MiB for that time."""
MAX_BYTES = 16 * 1024 * 1024
"""Room for `MAX_ENTRIES` tokens with identifiers of usual length."""

KeyT = TypeVar("KeyT")

_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?"
    r"(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)


def _check_printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("has a line break or another character no token may have here")
    return text


def _check_moment(text: str) -> str:
    _parse_moment(text)
    return text


def _parse_moment(text: str) -> float:
    """Seconds since the epoch.

    Raises:
        ValueError: not RFC 3339 with a zone, or no such day or time.
    """
    try:
        if _MOMENT.fullmatch(text):
            return datetime.fromisoformat(text).timestamp()
    except ValueError:
        pass
    raise ValueError("a time is like `2026-01-31T12:00:00Z`, or with a zone like `+02:00`")


ExactText = Annotated[Text, AfterValidator(_check_printable)]
MomentText = Annotated[
    Text, Field(json_schema_extra={"format": "date-time"}), AfterValidator(_check_moment)
]


class RevokedToken(Model):
    """One token."""

    issuer: ExactText
    """Its `iss`."""
    id: ExactText
    """Its identifier, as a rule `jti` (`tokenId` of the issuer's profile)."""


class RevokedPrincipal(Model):
    """All tokens of one principal."""

    issuer: ExactText
    """The `iss` of its tokens."""
    subject: ExactText
    """Its name there, as a rule `sub` (`principal` of the issuer's profile)."""


class Cutoff(Model):
    """All tokens issued before a moment: those for an agent, of an issuer, or of a principal."""

    issuer: ExactText | None = None
    """The `iss` of the tokens."""
    subject: ExactText | None = None
    """With `issuer`: only the tokens of this principal."""
    agent: SpiffeIdText | None = None
    """Instead of `issuer`: the SPIFFE ID of the agent they were issued to."""
    time: MomentText
    """The moment (RFC 3339, with a zone); a token whose `iat` is earlier is revoked."""

    @model_validator(mode="after")
    def _says_whose(self) -> Self:
        if (self.agent is None) == (self.issuer is None):
            raise ValueError("give exactly one of `agent`, `issuer`")
        if self.subject is not None and self.issuer is None:
            raise ValueError("`subject` goes with `issuer`")
        return self


class DenyListSpec(Model):
    """What is revoked; `{}` for nothing. An entry that stands twice counts once."""

    agents: list[SpiffeIdText] = Field(default=[], max_length=MAX_ENTRIES)
    """SPIFFE IDs of agents that are stopped: as peers, and in every chain."""
    tokens: list[RevokedToken] = Field(default=[], max_length=MAX_ENTRIES)
    """Single tokens."""
    principals: list[RevokedPrincipal] = Field(default=[], max_length=MAX_ENTRIES)
    """Principals, with all their tokens."""
    issuers: list[ExactText] = Field(default=[], max_length=MAX_ENTRIES)
    """Issuers by `iss`, with all their tokens."""
    issued_before: list[Cutoff] = Field(default=[], max_length=MAX_ENTRIES)
    """Tokens issued before a moment; of several that fit a token the latest counts."""


class DenyList(Model):
    """A deny list."""

    api_version: Literal["deputize.dev/v1alpha1"]
    """Always `deputize.dev/v1alpha1`."""
    kind: Literal["DenyList"]
    """Always `DenyList`."""
    spec: DenyListSpec
    """What is revoked."""


def parse_deny_list(octets: bytes, file: str) -> Revocations:
    """Reads one deny list, YAML or JSON; `file` names it in problems.

    `usable_until` is for ever: how old a list may become is up to the caller.

    Raises:
        ConfigError: every problem with its line; no document or several; more than `MAX_BYTES`.
    """
    if len(octets) > MAX_BYTES:
        raise ConfigError([Problem(file, 0, "", f"larger than {MAX_BYTES} bytes")])
    documents = parse_documents(octets, file)
    if len(documents) != 1:
        message = f"{len(documents)} YAML documents, exactly one is allowed"
        raise ConfigError([Problem(file, 0, "", message)])
    return _compile(validate(DenyList, documents[0]).spec)


def _compile(spec: DenyListSpec) -> Revocations:
    cutoffs = [(entry, _parse_moment(entry.time)) for entry in spec.issued_before]
    return Revocations(
        tokens=frozenset((entry.issuer, entry.id) for entry in spec.tokens),
        principals=frozenset((entry.issuer, entry.subject) for entry in spec.principals),
        agents=frozenset(spec.agents),
        issuers=frozenset(spec.issuers),
        issuer_cutoffs=_latest(
            (entry.issuer, moment)
            for entry, moment in cutoffs
            if entry.issuer is not None and entry.subject is None
        ),
        principal_cutoffs=_latest(
            ((entry.issuer, entry.subject), moment)
            for entry, moment in cutoffs
            if entry.issuer is not None and entry.subject is not None
        ),
        agent_cutoffs=_latest(
            (entry.agent, moment) for entry, moment in cutoffs if entry.agent is not None
        ),
        usable_until=math.inf,
    )


def _latest(pairs: Iterable[tuple[KeyT, float]]) -> Mapping[KeyT, float]:
    latest: dict[KeyT, float] = {}
    for key, moment in pairs:
        latest[key] = max(moment, latest.get(key, moment))
    return MappingProxyType(latest)
