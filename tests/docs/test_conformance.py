"""The page about standards: each row has a status, and tests or vectors that exist."""

from __future__ import annotations

import ast
import re
from functools import cache
from typing import NamedTuple

import pytest

from tests.docs.markdown_files import ROOT

DIVERGES, NOT_USED = "`diverges`", "`not used`"
STATUSES = frozenset({"`done`", "`refused`", DIVERGES, NOT_USED})
COLUMNS = ["Section", "Asks", "Status", "Note", "Shown by"]

_PAGE = (ROOT / "docs/conformance.md").read_text(encoding="utf-8")
_DOCUMENT = re.compile(r"^## ([^:\n]+)[^\n]*\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_DIVERGENCE = re.compile(r"\[([^\]]+) §([^\]]+)\]\((#[^)]+)\)")
_NODE = re.compile(r"(tests/[\w/]+\.py)::(test_\w+)")
_VECTOR = re.compile(r"[a-z]+/[a-z0-9-]+")


class Row(NamedTuple):
    """What the page says about one section of one document."""

    document: str
    section: str
    asks: str
    status: str
    note: str
    shown_by: str

    @property
    def proofs(self) -> list[str]:
        return re.findall(r"`([^`]+)`", self.shown_by)


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def _rows(document: str, text: str) -> list[Row]:
    lines = [line for line in text.splitlines() if line.startswith("|")]
    if not lines or _cells(lines[0]) != COLUMNS:
        return []
    return [Row(document, *_cells(line)) for line in lines[2:]]


TABLES = {name: _rows(name, text) for name, text in _DOCUMENT.findall(_PAGE)}
ROWS = [row for rows in TABLES.values() for row in rows]
DIVERGENCES = next(text for name, text in _DOCUMENT.findall(_PAGE) if name == "Divergences")

by_row = pytest.mark.parametrize("row", ROWS, ids=[f"{row.document} {row.section}" for row in ROWS])


@cache
def _functions(file: str) -> frozenset[str]:
    path = ROOT / file
    tree = ast.parse(path.read_text(encoding="utf-8")) if path.is_file() else ast.Module([], [])
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in tree.body if isinstance(node, kinds))


def _exists(proof: str) -> bool:
    node = _NODE.fullmatch(proof)
    if node is not None:
        return node[2] in _functions(node[1])
    is_vector = _VECTOR.fullmatch(proof) is not None
    return is_vector and (ROOT / f"tests/vectors/{proof}.json").is_file()


def test_the_page_has_the_tables_of_all_documents() -> None:
    assert [name for name, rows in TABLES.items() if not rows] == ["Divergences"]
    assert len(TABLES) > 10


@by_row
def test_a_row_has_one_of_the_statuses(row: Row) -> None:
    assert row.status in STATUSES
    assert row.section
    assert row.asks


@by_row
def test_a_row_names_tests_or_vectors_that_exist(row: Row) -> None:
    assert row.proofs or row.status == NOT_USED
    assert [proof for proof in row.proofs if not _exists(proof)] == []


@by_row
def test_a_divergence_has_a_note(row: Row) -> None:
    assert row.note or row.status != DIVERGES


def test_no_section_has_two_rows() -> None:
    places = [(row.document, row.section) for row in ROWS]
    assert sorted(set(places)) == sorted(places)


def test_the_lists_of_divergences_are_those_of_the_tables() -> None:
    listed = [(document, section) for document, section, _ in _DIVERGENCE.findall(DIVERGENCES)]
    told = [(row.document, row.section) for row in ROWS if row.status == DIVERGES]
    assert sorted(listed) == sorted(told)


def test_a_test_or_vector_that_is_not_there_is_noticed() -> None:
    assert _exists("tests/docs/test_conformance.py::test_no_section_has_two_rows")
    assert not _exists("tests/docs/test_conformance.py::test_that_is_not_there")
    assert not _exists("tests/docs/test_that_is_not_there.py::test_no_section_has_two_rows")
    assert not _exists("tests/docs/test_conformance.py")
    assert not _exists("token/that-is-not-there")
    assert not _exists("")
