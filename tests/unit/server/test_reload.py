from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deputize.config.file_set import FileSet, read_files
from deputize.config.files import sign_files
from deputize.config.loader import load
from deputize.server import reload
from tests.harness.config_files import POLICY, SERVICE, changed, line_of
from tests.harness.issuer import Issuer
from tests.harness.polling import wait_until
from tests.harness.watching import Watching
from tests.harness.world import ISSUER_URL

SECONDS = 10
WIDER = changed(POLICY, "[GET]", "[GET, HEAD]")


@pytest.fixture(autouse=True)
def _settle_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reload, "SETTLE_MILLIS", 20)


@pytest.fixture
def watching(tmp_path: Path) -> Watching:
    watching = Watching(tmp_path)
    watching.reloader.look()
    return watching


def test_the_first_configuration_is_used_at_once(watching: Watching) -> None:
    assert len(watching.loaded) == 1
    assert watching.reloader.problems == ()


def test_policies_are_not_kept_as_they_were_read(watching: Watching) -> None:
    watching.reloader.look()
    assert watching.reloader._files.policies == []


def test_unchanged_files_are_not_loaded_again(watching: Watching) -> None:
    looks = watching.looks
    watching.reloader.look()
    assert (watching.looks, len(watching.loaded)) == (looks, 1)


def test_a_change_is_used(watching: Watching) -> None:
    watching.policy_file.write_text(WIDER)
    watching.reloader.look()
    assert watching.methods == {"GET", "HEAD"}


def test_a_touched_file_with_the_same_content_changes_nothing(watching: Watching) -> None:
    watching.policy_file.write_text(POLICY)
    watching.reloader.look()
    assert len(watching.loaded) == 1


def test_a_new_file_in_a_policy_folder_is_used(watching: Watching) -> None:
    second = watching.folder / "policies" / "b.yaml"
    second.write_text(changed(POLICY, "name: orders", "name: other"))
    watching.reloader.look()
    assert len(watching.loaded[-1].compiled.policies.rules) == 2
    second.unlink()
    watching.reloader.look()
    assert len(watching.loaded[-1].compiled.policies.rules) == 1


def test_a_changed_key_file_is_passed_on(watching: Watching) -> None:
    looks = watching.looks
    (watching.folder / "jwks.json").write_bytes(Issuer(ISSUER_URL).jwks())
    watching.reloader.look()
    assert (watching.looks, len(watching.loaded)) == (looks + 1, 1)


def test_a_broken_change_is_reported_and_not_used(watching: Watching) -> None:
    broken = changed(POLICY, "[GET]", "[get]")
    watching.policy_file.write_text(broken)
    watching.reloader.look()
    (problem,) = watching.reloader.problems
    assert Path(problem.file) == watching.policy_file
    assert problem.line == line_of(broken, "[get]")
    assert problem.pointer == "spec.rules[0].methods[0]"
    assert (len(watching.loaded), watching.failures) == (1, 1)
    assert watching.reloader.problem_count == 1


def test_the_same_problem_is_reported_once(watching: Watching) -> None:
    watching.policy_file.write_text("a: [")
    for _ in range(3):
        watching.reloader.look()
    assert watching.failures == 1


@pytest.mark.parametrize("repaired", [POLICY, WIDER])
def test_a_repair_clears_the_problem(watching: Watching, repaired: str) -> None:
    watching.policy_file.write_text("a: [")
    watching.reloader.look()
    watching.policy_file.write_text(repaired)
    watching.reloader.look()
    assert (watching.reloader.problems, watching.reloader.problem_count) == ((), 0)
    assert watching.loaded[-1].digest == load(watching.folder / "deputize.yaml").digest


