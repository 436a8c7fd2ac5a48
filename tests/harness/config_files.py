"""A small valid configuration as files; tests replace the piece of text they are about."""

from __future__ import annotations

from pathlib import Path

import pytest

from deputize.config.loader import load
from deputize.config.problems import ConfigError
from tests.harness.issuer import Issuer

SERVICE = """\
apiVersion: deputize.dev/v1alpha1
kind: ServiceConfig
spec:
  server:
    grpc:
      listen: ["127.0.0.1:0"]
    http:
      listen: 127.0.0.1:0
    decisionTimeoutMillis: 2000
    drain:
      delaySeconds: 0
  peer:
    trustDomains: [prod.example.org]
  issuers:
    - issuer: https://issuer.example
      audiences: [orders]
      algorithms: [ES256]
      keys:
        file: jwks.json
  policies: [policies]
  audit:
    sink: file
    file: audit.jsonl
"""

POLICY = """\
apiVersion: deputize.dev/v1alpha1
kind: DelegationPolicy
metadata:
  name: orders
spec:
  rules:
    - name: read
      effect: allow
      agents: [spiffe://prod.example.org/ns/agents/sa/research]
      onBehalfOf:
        - issuer: https://issuer.example
          anyone: true
      hosts: [orders.example]
      methods: [GET]
      paths: ["/v1/orders/{id}"]
      scopes: [orders:read]
"""

Place = tuple[str, int, str]
"""Where a problem is: file name, line, pointer."""


def write_world(
    folder: Path,
    *,
    service: str = SERVICE,
    policy: str = POLICY,
    issuer: Issuer | None = None,
) -> Path:
    """Writes configuration, policy and, for a given issuer, its keys; gives the configuration."""
    policies = folder / "policies"
    policies.mkdir(parents=True, exist_ok=True)
    (policies / "orders.yaml").write_text(policy)
    if issuer is not None:
        (folder / "jwks.json").write_bytes(issuer.jwks())
    config_file = folder / "deputize.yaml"
    config_file.write_text(service)
    return config_file


def problem_places(config_file: Path) -> list[Place]:
    """Where the problems of a configuration are; it must have some."""
    with pytest.raises(ConfigError) as caught:
        load(config_file)
    return [(Path(each.file).name, each.line, each.pointer) for each in caught.value.problems]


def changed(text: str, old: str, new: str) -> str:
    """The text with one piece replaced, which must stand there exactly once."""
    assert text.count(old) == 1
    return text.replace(old, new)


def line_of(text: str, piece: str) -> int:
    """The line on which the piece first stands, counted from 1."""
    return text[: text.index(piece)].count("\n") + 1


def replace_file(file: Path, text: str) -> None:
    """Puts the text there in one step: no reader finds half of it."""
    draft = file.with_suffix(".draft")
    draft.write_text(text)
    draft.replace(file)
