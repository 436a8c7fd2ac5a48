"""Decides supposed calls under given policies, by the very decision the service makes.

Of all that a decision asks for, only the policies are real. The rest is supposed to be in order:
who calls is in a trusted domain, and every issuer and approval service signs with one key that
nobody else trusts (`supposed_trust.py`).

Rules of this file:
- No shortcut: each call becomes a signed token and a check message, and `decide` reads them.
- Obligations (a budget, using something once) stand in the permit. None is performed, but where a
  call says how often budgets were used before (`supposed_uses.py`).

Sources: RFC 9068 section 2; RFC 8693 section 4.1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple

from deputize.cli.supposed_call import (
    SupposedCall,
    SupposedCallError,
    ask,
)
from deputize.cli.supposed_trust import (
    AUDIENCE,
    KIND_CLAIM,
    Signer,
    Trust,
    named_domains,
    named_issuers,
    named_services,
)
from deputize.cli.supposed_uses import spend_after
from deputize.config.policy_compiler import CompiledPolicies
from deputize.config.problems import ConfigError
from deputize.core.approval import APPROVAL_TYPE
from deputize.core.decide import decide
from deputize.core.delegation import DEEPEST_CHAIN
from deputize.core.keys import KeyRing
from deputize.core.model import AccessRequest, DelegationStyle, Json, Kind, Resource
from deputize.core.profiles import ACCESS_TOKEN_TYPE
from deputize.core.request import AUTHORIZATION, read_action
from deputize.core.request_calls import find_resource
from deputize.core.revocation import NOTHING_REVOKED, Revocations
from deputize.core.snapshot import Snapshot
from deputize.core.spiffe import SpiffeIdError, TrustDomain, parse_spiffe_id
from deputize.core.verdict import Decision, Denial, Denied
from deputize.server.state import Fetched, TokenMemory, build_snapshot

APPROVER = "supposed-approver"
"""Who approved where nobody is named."""

_ID = "supposed"
_LIFETIME = 300
_REMEMBERED = 20_000
_SAID_BY_CALL = frozenset({"iss", "sub", "aud", "act", "scope", "client_id", "cnf", "status"})


class Judgement(NamedTuple):
    """A supposed call as it was asked, and what was decided."""

    asked: AccessRequest
    decision: Decision


class Court:
    """Decides supposed calls under these policies.

    `delegation` are the settings of that name of a service configuration, as one writes them;
    without them chains may be as deep as any configuration could allow. With `is_observed` no
    refusal of policies is enforced, as with `policyMode: observe`.
    """

    def __init__(
        self,
        policies: CompiledPolicies,
        *,
        delegation: Mapping[str, object] | None = None,
        is_observed: bool = False,
    ) -> None:
        """Raises ConfigError: an approval service of a rule is an issuer of tokens too."""
        self._policies = policies
        self._rules = {rule.ref: rule for rule in policies.rules}
        self._signer = Signer()
        self._memory = TokenMemory(_REMEMBERED)
        self._trust = Trust(
            named_issuers(policies),
            named_domains(policies),
            named_services(policies),
            {"maxChainDepth": DEEPEST_CHAIN} if delegation is None else delegation,
            "observe" if is_observed else "enforce",
        )
        compiled = replace(self._trust.compile(), policies=policies)
        self._approval_header = compiled.approval_header
        self._admits_all = True
        fetched = Fetched(self._rings(), NOTHING_REVOKED, {}, {})
        self.snapshot: Snapshot = build_snapshot(compiled, _ID, fetched, None)
        """What calls are decided under."""

    def hold_to(
        self,
        issuer: str,
        trust_domains: frozenset[TrustDomain],
        revocations: Revocations,
        digest: str,
    ) -> None:
        """From now on trusts no other trust domain, and of issuers this one beside those named.

        Raises:
            ConfigError: an approval service of a rule is that issuer.
        """
        self._trust_in(replace(self._trust, issuers=self._trust.issuers | {issuer}))
        self._admits_all = False
        self.snapshot = replace(
            self.snapshot,
            peer_rules=replace(self.snapshot.peer_rules, trust_domains=trust_domains),
            revocations=revocations,
            digest=digest,
        )

    def decide(self, call: SupposedCall) -> Judgement:
        """Decides one call.

        Raises:
            SupposedCallError: it cannot be written down as a token and a request.
        """
        self._admit(call)
        headers = {} if AUTHORIZATION in call.headers else {AUTHORIZATION: self._credential(call)}
        judgement = self._judge(call, headers)
        decision = judgement.decision
        refusal = decision.verdict if isinstance(decision.verdict, Denial) else decision.observed
        if not call.approved or refusal is None or refusal.approval is None:
            return judgement
        return self._judge(call, {**headers, self._approval_header: self._approve(call, refusal)})

    def _judge(self, call: SupposedCall, headers: Mapping[str, str]) -> Judgement:
        asked = ask(call, headers, self._find_resource, _ID)
        decision = decide(asked, self.snapshot, call.at, self._memory.recall)
        token = decision.proven.token
        if token is not None:
            compact = asked.headers[AUTHORIZATION].partition(" ")[2]
            if self._memory.recall(compact) is not token:
                self._memory.remember(compact, token)
        return Judgement(
            asked, spend_after(decision, call.used, call.at) if call.used else decision
        )

    def _find_resource(self, asked: AccessRequest) -> Resource | None:
        try:
            return find_resource(read_action(asked), self._policies.resources)
        except Denied:
            return None

    def _admit(self, call: SupposedCall) -> None:
        """Trusts the call's issuer and trust domain: nothing but policies shall refuse it."""
        if not math.isfinite(call.at):
            raise SupposedCallError("its time is no time")
        if not self._admits_all:
            return
        try:
            domains = {parse_spiffe_id(call.agent).trust_domain.name}
        except SpiffeIdError:
            # Left to the decision, which says what is wrong with it.
            domains = set()
        trust = self._trust
        if call.issuer in trust.issuers and domains <= trust.trust_domains:
            return
        trust = replace(
            trust,
            issuers=trust.issuers | {call.issuer},
            trust_domains=trust.trust_domains | domains,
        )
        try:
            self._trust_in(trust)
        except ConfigError as error:
            raise SupposedCallError(f"its issuer cannot be configured: {error}") from None

    def _trust_in(self, trust: Trust) -> None:
        compiled = trust.compile()
        self._trust = trust
        peers = replace(self.snapshot.peer_rules, trust_domains=compiled.peers.trust_domains)
        self.snapshot = replace(
            self.snapshot,
            issuers=compiled.issuers,
            key_rings=MappingProxyType(self._rings()),
            peer_rules=peers,
        )

    def _rings(self) -> dict[str, KeyRing]:
        return dict.fromkeys(self._trust.issuers | self._trust.services, self._signer.ring)

    def _credential(self, call: SupposedCall) -> str:
        given = _SAID_BY_CALL & call.claims.keys()
        if given:
            raise SupposedCallError(f"claim `{min(given)}` follows from the rest of the call")
        claims: dict[str, Json] = {
            "iss": call.issuer,
            "aud": AUDIENCE,
            "sub": call.subject,
            "client_id": call.agent,
            "iat": int(call.at),
            "exp": int(call.at) + _LIFETIME,
            "scope": " ".join(sorted(call.scopes)),
        }
        if call.style is DelegationStyle.DELEGATED:
            claims["act"] = _nest_actors((call.agent, *call.chain))
        if call.kind is not Kind.UNKNOWN:
            claims[KIND_CLAIM] = call.kind.value
        return f"Bearer {self._signer.sign(ACCESS_TOKEN_TYPE, {**claims, **call.claims})}"

    def _approve(self, call: SupposedCall, refusal: Denial) -> str:
        rule = None if refusal.rule is None else self._rules[refusal.rule]
        services = rule.approval.services if rule is not None and rule.approval else ()
        claims: dict[str, Json] = {
            "iss": min(services, default=""),
            "iat": int(call.at),
            "exp": int(call.at) + _LIFETIME,
            "approver": call.approved if isinstance(call.approved, str) else APPROVER,
            **(refusal.approval or {}),
        }
        return self._signer.sign(APPROVAL_TYPE, claims)


def _nest_actors(names: tuple[str, ...]) -> dict[str, Json]:
    act: dict[str, Json] = {"sub": names[0]}
    return {**act, "act": _nest_actors(names[1:])} if names[1:] else act