def test_a_problem_outside_the_files_in_use_is_looked_at_again(watching: Watching) -> None:
    config_file = watching.folder / "deputize.yaml"
    config_file.write_text(changed(SERVICE, "[policies]", "[policies, later.yaml]"))
    watching.reloader.look()
    assert watching.failures == 1
    (watching.folder / "later.yaml").write_text(changed(POLICY, "name: orders", "name: b"))
    watching.reloader.look()
    assert len(watching.loaded[-1].compiled.policies.rules) == 2


def test_a_vanished_folder_is_a_problem_and_not_the_end(watching: Watching) -> None:
    (watching.folder / "policies").rename(watching.folder / "gone")
    watching.reloader.look()
    assert watching.reloader.problems
    (watching.folder / "gone").rename(watching.folder / "policies")
    watching.reloader.look()
    assert watching.reloader.problems == ()


def test_files_that_change_while_they_are_read_are_read_again(
    watching: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = [WIDER, changed(POLICY, "[GET]", "[HEAD]")]

    def load_while_it_changes(config_file: Path) -> FileSet:
        files = read_files(config_file)
        if versions:
            watching.policy_file.write_text(versions.pop())
        return files

    monkeypatch.setattr(reload, "read_files", load_while_it_changes)
    watching.policy_file.write_text(changed(POLICY, "[GET]", "[PUT]"))
    watching.reloader.look()
    assert watching.methods == {"GET", "HEAD"}
    assert len(watching.loaded) == 2


def test_a_key_file_that_changes_while_the_others_are_read_is_passed_on(
    watching: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, looks = watching.folder / "jwks.json", watching.looks
    changes = [Issuer(ISSUER_URL, key_id="k3").jwks()]

    def load_while_it_changes(config_file: Path) -> FileSet:
        # Whoever was told of the first change has read the file by now.
        if changes:
            keys.write_bytes(changes.pop())
        return read_files(config_file)

    monkeypatch.setattr(reload, "read_files", load_while_it_changes)
    keys.write_bytes(Issuer(ISSUER_URL, key_id="k2").jwks())
    watching.reloader.look()
    assert watching.looks == looks + 2


@pytest.fixture
def started(watching: Watching) -> Iterator[Watching]:
    watching.reloader.start()
    yield watching
    watching.reloader.stop()


def replace_file(path: Path, text: str) -> None:
    draft = path.with_suffix(".draft")
    draft.write_text(text)
    draft.replace(path)


def rewrite(path: Path, text: str) -> None:
    path.write_text(text)


@pytest.mark.parametrize("change", [replace_file, rewrite])
def test_a_change_is_noticed(started: Watching, change: Callable[[Path, str], None]) -> None:
    change(started.policy_file, WIDER)
    wait_until(lambda: started.methods == {"GET", "HEAD"}, SECONDS)


def test_a_fault_of_ours_does_not_end_the_watch(
    watching: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reload, "RETRY_SECONDS", 0.01)
    faults: list[Path] = []

    def failing_load(config_file: Path) -> FileSet:
        if len(faults) < 5:
            faults.append(config_file)
            raise RuntimeError("a fault on purpose")
        return read_files(config_file)

    monkeypatch.setattr(reload, "read_files", failing_load)
    watching.reloader.start()
    watching.policy_file.write_text("a: [")
    wait_until(lambda: len(faults) == 5, SECONDS)
    watching.policy_file.write_text(WIDER)
    wait_until(lambda: watching.methods == {"GET", "HEAD"}, SECONDS)
    watching.reloader.stop()


@pytest.mark.parametrize("name", ["missing", "a" * 300, "missing/below"])
def test_files_that_cannot_be_looked_at_have_a_signature_too(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    assert sign_files((path,)) == ((str(path), 0, 0, 0),)


def test_a_link_to_another_file_changes_the_signature(tmp_path: Path) -> None:
    link = tmp_path / "link"
    for name in ("a", "b"):
        (tmp_path / name).write_text("same")
    link.symlink_to("a")
    before = sign_files((link,))
    link.unlink()
    link.symlink_to("b")
    assert sign_files((link,)) != before
