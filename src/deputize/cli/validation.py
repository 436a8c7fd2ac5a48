"""What `deputize validate` checks: a service with its policies, or policies alone."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from deputize.cli.offline import deny_list_files, read_deny_lists
from deputize.cli.strict import find_lints, find_policy_lints
from deputize.cli.warn import find_warnings
from deputize.config.lints.table import Lint
from deputize.config.loader import load
from deputize.config.policy_loader import compile_sources, is_service, read_policies
from deputize.config.problems import ConfigError, Problem
from deputize.config.remarks import find_policy_remarks


class Checked(NamedTuple):
    """Something that loads: what is odd about it, what lints find, and what it is."""

    warnings: list[str]
    findings: list[Problem]
    summary: str


def check_config(file: Path, ignored: Collection[Lint], *, is_strict: bool) -> Checked:
    """Checks a service configuration, its policies and its deny lists.

    Raises:
        ConfigError: with every problem in every file.
    """
    loaded = load(file)
    # One that is not there yet is a warning, as other files are that come from elsewhere.
    lists = (each for each in deny_list_files(loaded) if Path(each).is_file())
    warnings = find_warnings(loaded, read_deny_lists(lists))
    findings = find_lints(file, loaded, ignored) if is_strict else []
    issuers, rules = len(loaded.compiled.issuers), len(loaded.compiled.policies.rules)
    summary = f"rules {rules}, issuers {issuers}, digest {loaded.digest[:12]}"
    return Checked(warnings, findings, summary)


def check_policies(path: Path, ignored: Collection[Lint], *, is_strict: bool) -> Checked:
    """Checks a policy file, or a folder of them, without the service that uses it.

    Raises:
        ConfigError: with every problem in every file.
    """
    if is_service(path):
        message = "a service configuration; give it with `--config`"
        raise ConfigError([Problem(str(path), 0, "", message)])
    sources = read_policies(path)
    compiled = compile_sources(sources)
    findings = find_policy_lints(sources, ignored) if is_strict else []
    return Checked(
        find_policy_remarks(compiled, path),
        findings,
        f"rules {len(compiled.rules)}, without a service",
    )
