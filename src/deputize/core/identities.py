"""The identity map: the names an issuer has for agents, to their SPIFFE IDs.

Rules of this file:
- A name has one reading: a SPIFFE ID stands for itself, then the table, then the templates, of
  which at most one may fit. What none of them knows has no SPIFFE ID.
- A template stands for whole names; what it takes over cannot change the shape of the ID.

Sources: SPIFFE-ID.md sections 2.1 and 2.2; Kubernetes `system:serviceaccount:<namespace>:<name>`
(`pkg/serviceaccount`, MakeUsername); the SPIFFE IDs of Istio, `/ns/<namespace>/sa/<name>`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from deputize.core.spiffe import SpiffeId, SpiffeIdError, parse_spiffe_id

_PLACE = re.compile(r"<([a-z][a-z0-9_]{0,31})>")
_VALUE = "[A-Za-z0-9._-]{1,253}"
_WHOLE_VALUE = re.compile(_VALUE, re.ASCII)
_SAMPLE = "x"


class IdentityError(ValueError):
    """The name has no SPIFFE ID, or the template cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Template:
    """`system:serviceaccount:<ns>:<sa>` to `spiffe://td/ns/<ns>/sa/<sa>`."""

    pattern: re.Pattern[str]
    target: str

    def apply(self, name: str) -> str | None:
        """The SPIFFE ID as text; None where the name is of another form."""
        match = self.pattern.fullmatch(name)
        if match is None:
            return None
        values = match.groupdict()
        return _PLACE.sub(lambda place: values[place[1]], self.target)


@dataclass(frozen=True, slots=True)
class IdentityMap:
    """How one issuer's names for agents are read."""

    exact: Mapping[str, SpiffeId]
    templates: tuple[Template, ...]

    def find(self, name: str) -> SpiffeId:
        """The SPIFFE ID of the agent with this name.

        Raises:
            IdentityError: no entry fits, more than one template does, or the result is no ID.
        """
        mapped = self.exact.get(name)
        if mapped is not None:
            return mapped
        if name.startswith("spiffe://"):
            return _parse(name)
        found = {text for entry in self.templates if (text := entry.apply(name)) is not None}
        if len(found) != 1:
            raise IdentityError("maps to two SPIFFE IDs" if found else "maps to no SPIFFE ID")
        return _parse(found.pop())


def parse_template(source: str, target: str) -> Template:
    """Reads a template; `<name>` stands for letters, digits, `.`, `_` and `-`.

    Raises:
        IdentityError: a place that stands twice or is not in both texts, two places that nothing
            certain divides, a place in the trust domain, or a target that is no SPIFFE ID.
    """
    places = _PLACE.findall(source)
    if not places or len(set(places)) != len(places):
        raise IdentityError("`name` has one or more different places like `<ns>`")
    if set(_PLACE.findall(target)) != set(places):
        raise IdentityError("`name` and `spiffeId` have the same places")
    if "<" in target.removeprefix("spiffe://").partition("/")[0]:
        raise IdentityError("the trust domain of `spiffeId` is fixed")
    texts = _PLACE.split(source)[::2]
    if any(_WHOLE_VALUE.fullmatch(text) or not text for text in texts[1:-1]):
        raise IdentityError("between two places stands a character that neither may have, like `:`")
    try:
        parse_spiffe_id(_PLACE.sub(_SAMPLE, target))
    except SpiffeIdError as error:
        raise IdentityError(f"`spiffeId`: {error}") from None
    pattern = re.escape(texts[0])
    for place, text in zip(places, texts[1:], strict=True):
        pattern += f"(?P<{place}>{_VALUE}){re.escape(text)}"
    return Template(re.compile(pattern, re.ASCII), target)


def _parse(text: str) -> SpiffeId:
    try:
        return parse_spiffe_id(text)
    except SpiffeIdError as error:
        raise IdentityError(f"is no SPIFFE ID: {error}") from None
