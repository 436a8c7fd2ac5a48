"""Policies without the service that uses them: a file, a folder, or what a configuration names."""

from __future__ import annotations

from pathlib import Path

from deputize.config.files import policy_files, read_file
from deputize.config.loader import collector_paused, load
from deputize.config.policy_compiler import CompiledPolicies, SourcedPolicies, compile_policies
from deputize.config.policy_schema import DelegationPolicy
from deputize.config.problems import ConfigError, Problem
from deputize.config.strict_yaml import Document, parse_documents
from deputize.config.validation import validate


def load_policies(path: Path) -> CompiledPolicies:
    """The compiled policies of a service configuration, a policy file, or a folder of those.

    Raises:
        ConfigError: with every problem in every file.
    """
    return load_with_mode(path)[0]


def load_with_mode(path: Path) -> tuple[CompiledPolicies, bool]:
    """The same, and whether all of them are only observed, as a service configuration may say.

    Raises:
        ConfigError: with every problem in every file.
    """
    with collector_paused():
        if is_service(path):
            compiled = load(path).compiled
            return compiled.policies, compiled.is_observed
        return compile_sources(read_policies(path)), False


def is_service(path: Path) -> bool:
    """Whether the file says that it is a service configuration; a folder is none."""
    if path.is_dir():
        return False
    return any(
        isinstance(document.value, dict) and document.value.get("kind") == "ServiceConfig"
        for document in _documents(path)
    )


def read_policies(path: Path) -> SourcedPolicies:
    """The policies of a file, or of all policy files in a folder, each with its document.

    Raises:
        ConfigError: with every problem in every file.
    """
    policies: SourcedPolicies = []
    problems: list[Problem] = []
    try:
        files = policy_files(path)
    except OSError as error:
        raise ConfigError([Problem(str(path), 0, "", f"{error.strerror}")]) from None
    if not files:
        raise ConfigError([Problem(str(path), 0, "", "no policy file (*.yaml, *.yml) in it")])
    for file in files:
        try:
            for document in _documents(file):
                policies.append((validate(DelegationPolicy, document), document))
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    return policies


def compile_sources(policies: SourcedPolicies) -> CompiledPolicies:
    """The compiled policies.

    Raises:
        ConfigError: with every problem that spans rules, policies and files.
    """
    compiled, problems = compile_policies(policies)
    if problems:
        raise ConfigError(problems)
    return compiled


def _documents(file: Path) -> list[Document]:
    octets, _ = read_file(file)
    return parse_documents(octets, str(file))
