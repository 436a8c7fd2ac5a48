from __future__ import annotations

import gc
from collections.abc import Iterable
from pathlib import Path

import pytest

from deputize.config import files
from deputize.config.policy_loader import (
    compile_sources,
    is_service,
    load_policies,
    read_policies,
)
from deputize.config.problems import ConfigError
from tests.harness.config_files import POLICY, changed, write_world

SECOND = changed(POLICY, "name: orders", "name: second")


def names(path: Path) -> list[str]:
    return [str(rule.ref) for rule in load_policies(path).rules]


def refused(path: Path) -> list[tuple[str, str]]:
    with pytest.raises(ConfigError) as caught:
        load_policies(path)
    return [(Path(each.file).name, each.pointer) for each in caught.value.problems]


def write(folder: Path, **texts: str) -> Path:
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder


def test_a_service_names_its_policies(tmp_path: Path) -> None:
    config_file = write_world(tmp_path)
    assert is_service(config_file)
    assert names(config_file) == ["orders/read"]


def test_a_policy_file_or_a_folder_of_them_needs_no_service(tmp_path: Path) -> None:
    write(tmp_path, a=f"{POLICY}---\n{SECOND}", b=POLICY.replace("name: orders", "name: third"))
    assert names(tmp_path / "a.yaml") == ["orders/read", "second/read"]
    assert names(tmp_path) == ["orders/read", "second/read", "third/read"]
    assert not is_service(tmp_path)
    assert not is_service(tmp_path / "a.yaml")


def test_names_are_not_compared_with_any_service(tmp_path: Path) -> None:
    write(tmp_path, a=POLICY.replace("issuer.example", "unknown.example"))
    assert names(tmp_path) == ["orders/read"]


def test_problems_of_all_files_come_at_once(tmp_path: Path) -> None:
    write(tmp_path, a=changed(POLICY, "[GET]", "[get]"), b="a: 1\na: 2\n", c=POLICY)
    assert refused(tmp_path) == [("a.yaml", "spec.rules[0].methods[0]"), ("b.yaml", "a")]


def test_problems_between_files_are_found(tmp_path: Path) -> None:
    write(tmp_path, a=POLICY, b=POLICY)
    assert refused(tmp_path) == [("b.yaml", "metadata.name")]
    with pytest.raises(ConfigError):
        compile_sources(read_policies(tmp_path))


def test_a_service_with_a_wrong_policy_is_refused(tmp_path: Path) -> None:
    config_file = write_world(tmp_path, policy=changed(POLICY, "[GET]", "[get]"))
    assert refused(config_file) == [("orders.yaml", "spec.rules[0].methods[0]")]


@pytest.mark.parametrize("text", ["[1]\n", "kind: Other\n", "kind: [ServiceConfig]\n"])
def test_what_is_neither_is_read_as_a_policy(tmp_path: Path, text: str) -> None:
    file = write(tmp_path, a=text) / "a.yaml"
    assert not is_service(file)
    assert refused(file)


def test_what_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    for path in (tmp_path / "missing", tmp_path / "missing.yaml"):
        assert [name for name, _ in refused(path)] == [path.name]
    (tmp_path / "empty").mkdir()
    assert refused(tmp_path / "empty") == [("empty", "")]


def test_a_file_has_a_bounded_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, a=POLICY)
    monkeypatch.setattr(files, "MAX_FILE_BYTES", len(POLICY))
    assert names(tmp_path) == ["orders/read"]
    monkeypatch.setattr(files, "MAX_FILE_BYTES", len(POLICY) - 1)
    assert refused(tmp_path) == [("a.yaml", "")]


@pytest.fixture(params=[True, False])
def collector(request: pytest.FixtureRequest) -> Iterable[bool]:
    was_enabled = gc.isenabled()
    (gc.enable if request.param else gc.disable)()
    yield request.param
    (gc.enable if was_enabled else gc.disable)()


def test_the_collector_is_as_before(tmp_path: Path, *, collector: bool) -> None:
    write(tmp_path, a=POLICY)
    load_policies(tmp_path)
    assert gc.isenabled() is collector
    refused(tmp_path / "missing")
    assert gc.isenabled() is collector
