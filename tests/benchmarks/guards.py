"""What profiles, revocation and single use add to a check whose token is remembered.

Both services are asked about the same number of distinct tokens, in process and from bytes to
bytes. One trusts an issuer as RFC 9068 writes tokens and revokes nothing; the other one under
a profile with an identity map, looks in a deny list of 10,000 tokens and 1,000 principals, and lets
each token in once.
"""

from __future__ import annotations

import gc
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from deputize.adapters.envoy_request import read_check
from deputize.adapters.envoy_response import Answers
from deputize.adapters.replay_store import MemoryReplayStore
from deputize.adapters.telemetry import Telemetry
from deputize.config.loader import Loaded, load
from deputize.core.audit_form import AuditEvent
from deputize.core.decide import decide
from deputize.core.keys import freeze_keys, parse_jwk_set
from deputize.core.revocation import NOTHING_REVOKED, Revocations
from deputize.core.snapshot import Snapshot
from deputize.core.verdict import Wanted
from deputize.server.check import AskingProxy, Checker, Limits
from deputize.server.ports import Active
from deputize.server.state import Fetched, TokenMemory, build_snapshot, upstream_rules
from tests.benchmarks.scenario import AGENT, ISSUER, is_allow, make_check, make_config
from tests.harness.issuer import Issuer

TOKENS, ROUNDS = 2000, 12
AGENT_NAME = "research-agent"
_PROXY = AskingProxy(None, None)


@dataclass(frozen=True)
class GuardCost:
    """Microseconds of CPU per check, hot."""

    plain: float
    guarded: float


@dataclass(frozen=True)
class _Held:
    current: Active | None


class _Nothing:
    """Sources with nothing to fetch, and an audit log that keeps nothing."""

    healthy = True

    def refetch(self, wanted: Wanted, timeout: float) -> None:
        """Does nothing."""

    def introspection(self, issuer: str) -> None:
        """No issuer is asked."""

    def offer(self, event: AuditEvent) -> bool:
        """Takes the event."""
        return bool(event)


def measure_guards(issuer: Issuer, folder: Path) -> GuardCost:
    """Measures both in interleaved rounds and takes the best of each."""
    plain = _Service(folder, issuer, {}, NOTHING_REVOKED, {})
    guarded = _Service(
        folder,
        issuer,
        {
            "profile": "auth0",
            "useOnce": True,
            "identities": {"exact": {AGENT_NAME: AGENT}},
        },
        _many_revocations(),
        {"sub_profile": "user", "act": {"sub": AGENT_NAME, "sub_profile": "ai_agent"}},
    )
    # As the service does after each load.
    gc.collect()
    gc.freeze()
    rounds = [(plain.micros(), guarded.micros()) for _round in range(ROUNDS)]
    return GuardCost(min(first for first, _ in rounds), min(second for _, second in rounds))


class _Service:
    """One configuration with its tokens, all of them remembered."""

    def __init__(
        self,
        folder: Path,
        issuer: Issuer,
        trust: dict[str, Any],
        revocations: Revocations,
        claims: dict[str, Any],
    ) -> None:
        config = make_config("grpcio", 0, 0, TOKENS)
        config["spec"]["issuers"][0].update(trust)
        file = folder / "guards.yaml"
        file.write_text(yaml.safe_dump(config))
        self._loaded = load(file)
        self._snapshot = _snapshot(self._loaded, issuer, revocations)
        self._tokens = TokenMemory(TOKENS)
        self._checks = [
            make_check(issuer, {**claims, "jti": f"token-{number}"}) for number in range(TOKENS)
        ]
        for check in self._checks:
            self._remember(check)

    def micros(self) -> float:
        """The cost of one check, over all tokens, each once."""
        checker = Checker(
            snapshots=_Held(Active(self._snapshot, Answers(upstream_rules(self._loaded.service)))),
            fallback=Answers(upstream_rules(self._loaded.service)),
            sources=_Nothing(),
            tokens=self._tokens,
            replay_store=MemoryReplayStore(TOKENS),
            audit=_Nothing(),
            metrics=Telemetry("grpcio"),
            limits=Limits(10.0, audit_required=True),
            clock=time.time,
        )
        started = time.process_time()
        answers = [checker.check(check, _PROXY) for check in self._checks]
        micros = (time.process_time() - started) / TOKENS * 1e6
        assert all(map(is_allow, answers))
        return micros

    def _remember(self, check: bytes) -> None:
        request = read_check(check, "bench", None)
        decision = decide(request, self._snapshot, time.time(), lambda _compact: None)
        assert decision.proven.token is not None, decision
        compact = request.headers["authorization"].removeprefix("Bearer ")
        self._tokens.remember(compact, decision.proven.token)


def _snapshot(loaded: Loaded, issuer: Issuer, revocations: Revocations) -> Snapshot:
    keys, _ = parse_jwk_set(issuer.jwks(), loaded.compiled.issuers[ISSUER].algorithms)
    rings = {ISSUER: freeze_keys(keys, time.time() + 3600)}
    fetched = Fetched(rings, revocations, {}, {})
    return build_snapshot(loaded.compiled, loaded.digest, fetched, None)


def _many_revocations() -> Revocations:
    return replace(
        NOTHING_REVOKED,
        tokens=frozenset((ISSUER, f"revoked-{number}") for number in range(10_000)),
        principals=frozenset((ISSUER, f"mallory-{number}") for number in range(1000)),
        agents=frozenset({f"{AGENT}-stopped"}),
        issuer_cutoffs={ISSUER: 1.0},
        principal_cutoffs={(ISSUER, "mallory"): 1.0},
        agent_cutoffs={AGENT: 1.0},
    )
