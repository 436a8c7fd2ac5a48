"""A service where somebody approves calls, in memory, and a delegation to approve calls of."""

from __future__ import annotations

import itertools
import json
from collections.abc import Collection, Mapping

from deputize.core.model import Actor, Delegation, DelegationStyle, Kind, Principal
from deputize.core.spiffe import parse_spiffe_id
from tests.harness.issuer import Issuer
from tests.harness.world import AGENT, ISSUER_URL

APPROVALS_URL = "https://approvals.example"
APPROVER = "carol"


class ApprovalDesk:
    """Signs approvals with the keys of `issuer`; each has a `jti` of its own."""

    def __init__(self, url: str = APPROVALS_URL, *, issuer: Issuer | None = None) -> None:
        self.issuer = issuer or Issuer(url)
        self._numbers = itertools.count(1)

    def approve(
        self,
        asked: Mapping[str, object],
        *,
        now: float,
        lifetime: float = 60,
        approver: str = APPROVER,
        claims: Mapping[str, object] = {},
        omit: Collection[str] = (),
        header: Mapping[str, object] = {},
    ) -> str:
        """An approval of what a refusal asks for: its `approval`, or `ApprovalSubject.to_json()`.

        `claims` and `header` add or replace members; `omit` removes claims or header members.
        """
        payload: dict[str, object] = {
            "iss": self.issuer.url,
            "iat": int(now),
            "exp": int(now + lifetime),
            "jti": f"approval-{next(self._numbers)}",
            "approver": approver,
            **asked,
            **claims,
        }
        head = {**self.issuer.header(), "typ": "deputize-approval+jwt", **header}
        for name in omit:
            payload.pop(name, None)
            head.pop(name, None)
        return self.issuer.sign(head, json.dumps(payload).encode())


def make_delegation(
    *, agent: str = AGENT, issuer: str = ISSUER_URL, subject: str = "alice"
) -> Delegation:
    """The agent acts for this principal, with nobody in between."""
    return Delegation(
        Principal(issuer, subject, Kind.USER, {}),
        parse_spiffe_id(agent),
        (Actor(agent, "", Kind.AGENT),),
        frozenset(),
        DelegationStyle.DELEGATED,
    )
