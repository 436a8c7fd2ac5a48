"""A configuration in which everybody is trusted whom policies or a supposed call name.

Rules of this file:
- Built from the models of a configuration by its compiler, like one that comes from a file.
- All issuers and approval services share one key, which is made here and never leaves.

Sources: RFC 7515 section 7.1; RFC 8037 section 3.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from deputize.cli.supposed_call import SupposedCallError
from deputize.config.compiler import Compiled, compile_config
from deputize.config.policy_compiler import CompiledPolicies
from deputize.config.problems import ConfigError
from deputize.config.schema import ServiceConfig
from deputize.config.strict_yaml import parse_documents
from deputize.config.validation import validate
from deputize.core.keys import Algorithm, KeyRing, freeze_keys, parse_jwk_set
from deputize.core.model import DelegationStyle, Json, Kind

AUDIENCE = "supposed-audience"
KIND_CLAIM = "supposed_kind"
"""Says what the principal is."""

_KEY_ID = "supposed"
_REMEMBERED = 20_000
_KEYS = {"keys": {"file": "supposed.json"}, "algorithms": [Algorithm.ED25519.value]}
_KINDS = {kind.value: [kind.value] for kind in (Kind.USER, Kind.AGENT, Kind.SERVICE)}
_ISSUER = {
    **_KEYS,
    "audiences": [AUDIENCE],
    "maxLifetimeSeconds": 172800,
    "principalKind": [{"claim": KIND_CLAIM, **_KINDS}],
    "actor": ["act.sub", "client_id"],
    "styles": [style.value for style in DelegationStyle],
}


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom to trust, and what a service configuration says that policies do not."""

    issuers: frozenset[str]
    trust_domains: frozenset[str]
    services: frozenset[str]
    delegation: Mapping[str, object]
    policy_mode: str

    def compile(self) -> Compiled:
        """The rules of the core, without policies.

        Raises:
            ConfigError: no configuration can say this.
        """
        spec: dict[str, object] = {
            "server": {"grpc": {"listen": ["unix:/supposed"]}},
            "peer": {"trustDomains": sorted(self.trust_domains) or ["supposed.example"]},
            "issuers": [{"issuer": name, **_ISSUER} for name in sorted(self.issuers) or ["none"]],
            "delegation": dict(self.delegation),
            "policies": ["supposed"],
            "policyMode": self.policy_mode,
        }
        if self.services:
            services = [{"issuer": name, **_KEYS} for name in sorted(self.services)]
            spec["approvals"] = {"services": services}
        head = {"apiVersion": "deputize.dev/v1alpha1", "kind": "ServiceConfig"}
        text = json.dumps({**head, "spec": spec}).encode()
        (document,) = parse_documents(text, "supposed configuration")
        service = validate(ServiceConfig, document).spec
        compiled, problems = compile_config(service, document, [])
        if problems:
            raise ConfigError(problems)
        return compiled


def named_issuers(policies: CompiledPolicies) -> frozenset[str]:
    """Issuers of tokens that the policies name."""
    principals = [pattern for rule in policies.rules for pattern in rule.principals]
    principals += (p for entry in policies.limits.principal_scopes for p in entry.principals)
    return frozenset(principal.issuer for principal in principals)


def named_domains(policies: CompiledPolicies) -> frozenset[str]:
    """Trust domains of agents that the policies name."""
    agents = [pattern for rule in policies.rules for pattern in rule.agents]
    agents += (agent for entry in policies.limits.agent_ceilings for agent in entry.agents)
    return frozenset(agent.segments[0] for agent in agents)


def named_services(policies: CompiledPolicies) -> frozenset[str]:
    """Approval services that the policies name."""
    needs = [rule.approval for rule in policies.rules if rule.approval is not None]
    return frozenset(name for need in needs for name in need.services)


class Signer:
    """Signs for everybody, with a key made for it alone."""

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()
        self._signed: dict[str, str] = {}
        jwk = {"kty": "OKP", "crv": "Ed25519", "kid": _KEY_ID}
        jwk["x"] = _base64url(self._key.public_key().public_bytes_raw())
        octets = json.dumps({"keys": [jwk]}).encode()
        keys, _left_out = parse_jwk_set(octets, (Algorithm.ED25519,))
        self.ring: KeyRing = freeze_keys(keys, usable_until=math.inf)
        """The key as everybody's."""

    def sign(self, token_type: str, claims: Mapping[str, Json]) -> str:
        """A compact JWS with a `jti`; the same claims give the same text.

        Raises:
            SupposedCallError: the claims are not JSON.
        """
        try:
            said = json.dumps([token_type, claims], sort_keys=True, allow_nan=False)
        except (ValueError, TypeError, RecursionError) as error:
            raise SupposedCallError(f"the claims cannot be written as JSON: {error}") from None
        compact = self._signed.get(said)
        if compact is None:
            header = {"typ": token_type, "alg": Algorithm.ED25519.value, "kid": _KEY_ID}
            payload = {"jti": hashlib.sha256(said.encode()).hexdigest()[:32], **claims}
            parts: Iterable[bytes] = (json.dumps(part).encode() for part in (header, payload))
            signing_input = ".".join(map(_base64url, parts))
            compact = f"{signing_input}.{_base64url(self._key.sign(signing_input.encode()))}"
            if len(self._signed) >= _REMEMBERED:
                self._signed.clear()
            self._signed[said] = compact
        return compact


def _base64url(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()
