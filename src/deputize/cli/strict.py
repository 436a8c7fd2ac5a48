"""What `validate --strict` adds: lints over the policies of a configuration that is valid."""

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
