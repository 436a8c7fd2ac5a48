"""The cost of `decide` alone, hot and cold, beside one ES256 verification of the same run."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from deputize.adapters.envoy_request import read_check
from deputize.config.loader import load
from deputize.core.decide import decide
from deputize.core.jws import read_unverified_jws
from deputize.core.keys import Algorithm, freeze_keys, parse_jwk_set, verify_signature
from deputize.core.model import VerifiedToken
from deputize.core.revocation import NOTHING_REVOKED
from deputize.core.verdict import Permit
from deputize.server.state import Fetched, build_snapshot
from tests.harness.issuer import Issuer

ROUNDS = 15
HOT_CALLS, COLD_CALLS, VERIFICATIONS = 2000, 200, 200


@dataclass(frozen=True)
class DecideCost:
    """Microseconds of CPU per decision by number of rules, and per ES256 verification."""

    hot: dict[int, float]
    cold: dict[int, float]
    es256: float


def measure_decide(issuer: Issuer, message: bytes, configs: dict[int, Path]) -> DecideCost:
    """Measures all in interleaved rounds and takes the best of each, against a noisy machine."""
    jobs: dict[tuple[str, int], tuple[Callable[[], object], int]] = {}
    for rules, config in configs.items():
        hot, cold = _decisions(issuer, message, config)
        jobs["hot", rules] = (hot, HOT_CALLS)
        jobs["cold", rules] = (cold, COLD_CALLS)
    jobs["es256", 0] = (_verification(issuer, message), VERIFICATIONS)
    best = dict.fromkeys(jobs, float("inf"))
    for _round in range(ROUNDS):
        for name, (call, count) in jobs.items():
            best[name] = min(best[name], _micros(call, count))
    return DecideCost(
        {rules: best["hot", rules] for rules in configs},
        {rules: best["cold", rules] for rules in configs},
        best["es256", 0],
    )


def _decisions(
    issuer: Issuer, message: bytes, config: Path
) -> tuple[Callable[[], object], Callable[[], object]]:
    loaded = load(config)
    now = time.time()
    keys, _ = parse_jwk_set(issuer.jwks(), loaded.compiled.issuers[issuer.url].algorithms)
    rings = {issuer.url: freeze_keys(keys, now + 3600)}
    fetched = Fetched(rings, NOTHING_REVOKED, {}, {})
    snapshot = build_snapshot(loaded.compiled, loaded.digest, fetched, None)
    request = read_check(message, "bench", None)
    memory: dict[str, VerifiedToken] = {}
    first = decide(request, snapshot, now, memory.get)
    assert isinstance(first.verdict, Permit), first
    assert first.proven.token is not None
    compact = request.headers["authorization"].removeprefix("Bearer ")
    memory[compact] = first.proven.token
    return (
        lambda: decide(request, snapshot, now, memory.get),
        lambda: decide(request, snapshot, now, lambda _compact: None),
    )


def _verification(issuer: Issuer, message: bytes) -> Callable[[], object]:
    compact = read_check(message, "bench", None).headers["authorization"].removeprefix("Bearer ")
    jws = read_unverified_jws(compact)
    keys, _ = parse_jwk_set(issuer.jwks(), (Algorithm.ES256,))
    key = keys[jws.header.key_id]
    return lambda: verify_signature(key, jws.signing_input, jws.signature)


def _micros(call: Callable[[], object], count: int) -> float:
    started = time.process_time()
    for _ in range(count):
        call()
    return (time.process_time() - started) / count * 1e6
