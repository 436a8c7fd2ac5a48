from __future__ import annotations

from pathlib import Path

import pytest

from deputize.adapters.replay_store import Use
from deputize.adapters.telemetry import Telemetry
from deputize.config.schema import Replay
from deputize.server.replay import MAX_URL_LENGTH, open_replay_store
from tests.harness.loopback import free_port

PASSWORD = "s3cret"


def settings(folder: Path, url: str) -> Replay:
    (folder / "url").write_text(url)
    return Replay.model_validate({"store": "redis", "urlFile": str(folder / "url")})


def test_in_memory_there_is_room_for_so_many_and_a_metric_of_them() -> None:
    telemetry = Telemetry("grpcio")
    store = open_replay_store(Replay.model_validate({"entries": 1}), telemetry)
    assert store.consume("token:a", 10, 0, 1) is Use.FRESH
    assert store.consume("token:b", 10, 0, 1) is Use.UNKNOWN
    assert telemetry.registry.get_sample_value("deputize_replay_entries") == 1
    assert store.problem == ""


def test_a_server_that_is_not_there_yet_is_a_problem_and_no_error(tmp_path: Path) -> None:
    url = f"redis://:{PASSWORD}@127.0.0.1:{free_port()}\n"
    store = open_replay_store(settings(tmp_path, url), Telemetry("grpcio"))
    try:
        assert store.consume("token:a", 10, 0, 0.5) is Use.UNKNOWN
        assert store.problem
        assert PASSWORD not in store.problem
    finally:
        store.stop()


def test_a_url_that_is_none_is_refused_and_not_quoted(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="URL") as caught:
        open_replay_store(settings(tmp_path, f"redis:{PASSWORD}"), Telemetry("grpcio"))
    assert PASSWORD not in str(caught.value)


def test_a_url_that_is_too_long_is_refused_and_not_cut(tmp_path: Path) -> None:
    url = f"redis://:{'p' * MAX_URL_LENGTH}@127.0.0.1"
    with pytest.raises(ValueError, match="too long"):
        open_replay_store(settings(tmp_path, url), Telemetry("grpcio"))


def test_a_url_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    missing = Replay.model_validate({"store": "redis", "urlFile": str(tmp_path / "none")})
    with pytest.raises(OSError, match="none"):
        open_replay_store(missing, Telemetry("grpcio"))
