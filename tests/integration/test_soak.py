"""A short run of what `make soak` does at length."""

from __future__ import annotations

from pathlib import Path

from tests.soak.flood import run_flood


def test_a_flood_of_tokens_and_unknown_keys_is_bounded(tmp_path: Path) -> None:
    seen = run_flood(tmp_path, tokens=6000, unknown_keys=10_000)
    assert seen.broken() == [], seen.report()
