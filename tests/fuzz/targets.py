"""All targets by name, each with the inputs it starts from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from tests.fuzz import bodies, checks, documents, seeds, signed


class Target(NamedTuple):
    """`run` returns when the law holds for an input; `seeds` gives inputs to start from."""

    run: Callable[[bytes], None]
    seeds: Callable[[], Iterator[bytes]]


TARGETS: Mapping[str, Target] = MappingProxyType(
    {
        "token": Target(signed.fuzz_token, seeds.token_seeds),
        "compact": Target(signed.fuzz_compact, seeds.compact_seeds),
        "check": Target(checks.fuzz_check, seeds.check_seeds),
        "mcp": Target(bodies.fuzz_mcp, bodies.body_seeds),
        "calls": Target(bodies.fuzz_calls, bodies.body_seeds),
        "approval": Target(bodies.fuzz_approval, bodies.approval_seeds),
        "proof": Target(signed.fuzz_proof, seeds.proof_seeds),
        "xfcc": Target(documents.fuzz_xfcc, seeds.xfcc_seeds),
        "jwks": Target(documents.fuzz_jwks, seeds.jwks_seeds),
        "bundle": Target(documents.fuzz_bundle, seeds.bundle_seeds),
        "status-list": Target(signed.fuzz_status_list, seeds.status_list_seeds),
        "config": Target(documents.fuzz_config, seeds.config_seeds),
        "deny-list": Target(documents.fuzz_deny_list, seeds.deny_list_seeds),
    }
)
