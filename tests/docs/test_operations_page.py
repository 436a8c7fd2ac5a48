"""What the pages for operators say of failures and objectives: tests, codes, rules of alerts."""

from __future__ import annotations

import re

import pytest
import yaml

from deputize.adapters.presentation import PRESENTATIONS
from deputize.core.reasons import Reason
from tests.docs.markdown_files import ROOT, Page

NAMES = ("operations.md", "install.md", "upgrade.md", "scale.md", "threat-model.md")
PAGES = [Page(ROOT / "docs" / name, (ROOT / "docs" / name).read_text()) for name in NAMES]
RULES = ROOT / "charts/deputize/files/alerts.yaml"


def _page(name: str) -> Page:
    return next(page for page in PAGES if page.path.name == name)


by_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@by_page
def test_named_tests_exist(page: Page) -> None:
    for file, name in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page.text):
        assert f"def {name}(" in (ROOT / file).read_text(), name


@by_page
def test_callers_see_the_status_that_is_said(page: Page) -> None:
    for status, reason in re.findall(r"\b([45]\d\d) `([a-z]+\.[a-z_]+)`", page.text):
        assert PRESENTATIONS[Reason(reason)].http_status == int(status), reason


@by_page
def test_named_recording_rules_exist(page: Page) -> None:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    recorded = {rule.get("record") for group in groups for rule in group["rules"]}
    assert set(re.findall(r"(?<!urn:)\bdeputize:[a-z_]+:\w+", page.text)) <= recorded


@pytest.mark.parametrize("name", ["upgrade.md", "operations.md"])
def test_what_needs_a_restart_is_said(name: str) -> None:
    source = (ROOT / "src/deputize/server/app.py").read_text()
    fixed = re.findall(r'^ {8}"spec\.([\w.]+)":', source, re.MULTILINE)
    assert len(fixed) > 3
    lines = [line for line in _page(name).text.splitlines() if "at the next start" in line]
    told = " ".join(lines).replace("config.", "")
    assert [key for key in fixed if f"`{key.partition('.')[0]}" not in told] == []


def test_each_failure_names_what_shows_it() -> None:
    (section,) = re.findall(
        r"^## What fails, and what callers see\n(.*?)^## ",
        PAGES[0].text,
        re.MULTILINE | re.DOTALL,
    )
    rows = [line for line in section.splitlines() if line.startswith("| ")]
    failures = [row for row in rows if not row.startswith(("| Fails", "| Change", "| ---"))]
    assert len(failures) > 25
    shown = r"`(tests/|python -m )|\| the same \|$|\]\("
    assert [row for row in failures if not re.search(shown, row)] == []
