"""Manifests from files and folders, as objects that can be asked for by kind.

Lists (`kubectl get -o yaml`) are taken apart. Files without a kind are known by their keys: an
Envoy bootstrap, a configuration of agentgateway, settings of a mesh.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from deputize.config.files import MAX_FILE_BYTES, is_folder, read_file
from deputize.config.problems import ConfigError, Problem
from deputize.doctor.place import At
from deputize.doctor.reading import read_documents

MAX_FILES = 10_000
_SUFFIXES = frozenset({".yaml", ".yml", ".json"})
_AGENTGATEWAY = frozenset({"binds", "gateways", "listeners", "routes", "llm", "mcp", "policies"})

ENVOY = "Envoy bootstrap"
AGENTGATEWAY = "agentgateway configuration"
MESH = "mesh settings"


@dataclass(frozen=True, slots=True)
class Manifest:
    """One object. `kind` is one of the names above for a file that has none."""

    group: str
    kind: str
    name: str
    namespace: str
    at: At

    @property
    def labels(self) -> dict[str, str]:
        """Its own labels."""
        return self.at.dig("metadata", "labels").words

    @property
    def annotations(self) -> dict[str, str]:
        """Its annotations."""
        return self.at.dig("metadata", "annotations").words

    @property
    def spec(self) -> At:
        """What it wants."""
        return self.at["spec"]

    @property
    def title(self) -> str:
        """Its kind and name, for people."""
        return f"{self.kind} {'/'.join(filter(None, (self.namespace, self.name)))}"


def read_manifests(paths: Iterable[Path]) -> list[Manifest]:
    """All objects in these files, in the YAML and JSON files of these folders and in those below.

    `-` is standard input.

    Raises:
        ConfigError: what cannot be read or is refused, of all files; a file without an object.
    """
    manifests: list[Manifest] = []
    problems: list[Problem] = []
    given = list(paths)
    for file in _files(given, problems):
        try:
            documents = read_documents(_octets(file), str(file))
        except ConfigError as error:
            problems += error.problems
            continue
        found = [each for document in documents for each in _objects(document)]
        if file in given and not found:
            # What wrote it may have failed, and nothing would be found in nothing.
            problems.append(Problem(str(file), 0, "", "no object in it, nor settings of a proxy"))
        manifests += found
    if problems:
        raise ConfigError(problems)
    return manifests


def is_same_namespace(one: str, other: str) -> bool:
    """Whether they are one; a manifest without one may be in any."""
    return one == other or "" in {one, other}


def is_selected(labels: dict[str, str], wanted: dict[str, str]) -> bool:
    """Whether an object with these labels is selected."""
    return wanted.items() <= labels.items()


def _octets(file: Path) -> bytes:
    if str(file) != "-":
        return read_file(file)[0]
    octets = sys.stdin.buffer.read(MAX_FILE_BYTES + 1)
    if len(octets) > MAX_FILE_BYTES:
        raise ConfigError([Problem("-", 0, "", f"larger than {MAX_FILE_BYTES} bytes")])
    return octets


def _files(paths: Iterable[Path], problems: list[Problem]) -> list[Path]:
    files: dict[Path, None] = {}
    for path in paths:
        found = list(_below(path)) if is_folder(path) else [path]
        if not found:
            problems.append(Problem(str(path), 0, "", "no manifest (*.yaml, *.yml, *.json) in it"))
        files.update(dict.fromkeys(found))
        if len(files) > MAX_FILES:
            raise ConfigError([Problem(str(path), 0, "", f"more than {MAX_FILES} files")])
    return list(files)


def _below(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        # Names that start with a dot are the folders behind a mounted ConfigMap.
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and Path(name).suffix in _SUFFIXES:
                yield Path(place) / name


def _objects(document: At) -> Iterator[Manifest]:
    kind = document["kind"].text
    if kind == "List" or (kind.endswith("List") and document["items"].exists):
        for item in document["items"].items:
            for found in _objects(item):
                # Whoever reads of the tenth object cannot tell which one that is.
                name = found.title if found.name else found.at.pointer
                yield replace(found, at=found.at.as_document(name))
        return
    if kind:
        metadata = document["metadata"]
        group = document["apiVersion"].text.rpartition("/")[0]
        yield Manifest(group, kind, metadata["name"].text, metadata["namespace"].text, document)
        return
    keys = {key for key, _value in document.entries}
    if "static_resources" in keys or "staticResources" in keys:
        yield Manifest("", ENVOY, "", "", document)
    elif "meshConfig" in keys:
        yield Manifest("", MESH, "", "", document["meshConfig"])
    elif "extensionProviders" in keys:
        yield Manifest("", MESH, "", "", document)
    elif keys & _AGENTGATEWAY:
        yield Manifest("", AGENTGATEWAY, "", "", document)
