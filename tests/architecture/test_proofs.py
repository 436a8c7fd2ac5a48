"""Where proofs, reasons and patterns may stand in the source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from deputize.core.reasons import REASONS, Reason

SOURCE = Path(__file__).parents[2] / "src" / "deputize"
CORE = SOURCE / "core"
MAX_LINES = 250
LISTS = {
    "config/issuer_schema.py",
    "config/policy_schema.py",
    "config/schema.py",
    "core/model.py",
    "core/reasons.py",
}
"""Files that are one long list of definitions."""


def source_files(folder: Path = SOURCE) -> list[Path]:
    """All files a person wrote; `_proto` is generated."""
    return sorted(file for file in folder.rglob("*.py") if "_proto" not in file.parts)


def nodes(file: Path) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(file.read_text(encoding="utf-8")))


def called_names(file: Path) -> Iterator[str]:
    """The last part of the name of everything that is called: `b` for `a.b()`."""
    for node in nodes(file):
        if isinstance(node, ast.Call):
            match node.func:
                case ast.Name(id=name) | ast.Attribute(attr=name):
                    yield name


def named_reasons(file: Path) -> set[Reason]:
    """Every `Reason.X` of the file that is not just the key of a table."""
    found = list(nodes(file))
    keys = [key for node in found if isinstance(node, ast.Dict) for key in node.keys]
    return {
        Reason[name]
        for node in found
        if node not in keys
        for name in Reason.__members__
        if isinstance(node, ast.Attribute) and ast.unparse(node) == f"Reason.{name}"
    }


@pytest.mark.parametrize(
    ("proof", "maker"),
    [
        ("Peer", "peer.py"),
        ("VerifiedToken", "token.py"),
        ("Mandate", "mandate.py"),
        ("Delegation", "delegation.py"),
        ("Approved", "approval.py"),
        ("Grant", "policy.py"),
        ("Ruling", "policy.py"),
        ("Permit", "decide.py"),
    ],
)
def test_a_proof_is_made_in_one_file_only(proof: str, maker: str) -> None:
    makers = [file for file in source_files() if proof in called_names(file)]
    assert makers == [CORE / maker]


def test_no_proof_is_copied_with_changes() -> None:
    imported = {
        alias.name
        for file in source_files(CORE)
        for node in nodes(file)
        if isinstance(node, ast.ImportFrom) and node.module in {"copy", "dataclasses"}
        for alias in node.names
    }
    assert imported == {"dataclass", "field"}
    # What the commands and the analysis of policies make reaches no proxy.
    offline = {SOURCE / "analysis", SOURCE / "cli"}
    deciding = [file for file in source_files() if offline.isdisjoint(file.parents)]
    copying = {"_replace", "_make"}
    assert not [file for file in deciding if copying & attribute_names(file)]


def attribute_names(file: Path) -> set[str]:
    return {node.attr for node in nodes(file) if isinstance(node, ast.Attribute)}


@pytest.mark.parametrize("file", source_files(CORE), ids=lambda file: file.name)
def test_a_reason_is_named_only_in_the_file_of_its_family(file: Path) -> None:
    foreign = {
        reason
        for reason in named_reasons(file)
        if not is_of_family(file, reason.family) and reason is not Reason.POLICY_ALLOWED
    }
    assert foreign == set()


def is_of_family(file: Path, family: str) -> bool:
    """True for `<family>.py` and `<family>_*.py`; everybody may name a fault of our side."""
    return family in {"system", file.stem} or file.stem.startswith(f"{family}_")


def test_every_reason_is_explained_and_used() -> None:
    used = {reason for file in source_files() for reason in named_reasons(file)}
    assert REASONS.keys() == used == set(Reason)


def test_patterns_in_the_core_match_whole_texts() -> None:
    # An escape anywhere in a decoded segment; a token anywhere in a query.
    allowed = {("paths.py", "_ESCAPE.search"), ("request.py", "_TOKEN_PARAMETER.search")}
    partial = {
        (file.name, ast.unparse(node))
        for file in source_files(CORE)
        for node in nodes(file)
        if isinstance(node, ast.Attribute) and node.attr in {"match", "search"}
    }
    assert partial == allowed


@pytest.mark.parametrize(
    "file", source_files(), ids=lambda file: file.relative_to(SOURCE).as_posix()
)
def test_a_file_can_be_read_in_one_sitting(file: Path) -> None:
    lines = len(file.read_text(encoding="utf-8").splitlines())
    assert lines <= MAX_LINES or file.relative_to(SOURCE).as_posix() in LISTS


def test_the_decision_fits_on_two_screens() -> None:
    assert len((CORE / "decide.py").read_text(encoding="utf-8").splitlines()) < 120
