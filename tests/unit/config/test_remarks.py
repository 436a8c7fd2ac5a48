"""What is said beside a configuration that loads."""

from __future__ import annotations

from pathlib import Path

import pytest

from deputize.config.loader import load
from deputize.config.remarks import find_remarks, find_serving_remarks
from tests.harness.config_files import POLICY, SERVICE, changed, write_world

FORBID = changed(
    changed(POLICY, "effect: allow", "effect: forbid"), "      scopes: [orders:read]\n", ""
)
OBSERVED = changed(FORBID, "  rules:", "  mode: observe\n  rules:")


def test_an_operator_hears_of_all_that_is_not_enforced(tmp_path: Path) -> None:
    loaded = load(write_world(tmp_path, policy=OBSERVED))
    assert find_remarks(loaded) == []
    assert find_serving_remarks(loaded) == ["only observed, not enforced: orders"]
    line = "  policies: [policies]\n"
    service = changed(SERVICE, line, f"{line}  policyMode: observe\n")
    loaded = load(write_world(tmp_path, service=service, policy=FORBID))
    assert len(find_serving_remarks(loaded)) == 1


def test_what_cannot_be_read_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = load(write_world(tmp_path))
    below = tmp_path / "policies" / "team"
    below.mkdir()
    (below / "gone.yaml").symlink_to("nowhere.yaml")
    (tmp_path / "policies" / "orders.yaml").unlink()
    assert find_remarks(loaded) == []
    (below / "crm.yaml").write_text(POLICY)
    monkeypatch.setattr(Path, "iterdir", _refuse)
    assert len(find_remarks(loaded)) == 1


def _refuse(_path: Path) -> None:
    raise PermissionError
