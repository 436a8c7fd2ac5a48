"""The catalogue of what must be refused: each class is shown, and shown by a refusal."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from deputize.core.verdict import Effect
from tests.harness.vector_files import FOLDER, read_vector, vector_files

ROOT = FOLDER.parents[1]
CATALOGUE = yaml.safe_load((FOLDER / "catalogue.yaml").read_text(encoding="utf-8"))
VECTORS = {vector.id: vector for vector in map(read_vector, vector_files())}
COVERED = {name for entry in CATALOGUE.values() for name in entry.get("vectors", ())}
SHOWN_BY = {"vectors", "tests", "elsewhere"}

each_class = pytest.mark.parametrize("name", CATALOGUE)


@each_class
def test_a_class_has_a_name_a_source_and_a_witness(name: str) -> None:
    entry = CATALOGUE[name]
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)
    assert isinstance(entry["source"], str)
    (witness,) = entry.keys() - {"source"}
    assert witness in SHOWN_BY
    assert entry[witness]


@each_class
def test_each_vector_of_a_class_is_refused(name: str) -> None:
    for identifier in CATALOGUE[name].get("vectors", ()):
        vector = VECTORS[identifier]
        assert vector.effect is Effect.DENY or vector.again is not None, identifier


@each_class
def test_each_test_of_a_class_exists(name: str) -> None:
    for test in CATALOGUE[name].get("tests", ()):
        file, _, function = test.partition("::")
        text = (ROOT / file).read_text(encoding="utf-8")
        assert re.search(rf"^def {function}\(", text, re.MULTILINE), test


@pytest.mark.parametrize("folder", ["token", "delegation"])
def test_each_vector_about_tokens_and_mandates_belongs_to_a_class(folder: str) -> None:
    files = {file.stem for file in Path(FOLDER / folder).glob("*.json")}
    assert files - COVERED == set()


def test_no_class_stands_twice() -> None:
    text = (FOLDER / "catalogue.yaml").read_text(encoding="utf-8")
    names = re.findall(r"^([a-z0-9-]+):", text, re.MULTILINE)
    assert sorted(names) == sorted(CATALOGUE)
