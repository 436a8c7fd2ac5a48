"""Everything the files of a configuration say, each read and checked alone.

Rules of this file:
- Relative paths start at the folder of the configuration file.
- All problems are collected; what else is wrong is found when everything is put together.
- Keys, bundles, deny and status lists are not read here; their sources keep them fresh
  (`adapters/refresher.py`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from deputize.config.files import (
    FileLook,
    Signature,
    is_there,
    policy_files,
    read_file,
    sign_files,
)
from deputize.config.issuer_profiles import known_profiles
from deputize.config.issuer_schema import IssuerProfileFile, ProfileSpec
from deputize.config.model import Model
from deputize.config.policy_compiler import SourcedPolicies
from deputize.config.policy_schema import DelegationPolicy
from deputize.config.problems import ConfigError, Problem
from deputize.config.references import Known, check_references, known_names
from deputize.config.schema import ServiceConfig, ServiceSpec
from deputize.config.strict_yaml import Document, parse_documents
from deputize.config.validation import validate

ResultT = TypeVar("ResultT")
ModelT = TypeVar("ModelT", bound=Model)
_WHAT = {"policies": "policy", "profiles": "profile"}


@dataclass(frozen=True, slots=True)
class FileSet:
    """What the files say. `service` has every path made absolute; `profiles` are by name.

    `problems` are those of single files. `digest` is the hex SHA-256 over all files read;
    `sources` are the files and folders in use, key and list files included, and `signature` is
    how they looked when they were read.
    """

    service: ServiceSpec
    document: Document
    policies: SourcedPolicies
    profiles: Mapping[str, ProfileSpec]
    known: Known
    problems: tuple[Problem, ...]
    digest: str
    sources: tuple[Path, ...]
    signature: Signature


def read_files(config_file: Path) -> FileSet:
    """Reads the service configuration, and the policies and profiles that it names.

    Raises:
        ConfigError: the configuration itself is wrong; with every problem in every file.
    """
    reading = _Reading()
    base = config_file.parent
    document = reading.only_document(config_file)
    config = reading.gather(partial(validate, ServiceConfig, document))
    known = known_names(document)
    policies: SourcedPolicies = []
    for each in reading.documents(document, base, "policies"):
        reading.problems += check_references(each, known)
        policy = reading.gather(partial(validate, DelegationPolicy, each))
        if policy is not None:
            policies.append((policy, each))
    profiles = _read_profiles(reading, document, base)
    if config is None:
        raise ConfigError(reading.problems)
    service = _absolute(config.spec, base.absolute())
    in_use = {
        name: [str(base.absolute() / text) for text in getattr(service, name)] for name in _WHAT
    }
    service = service.model_copy(update=in_use)
    fetched = tuple(map(Path, _fetched_files(service)))
    listed = (*service.policies, *service.profiles)
    return FileSet(
        service=service,
        document=document,
        policies=policies,
        profiles=profiles,
        known=known,
        problems=tuple(reading.problems),
        digest=reading.digest.hexdigest(),
        sources=(config_file.absolute(), *map(Path, listed), *fetched),
        signature=(*reading.looks, *sign_files(fetched)),
    )


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

    def parse(self, file: Path) -> list[Document]:
        return parse_documents(self.read(file), str(file))

    def only_document(self, file: Path) -> Document:
        documents = self.parse(file)
        if len(documents) != 1:
            message = f"{len(documents)} YAML documents, exactly one is allowed"
            raise ConfigError([Problem(str(file), 0, "", message)])
        return documents[0]

    def documents(self, configuration: Document, base: Path, key: str) -> list[Document]:
        """Those of all files that the configuration lists under this key."""
        found: list[Document] = []
        what = _WHAT[key]
        for position, path in enumerate(_listed(configuration, base, key)):
            try:
                files = policy_files(path)
            except OSError as error:
                self.problems.append(Problem(str(path), 0, "", f"{error.strerror}"))
                continue
            if not files or not is_there(path):
                none = f"no {what} file (*.yaml, *.yml) in {path}"
                message = none if not files else f"no {path}"
                self.problems.append(configuration.problem(("spec", key, position), message))
                continue
            for file in files:
                documents = self.gather(partial(self.parse, file))
                if documents == []:
                    # Most likely a file that is just being written.
                    self.problems.append(Problem(str(file), 0, "", f"no {what} in this file"))
                found += documents or []
        return found


def _read_profiles(
    reading: _Reading, configuration: Document, base: Path
) -> Mapping[str, ProfileSpec]:
    profiles: dict[str, ProfileSpec] = {}
    for document in reading.documents(configuration, base, "profiles"):
        profile = reading.gather(partial(validate, IssuerProfileFile, document))
        if profile is None:
            continue
        name = profile.metadata.name
        if name in profiles or name in known_profiles():
            # One name must not mean something else than the pages say.
            taken = "stands twice" if name in profiles else "comes with deputize"
            message = f"profile `{name}` {taken}; choose another name"
            reading.problems.append(document.problem(("metadata", "name"), message))
        profiles.setdefault(name, profile.spec)
    return profiles


def _listed(document: Document, base: Path, key: str) -> list[Path]:
    """The listed paths, even of a document that is wrong elsewhere: report their files too."""
    spec = document.value.get("spec") if isinstance(document.value, dict) else None
    listed = spec.get(key) if isinstance(spec, dict) else None
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
