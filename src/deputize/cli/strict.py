"""What `validate --strict` adds: lints over policies that are valid, with or without a service."""

from __future__ import annotations

import time
from collections.abc import Collection
from pathlib import Path

from deputize.config.lints.run import lint
from deputize.config.lints.table import Lint
from deputize.config.loader import Loaded
from deputize.config.policy_compiler import SourcedPolicies
from deputize.config.policy_loader import read_policies
from deputize.config.problems import Problem
from deputize.config.schema import ServiceConfig

_OF_SERVICE = frozenset({Lint.BUDGET_MEMORY, Lint.POINTLESS, Lint.SCOPE_NEVER_ISSUED})
"""Lints that hang on the service configuration."""
_NO_SERVICE = {
    "apiVersion": "deputize.dev/v1alpha1",
    "kind": "ServiceConfig",
    "spec": {
        "server": {"grpc": {"listen": ["127.0.0.1:9191"]}},
        "peer": {"trustDomains": ["unknown.invalid"]},
        "issuers": [
            {"issuer": "https://unknown.invalid", "audiences": ["x"], "keys": {"file": "x"}}
        ],
        "policies": ["."],
    },
}
"""One that knows nobody: lints say nothing of issuers that are not configured."""


def find_lints(config_file: Path, loaded: Loaded, ignored: Collection[Lint]) -> list[Problem]:
    """What lints find now.

    Raises:
        ConfigError: a policy file is no longer what was loaded.
    """
    base = config_file.parent
    sources: SourcedPolicies = []
    for text in loaded.service.policies:
        path = Path(text)
        # As it is written in the configuration: shorter, and as other problems name it.
        below = path.is_relative_to(base.absolute())
        sources += read_policies(base / path.relative_to(base.absolute()) if below else path)
    return lint(sources, loaded.service, time.time(), ignored)


def find_policy_lints(sources: SourcedPolicies, ignored: Collection[Lint]) -> list[Problem]:
    """What lints find now that need not know the service."""
    service = ServiceConfig.model_validate(_NO_SERVICE).spec
    return lint(sources, service, time.time(), {*ignored, *_OF_SERVICE})
