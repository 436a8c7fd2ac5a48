"""A request decided with a token that nobody issued: what would this principal's agent get?

Policies, limits, bounds on chains, trust domains and deny lists are those of the configuration.
The token is supposed to be in order, and so is the certificate: what the configuration asks of
them is not asked (`court.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from deputize._proto.envoy.service.auth.v3.external_auth_pb2 import CheckRequest
from deputize.cli.court import Court, Judgement
from deputize.cli.inputs import refuse_input
from deputize.cli.offline import read_revocations
from deputize.cli.request_flags import read_pairs
from deputize.cli.supposed_call import SupposedCall, SupposedCallError
from deputize.config.loader import Loaded
from deputize.config.problems import ConfigError, nearest
from deputize.core.request import AUTHORIZATION, PROOF
from deputize.core.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class SupposedToken:
    """What the token says, as the flags give it."""

    on_behalf_of: str
    scopes: Sequence[str]
    claims: Sequence[str]
    chain: Sequence[str]
    approved_by: str

    @property
    def is_given(self) -> bool:
        """Whether any of the flags was given."""
        return any((self.on_behalf_of, self.scopes, self.claims, self.chain, self.approved_by))


def judge(
    loaded: Loaded, check: CheckRequest, token: SupposedToken, method: str, at: float
) -> tuple[Judgement, Snapshot, str]:
    """The decision under this configuration, and what was supposed, in words.

    An empty `method` is the one that the route is used with. Ends the command with code 2 where
    nobody could make this call.
    """
    call = _suppose(check, token, method, at)
    _check_issuer(call.issuer, loaded)
    service = loaded.service
    try:
        court = Court(
            loaded.compiled.policies,
            delegation=service.delegation.model_dump(mode="json", by_alias=True),
            is_observed=service.policy_mode == "observe",
        )
        court.hold_to(
            call.issuer,
            loaded.compiled.peers.trust_domains,
            read_revocations(loaded),
            loaded.digest,
        )
        return court.decide(call), court.snapshot, _describe(call)
    except (SupposedCallError, ConfigError) as error:
        refuse_input(f"nobody can make this call: {error}")


def _suppose(check: CheckRequest, token: SupposedToken, method: str, at: float) -> SupposedCall:
    issuer, _, subject = token.on_behalf_of.partition(" ")
    http, peer = check.attributes.request.http, check.attributes.source.principal
    if not issuer or not subject.strip():
        refuse_input("give `--on-behalf-of` as `ISSUER SUBJECT`, with a space between")
    if not peer:
        refuse_input("give the agent as `--peer`")
    if not {AUTHORIZATION, PROOF}.isdisjoint(http.headers):
        refuse_input("a request with a supposed token has no credential in `--header`")
    return SupposedCall(
        agent=peer,
        issuer=issuer,
        subject=subject.strip(),
        scopes=frozenset(scope for text in token.scopes for scope in text.split()),
        claims=read_pairs("--claim", token.claims),
        chain=tuple(token.chain),
        approved=token.approved_by or False,
        method=method,
        host=http.host,
        path=http.path,
        headers={name: text for name, text in http.headers.items() if not name.startswith(":")},
        body=http.raw_body,
        at=at,
    )


def _check_issuer(issuer: str, loaded: Loaded) -> None:
    known = [entry.issuer for entry in loaded.service.issuers]
    if issuer not in known:
        refuse_input(f"no issuer `{issuer}` is configured{nearest(issuer, known)}")


def _describe(call: SupposedCall) -> str:
    parts = [
        f"{call.subject} of {call.issuer}",
        f"scopes {' '.join(sorted(call.scopes)) or 'none'}",
    ]
    if call.claims:
        parts.append(f"claims {' '.join(sorted(call.claims))}")
    if call.chain:
        parts.append(f"chain {' <- '.join(call.chain)}")
    if call.approved:
        parts.append(f"approved by {call.approved}")
    return ", ".join(parts)
