from __future__ import annotations

from pathlib import Path

import pytest

from deputize.adapters.telemetry import Telemetry
from deputize.config.settling import settle
from deputize.server import cluster
from deputize.server.cluster import MAX_TOLD, Cluster
from tests.harness.stored_objects import BROKEN_PATH, FORBID, by_key, files_in, stored


@pytest.mark.parametrize("is_used", [True, False])
def test_a_report_is_short_however_much_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_used: bool
) -> None:
    monkeypatch.setattr(cluster, "KubernetesApi", lambda: None)
    wrong = {"rules": [FORBID | {"paths": [BROKEN_PATH]}, {"name": "second"}]}
    things = by_key(*(stored(f"a{number}", wrong) for number in range(MAX_TOLD + 3)))
    settled = settle(files_in(tmp_path), things, {})
    watching = Cluster([], Telemetry("grpcio"))
    watching.tell(settled, things, is_used=is_used)
    report = watching.report()
    told, silent = (
        (report.warnings, report.waiting_for) if is_used else (report.waiting_for, report.warnings)
    )
    assert len(told) == MAX_TOLD + 1
    assert told[-1].startswith("3 more")
    assert silent == []
