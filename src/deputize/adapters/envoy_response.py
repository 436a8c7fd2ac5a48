"""A decision to the answer a proxy gets.

Rules of this file:
- An answer is an allow, a refusal, or `LAST_RESORT`. A refusal carries gRPC code 7 or 16: an
  empty or OK status lets the request through, whatever else the answer says. Other codes and
  `error_response` count as failures, which proxies may be told to let pass.
- Our headers are set by overwriting; whatever a server could take for one of them is removed.
  A name never stands in both lists: Envoy removes after setting, agentgateway before.
- What a refusal says to the caller is in `refusal.py`.

Source: Envoy `api/envoy/service/auth/v3/external_auth.proto`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote

from google.protobuf.internal.containers import RepeatedCompositeFieldContainer

from deputize._proto.envoy.config.core.v3.base_pb2 import HeaderValueOption
from deputize._proto.envoy.service.auth.v3.external_auth_pb2 import (
    CheckResponse,
    DeniedHttpResponse,
)
from deputize._proto.envoy.type.v3.http_status_pb2 import HttpStatus
from deputize._proto.google.rpc.status_pb2 import Status
from deputize.adapters.presentation import PERMISSION_DENIED, PRESENTATIONS
from deputize.adapters.refusal import write_refusal
from deputize.core.model import AccessRequest, UpstreamFact
from deputize.core.reasons import Reason
from deputize.core.verdict import Decision, Denial, Permit

MAX_FACTS_BYTES = 4096
"""All facts for the upstream together; Envoy refuses header blocks above 60 KiB."""

_OVERWRITE = HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
_HEADER_SAFE = re.compile(r"[!-$&-~]*")
_SAFE = "!\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~"
_WORD = re.compile(r"[a-z0-9]+")
_AUTHORIZATION = "authorization"


class ObligationError(Exception):
    """What the grant obliges us to tell the upstream cannot be written."""


@dataclass(frozen=True, slots=True)
class UpstreamRules:
    """What the upstream gets: our header prefix, and what becomes of the token and others.

    `keep_token` leaves the token in `token_header`; else it is removed, and moved to
    `forward_header` where that is not empty.
    """

    header_prefix: str
    token_header: str
    keep_token: bool
    forward_header: str
    remove_headers: tuple[str, ...]


class Answers:
    """Writes answers under one set of upstream rules."""

    def __init__(self, rules: UpstreamRules) -> None:
        self._rules = rules
        self._names = {fact: rules.header_prefix + fact.value for fact in UpstreamFact}
        self._id_name = self._names[UpstreamFact.DECISION_ID]
        removed = set(rules.remove_headers)
        if not rules.keep_token:
            removed.add(rules.token_header)
        if rules.forward_header:
            removed.add(rules.forward_header)
        self._always_removed = frozenset(removed | set(self._names.values()))
        # A name of one word has no other spelling.
        governed = sorted(name for name in removed if not name.isalnum())
        alike = [_loosely(rules.header_prefix) + ".*", *map(_loosely, governed)]
        self._look_alike = re.compile(rf"^(?:{'|'.join(alike)})$", re.MULTILINE)
        self._tell_tales = tuple(map(_longest_word, [rules.header_prefix, *governed]))

    def to_response(self, request: AccessRequest, decision: Decision) -> bytes:
        """Serializes the answer, an `envoy.service.auth.v3.CheckResponse`.

        Raises:
            ObligationError: the facts for the upstream do not fit into headers.
        """
        if isinstance(decision.verdict, Permit):
            response = self._allow(request, decision, decision.verdict)
        else:
            response = self._deny(request, decision, decision.verdict)
        metadata = response.dynamic_metadata.fields
        for name, value in _metadata(decision):
            metadata[name].string_value = value
        return response.SerializeToString()

    def _allow(self, request: AccessRequest, decision: Decision, permit: Permit) -> CheckResponse:
        facts = {fact: _fact(fact, decision, permit) for fact in permit.grant.upstream_facts}
        # agentgateway ignores an empty value: what the caller sent would stay.
        given = {self._names[fact]: value for fact, value in facts.items() if value}
        if sum(map(len, given.values())) > MAX_FACTS_BYTES:
            raise ObligationError("the facts for the upstream are too long for headers")
        if self._rules.forward_header:
            given[self._rules.forward_header] = self._forwarded(request)
        removed = self._always_removed.difference(given)
        names = "\n".join(request.headers)
        if any(word in names for word in self._tell_tales):
            removed = removed.union(self._look_alike.findall(names)).difference(given)
        response = CheckResponse(status=Status())
        answer = response.ok_response
        for name, value in given.items():
            _add_header(answer.headers, name, value)
        answer.headers_to_remove.extend(removed)
        return response

    def _forwarded(self, request: AccessRequest) -> str:
        value = request.headers[self._rules.token_header]
        token = value.rpartition(" ")[2]
        return f"Bearer {token}" if self._rules.forward_header == _AUTHORIZATION else token

    def _deny(self, request: AccessRequest, decision: Decision, denial: Denial) -> CheckResponse:
        refusal = write_refusal(request, decision, denial)
        status = Status(code=refusal.grpc_code, message=denial.reason.value)
        response = CheckResponse(status=status)
        answer = response.denied_response
        answer.status.code = refusal.http_status
        answer.body = refusal.body
        for name, value in refusal.headers:
            _add_header(answer.headers, name, value)
        _add_header(answer.headers, self._id_name, decision.decision_id)
        return response


LAST_RESORT = CheckResponse(
    status=Status(code=PERMISSION_DENIED, message=Reason.SYSTEM_INTERNAL.value),
    denied_response=DeniedHttpResponse(
        status=HttpStatus(code=PRESENTATIONS[Reason.SYSTEM_INTERNAL].http_status)
    ),
).SerializeToString()
"""The refusal that needs nothing to be built."""


def _fact(fact: UpstreamFact, decision: Decision, permit: Permit) -> str:
    delegation = permit.delegation
    match fact:
        case UpstreamFact.PRINCIPAL:
            return _encode(delegation.principal.subject)
        case UpstreamFact.ISSUER:
            return _encode(delegation.principal.issuer)
        case UpstreamFact.AGENT:
            return delegation.agent.text
        case UpstreamFact.CHAIN:
            return ",".join(
                _encode(actor.subject).replace(",", "%2C") for actor in delegation.chain
            )
        case UpstreamFact.SCOPES:
            return " ".join(sorted(permit.grant.scopes))
        case UpstreamFact.TOKEN_ID:
            return _encode(permit.token.token_id)
        case UpstreamFact.RULE:
            return str(permit.grant.rule)
        case UpstreamFact.DECISION_ID:
            return decision.decision_id


def _loosely(name: str) -> str:
    """A pattern for what a server could take for the name.

    CGI and its heirs fold every character outside letters and digits to one.
    """
    return "".join(re.escape(char) if char.isalnum() else r"[^a-z0-9\n]" for char in name)


def _longest_word(name: str) -> str:
    """What every look-alike of the name has in it; spares most requests the pattern."""
    words: list[str] = _WORD.findall(name)
    return max(words, key=len, default="")


def _encode(text: str) -> str:
    """Printable ASCII without space stays; the rest, and `%` itself, is percent-encoded UTF-8."""
    return text if _HEADER_SAFE.fullmatch(text) else quote(text, safe=_SAFE)


def _add_header(
    headers: RepeatedCompositeFieldContainer[HeaderValueOption], name: str, value: str
) -> None:
    # Filled in place: building each message apart costs twice as much.
    option = headers.add(append_action=_OVERWRITE)
    option.header.key = name
    option.header.value = value


def _metadata(decision: Decision) -> list[tuple[str, str]]:
    """What access logs and later filters may use, on both answers."""
    proven, rule = decision.proven, decision.rule
    pairs = [
        ("decision_id", decision.decision_id),
        ("effect", decision.effect.value),
        ("reason", decision.reason.value),
    ]
    if proven.peer is not None:
        pairs.append(("peer", proven.peer.id.text))
    if proven.token is not None:
        pairs.append(("principal", proven.token.subject))
    if proven.delegation is not None:
        pairs.append(("agent", proven.delegation.agent.text))
    if proven.action is not None and proven.action.calls:
        # Of a batch only the first: what access logs need is a word, not a list.
        pairs.append(("call", proven.action.calls[0].method))
        pairs.append(("call_name", proven.action.calls[0].name))
    if rule is not None:
        pairs.append(("rule", str(rule)))
    if decision.observed is not None:
        pairs.append(("observed_reason", decision.observed.reason.value))
        pairs.append(("observed_rule", str(decision.observed.rule or "")))
    return pairs
