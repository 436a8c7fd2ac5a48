"""The table says something of every code, and every code has a fault that is seeded and found."""

from __future__ import annotations

from pathlib import Path

from deputize.doctor.findings import Code
from deputize.doctor.table import MEANINGS, TITLED
from tests.integration import test_doctor
from tests.unit.doctor import test_manifests, test_metrics, test_sources

ROOT = Path(__file__).parents[3]


def test_each_code_stands_in_one_part_of_the_table() -> None:
    codes = [code for part in TITLED.values() for code in part]
    assert sorted(codes) == sorted(Code)


def test_each_code_has_a_seeded_fault() -> None:
    seeded = {
        *(Code(seed["code"]) for seed in test_manifests.SEEDS),
        *test_sources.FAULTS.values(),
        *test_metrics.FAULTS.values(),
        *test_doctor.FAULTS.values(),
        test_doctor.OPEN,
    }
    assert seeded == set(Code)


def test_each_code_is_documented_with_what_to_do() -> None:
    page = (ROOT / "docs/reference/doctor.md").read_text()
    for code in Code:
        assert f"### {code.value}\n" in page
        assert MEANINGS[code].fix in page
