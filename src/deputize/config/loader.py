"""Files to one loaded configuration: read everything, check everything, or say all that is wrong.

Rules of this file:
- Nothing is half loaded: either every file is good or `ConfigError` names every problem.
- Relative paths start at the folder of the configuration file.
- Keys, bundles, deny and status lists are not read here; their sources keep them fresh
  (`adapters/refresher.py`).
"""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from deputize.config.compiler import Compiled, compile_config
from deputize.config.files import (
    FileLook,
    Signature,
    is_folder,
    is_there,
    policy_files,
    read_file,
    sign_files,
)
from deputize.config.model import Model
from deputize.config.policy_schema import DelegationPolicy
from deputize.config.problems import ConfigError, Problem
from deputize.config.references import Known, check_references, known_names
from deputize.config.schema import ServiceConfig, ServiceSpec
from deputize.config.strict_yaml import Document, parse_documents
from deputize.config.validation import validate

ResultT = TypeVar("ResultT")
ModelT = TypeVar("ModelT", bound=Model)
Policies = list[tuple[DelegationPolicy, Document]]


@dataclass(frozen=True, slots=True)
class Loaded:
    """One good configuration.

    `service` has every path made absolute.
    `digest` is the hex SHA-256 over all files read; `sources` are the files and folders in use,
    key and list files included, and `signature` is how they looked when they were read.
    """

    service: ServiceSpec
    compiled: Compiled
    digest: str
    sources: tuple[Path, ...]
    signature: Signature

    @property
    def folders(self) -> frozenset[Path]:
        """The folders a change can come from."""
        return frozenset(path if is_folder(path) else path.parent for path in self.sources)


def load(config_file: Path) -> Loaded:
    """Loads the service configuration and all its policies.

    Raises:
        ConfigError: with every problem in every file.
    """
    with collector_paused():
        return _load(config_file)


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


def _load(config_file: Path) -> Loaded:
    reading = _Reading()
    base = config_file.parent
    document = reading.only_document(config_file)
    config = reading.gather(lambda: validate(ServiceConfig, document))
    known = known_names(document)
    policies: Policies = []
    for position, path in enumerate(_policy_paths(document, base)):
        try:
            files = policy_files(path)
        except OSError as error:
            reading.problems.append(Problem(str(path), 0, "", f"{error.strerror}"))
            continue
        if not files or not is_there(path):
            message = f"no policy file (*.yaml, *.yml) in {path}" if not files else f"no {path}"
            reading.problems.append(document.problem(("spec", "policies", position), message))
            continue
        for file in files:
            policies += reading.policies(file, known)
    if config is None:
        raise ConfigError(reading.problems)
    compiled, found = compile_config(config.spec, document, policies)
    if reading.problems or found:
        raise ConfigError(reading.problems + found)
    service = _absolute(config.spec, base.absolute())
    policies_in_use = [str(base.absolute() / text) for text in service.policies]
    service = service.model_copy(update={"policies": policies_in_use})
    fetched = tuple(map(Path, _fetched_files(service)))
    sources = (config_file.absolute(), *map(Path, service.policies), *fetched)
    signature = (*reading.looks, *sign_files(fetched))
    return Loaded(service, compiled, reading.digest.hexdigest(), sources, signature)


@dataclass(slots=True)
class _Reading:
    """Collects problems and the digest while files are read."""

    problems: list[Problem] = field(default_factory=list)
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)
    looks: list[FileLook] = field(default_factory=list)

    def gather(self, step: Callable[[], ResultT]) -> ResultT | None:
        try:
            return step()
        except ConfigError as error:
            self.problems += error.problems
            return None

    def read(self, file: Path) -> bytes:
        octets, look = read_file(file)
        self.looks.append(look)
        # The length keeps two files from being read as one.
        self.digest.update(f"{len(octets)}\n".encode())
        self.digest.update(octets)
        return octets

    def only_document(self, file: Path) -> Document:
        documents = parse_documents(self.read(file), str(file))
        if len(documents) != 1:
            message = f"{len(documents)} YAML documents, exactly one is allowed"
            raise ConfigError([Problem(str(file), 0, "", message)])
        return documents[0]

    def policies(self, file: Path, known: Known) -> Policies:
        documents = self.gather(lambda: parse_documents(self.read(file), str(file)))
        if documents is None:
            return []
        if not documents:
            # Most likely a file that is just being written.
            self.problems.append(Problem(str(file), 0, "", "no policy in this file"))
        policies: Policies = []
        for document in documents:
            self.problems += check_references(document, known)
            try:
                policies.append((validate(DelegationPolicy, document), document))
            except ConfigError as error:
                self.problems += error.problems
        return policies


def _policy_paths(document: Document, base: Path) -> list[Path]:
    """The listed paths, even of a document that is wrong elsewhere: report its policies too."""
    spec = document.value.get("spec") if isinstance(document.value, dict) else None
    listed = spec.get("policies") if isinstance(spec, dict) else None
    entries = listed if isinstance(listed, list) else []
    return [base / entry for entry in entries if isinstance(entry, str)]


def _fetched_files(service: ServiceSpec) -> list[str]:
    """The files that sources in the background read, and read again when they change."""
    keys = [entry.keys.file for entry in service.issuers]
    keys += [entry.keys.file for entry in service.approvals.services] if service.approvals else []
    bundles = [bundle.file for bundle in service.peer.bundles]
    deny_lists = [source.file for source in service.deny_lists]
    files = [file for file in (*keys, *bundles, *deny_lists) if file is not None]
    for entry in service.issuers:
        if entry.status_lists is not None:
            files += (entry.status_lists.files or {}).values()
    return files


def _absolute(model: ModelT, base: Path) -> ModelT:
    """The same with every path made absolute: each key `file`, `...File` and `files`."""
    changed: dict[str, object] = {}
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, Model):
            changed[name] = _absolute(value, base)
        elif isinstance(value, list):
            changed[name] = [
                _absolute(entry, base) if isinstance(entry, Model) else entry for entry in value
            ]
        elif isinstance(value, str) and (name == "file" or name.endswith("_file")):
            changed[name] = str(base / value)
        elif isinstance(value, dict) and name == "files":
            changed[name] = {key: str(base / path) for key, path in value.items()}
    return model.model_copy(update=changed)
