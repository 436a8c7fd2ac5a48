"""Files and objects to one loaded configuration: check everything, or say all that is wrong.

Rules of this file:
- Nothing is half loaded: either everything is good or `ConfigError` names every problem.
- Policies from files and from Kubernetes are put together here, and nowhere else.
"""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deputize.config.compiler import Compiled, compile_config
from deputize.config.file_set import FileSet, read_files
from deputize.config.issuer_profiles import unread_profile
from deputize.config.issuer_schema import ProfileSpec
from deputize.config.object_bounds import check_sizes
from deputize.config.objects import GoodObject
from deputize.config.problems import ConfigError
from deputize.config.references import check_references
from deputize.config.schema import ServiceSpec


@dataclass(frozen=True, slots=True)
class Loaded:
    """One good configuration.

    `service` has every path made absolute.
    `digest` is the hex SHA-256 over all files read, and over the objects if there are any;
    `sources` are the files and folders in use, key and list files included.
    """

    service: ServiceSpec
    compiled: Compiled
    digest: str
    sources: tuple[Path, ...]


def load(config_file: Path) -> Loaded:
    """Loads the service configuration and all its policies in files.

    Of a profile that is a Kubernetes object only its name is known here.

    Raises:
        ConfigError: with every problem in every file.
    """
    with collector_paused():
        files = read_files(config_file)
        return compose(files, (), unread_profiles(files.service))


def check_files(files: FileSet) -> None:
    """Checks what the files say where policies and profiles of objects are not known yet.

    Raises:
        ConfigError: with every problem in every file.
    """
    profiles = {**files.profiles, **unread_profiles(files.service)}
    _, found = compile_config(files.service, files.document, [], profiles)
    if files.problems or found:
        raise ConfigError([*files.problems, *found])


def compose(
    files: FileSet, objects: Iterable[GoodObject], others: dict[str, ProfileSpec] | None = None
) -> Loaded:
    """Puts files and objects together; `others` are profiles from elsewhere.

    Raises:
        ConfigError: with every problem in every file and object.
    """
    used = list(objects)
    # First: what is too large is not to be built.
    check_sizes([(each.policy, each.document) for each in used if each.policy is not None])
    policies = list(files.policies)
    profiles = {**files.profiles, **(others or {})}
    problems = list(files.problems)
    for each in used:
        if each.policy is not None:
            problems += check_references(each.document, files.known)
            policies.append((each.policy, each.document))
        if each.profile is not None:
            profiles[each.key.qualified] = each.profile
    compiled, found = compile_config(files.service, files.document, policies, profiles)
    if problems or found:
        raise ConfigError(problems + found)
    return Loaded(files.service, compiled, _digest(files, used), files.sources)


def unread_profiles(service: ServiceSpec) -> dict[str, ProfileSpec]:
    """What stands for the profiles of issuers that are objects, where those are not read."""
    namespaces = service.kubernetes.namespaces if service.kubernetes else []
    named = (entry.profile for entry in service.issuers)
    return {
        name: unread_profile()
        for name in named
        if name.partition(".")[0] in namespaces and "." in name
    }


def _digest(files: FileSet, objects: list[GoodObject]) -> str:
    if not objects:
        return files.digest
    digest = hashlib.sha256(files.digest.encode())
    # In one order, so that all who decide by the same objects say the same.
    for each in sorted(objects, key=lambda each: each.key):
        digest.update(each.content)
    return digest.hexdigest()


@contextmanager
def collector_paused() -> Iterator[None]:
    """Nothing of what is built here is garbage; looking for it takes nearly half of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
