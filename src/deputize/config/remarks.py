"""What is allowed around policies, but hardly as meant: said when they are checked and served.

Rules of this file:
- Nothing here stops a configuration: the service starts, and says it.
- Folders that begin with a dot are passed over: those behind a mounted ConfigMap do.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

from deputize.config.files import MAX_FILE_BYTES, is_folder, is_test_file, policy_files
from deputize.config.loader import Loaded
from deputize.config.policy_compiler import CompiledPolicies
from deputize.core.rules import RuleEffect

MAX_SHOWN = 20
_MAX_FOLDERS = 1000
_SUFFIXES = frozenset({".yaml", ".yml"})


def find_remarks(loaded: Loaded) -> list[str]:
    """For an author of policies: what is only observed but lets more pass, and what is not read."""
    demanding = _demanding(loaded.compiled.policies)
    return [*_mode(loaded), *demanding, *_objects(loaded), *_unread_of(loaded)]


def find_policy_remarks(policies: CompiledPolicies, path: Path) -> list[str]:
    """The same of policies without a service, read from a file or folder."""
    return [*_demanding(policies), *_unread([path], Path())]


def find_serving_remarks(loaded: Loaded) -> list[str]:
    """For an operator: all that is not enforced, and what is not read."""
    rules = loaded.compiled.policies.rules
    names = sorted({rule.ref.policy for rule in rules if rule.is_observed})
    observed = [f"only observed, not enforced: {', '.join(names)}"] if names else []
    return [*_mode(loaded), *observed, *_unread_of(loaded)]


def _mode(loaded: Loaded) -> list[str]:
    if loaded.service.policy_mode == "enforce":
        return []
    return ["`policyMode: observe`: policies refuse nothing, whoever is proven"]


def _objects(loaded: Loaded) -> list[str]:
    settings = loaded.service.kubernetes
    if settings is None:
        return []
    namespaces = ", ".join(settings.namespaces)
    return [f"Kubernetes objects are not read here, only by the service: those in {namespaces}"]


def _demanding(policies: CompiledPolicies) -> list[str]:
    names = {
        rule.ref.policy
        for rule in policies.rules
        if rule.is_observed and rule.effect is RuleEffect.ALLOW
    }
    return [
        f"policy {name} is only observed: its allow rules let calls pass without what they demand, "
        "even where other rules demand it"
        for name in sorted(names)
    ]


def _unread_of(loaded: Loaded) -> list[str]:
    return _unread([Path(text) for text in loaded.service.policies], loaded.sources[0].parent)


def _unread(listed: list[Path], base: Path) -> list[str]:
    """Policy files in folders below a listed folder, which is not descended."""
    read = {file.resolve() for path in listed for file in _read_files(path)}
    found = sorted(
        {
            file
            for path in listed
            if is_folder(path)
            for file in itertools.chain.from_iterable(
                itertools.islice(_files_below(path), _MAX_FOLDERS)
            )
            if file.resolve() not in read and _says_policy(file)
        }
    )
    remarks = [f"{_short(file, base)} is not read: list its folder too" for file in found]
    more = len(remarks) - MAX_SHOWN
    return [*remarks[:MAX_SHOWN], *([f"{more} more policy files are not read"] if more > 0 else [])]


def _files_below(folder: Path) -> Iterator[list[Path]]:
    """For each folder below its files that could be policies."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if Path(place) == folder:
            continue
        files = (Path(place) / name for name in names if not name.startswith("."))
        yield [file for file in files if file.suffix in _SUFFIXES and not is_test_file(file)]


def _read_files(path: Path) -> list[Path]:
    try:
        return policy_files(path)
    except OSError:
        return []


def _says_policy(file: Path) -> bool:
    """Whether the file names the kind; one that is no YAML yet may be meant as a policy too."""
    try:
        with file.open("rb") as stream:
            return b"DelegationPolicy" in stream.read(MAX_FILE_BYTES)
    except OSError:
        return False


def _short(file: Path, base: Path) -> Path:
    return file.relative_to(base) if file.is_relative_to(base) else file
