"""Everything one decision is made under, as one immutable value.

A reload, a key refresh or a change of what is revoked builds a new snapshot and swaps it in; a
decision uses the one it started with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from deputize.core.delegation import ChainRules
from deputize.core.keys import KeyRing
from deputize.core.peer import PeerRules
from deputize.core.request import RequestRules
from deputize.core.revocation import Revocations
from deputize.core.rules import Policies
from deputize.core.token_use import StatusLists
from deputize.core.trust import TrustedIssuer


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Rules for each of the four questions; `digest` names configuration and policies."""

    request_rules: RequestRules
    peer_rules: PeerRules
    issuers: Mapping[str, TrustedIssuer]
    key_rings: Mapping[str, KeyRing]
    revocations: Revocations
    status_lists: StatusLists
    chain_rules: ChainRules
    policies: Policies
    digest: str
