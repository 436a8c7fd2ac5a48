from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deputize.config.file_set import read_files
from deputize.config.files import folders_of
from deputize.config.loader import load
from deputize.config.objects import POLICY, ObjectKey, parse_stored
from deputize.config.problems import ConfigError
from deputize.config.remarks import find_remarks
from tests.harness.config_files import SERVICE, changed, problem_places, write_world
from tests.harness.stored_objects import SPEC, WITH_OBJECTS, stored

PROFILE_FILE = """\
apiVersion: deputize.dev/v1alpha1
kind: IssuerProfile
metadata:
  name: ours
spec:
  title: Ours
  sources: [handbook]
  algorithms: [RS256]
"""
PROFILED = (
    changed(SERVICE, "      algorithms: [ES256]\n", "      profile: ours\n")
    + "  profiles: [profiles]\n"
)


def metadata(**keys: object) -> dict[str, Any]:
    known: dict[str, object] = {
        "namespace": "a",
        "name": "b",
        "uid": "c",
        "resourceVersion": "1",
        "generation": 1,
    }
    return {"metadata": known | keys}


def test_an_object_is_named_as_problems_name_it() -> None:
    key = ObjectKey(POLICY, "team", "orders")
    assert (str(key), key.qualified) == ("DelegationPolicy team/orders", "team.orders")


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"metadata": []},
        metadata(namespace=""),
        metadata(name=None),
        metadata(uid=1),
        metadata(generation="1"),
        metadata(generation=None),
    ],
)
def test_what_is_no_object_is_refused(value: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="an object without"):
        parse_stored(POLICY, value)


@pytest.mark.parametrize("status", [None, [], {}, {"conditions": None}, {"conditions": ["?"]}])
def test_a_status_of_any_form_is_read(status: Any) -> None:  # noqa: ANN401 - any form
    assert parse_stored(POLICY, metadata() | {"status": status}).conditions == ()


@pytest.mark.parametrize(
    ("changes", "was_accepted"),
    [
        ({}, True),
        ({"status": "False"}, False),
        ({"type": "Programmed"}, False),
        ({"observedGeneration": 2}, False),
    ],
)
def test_an_object_was_accepted_when_its_status_says_so_of_this_generation(
    changes: dict[str, Any], *, was_accepted: bool
) -> None:
    condition = {"type": "Accepted", "status": "True", "observedGeneration": 3} | changes
    assert stored("a", SPEC, generation=3, conditions=(condition,)).was_accepted is was_accepted


@pytest.fixture
def profiles(tmp_path: Path) -> Path:
    folder = tmp_path / "profiles"
    folder.mkdir()
    (folder / "ours.yaml").write_text(PROFILE_FILE)
    return folder


def test_a_profile_in_a_file_says_how_tokens_are_written(tmp_path: Path, profiles: Path) -> None:
    loaded = load(write_world(tmp_path, service=PROFILED))
    (issuer,) = loaded.compiled.issuers.values()
    assert issuer.algorithms == ("RS256",)
    assert profiles in folders_of(loaded.sources)
    digest = loaded.digest
    (profiles / "ours.yaml").write_text(PROFILE_FILE.replace("Ours", "Theirs"))
    assert load(tmp_path / "deputize.yaml").digest != digest


@pytest.mark.parametrize("name", ["rfc9068", "keycloak"])
def test_a_profile_takes_no_name_that_comes_with_deputize(
    tmp_path: Path, profiles: Path, name: str
) -> None:
    (profiles / "other.yaml").write_text(PROFILE_FILE.replace("name: ours", f"name: {name}"))
    places = problem_places(write_world(tmp_path, service=PROFILED))
    assert places == [("other.yaml", 4, "metadata.name")]


def test_a_profile_stands_once(tmp_path: Path, profiles: Path) -> None:
    (profiles / "z.yaml").write_text(PROFILE_FILE)
    places = problem_places(write_world(tmp_path, service=PROFILED))
    assert places == [("z.yaml", 4, "metadata.name")]


def test_what_is_wrong_in_a_profile_is_said(tmp_path: Path, profiles: Path) -> None:
    (profiles / "ours.yaml").write_text(
        PROFILE_FILE.replace("  title: Ours\n", "  audiences: []\n")
    )
    places = problem_places(write_world(tmp_path, service=PROFILED))
    assert ("ours.yaml", 6, "spec.audiences") in places
    assert ("ours.yaml", 5, "spec.title") in places


@pytest.mark.parametrize("name", ["ours", "nowhere.ours", "team.ours"])
def test_a_profile_that_nobody_wrote_is_told(tmp_path: Path, name: str) -> None:
    service = changed(PROFILED, "profile: ours", f"profile: {name}")
    places = problem_places(
        write_world(tmp_path, service=service.replace("  profiles: [profiles]\n", ""))
    )
    assert [pointer for _, _, pointer in places] == ["spec.issuers[0].profile"]


def test_offline_a_profile_that_is_an_object_is_taken_on_trust(tmp_path: Path) -> None:
    service = changed(WITH_OBJECTS, "      algorithms: [ES256]\n", "      profile: team.ours\n")
    loaded = load(write_world(tmp_path, service=service))
    assert len(loaded.compiled.issuers) == 1
    assert any("team" in remark for remark in find_remarks(loaded))


def test_without_policies_there_must_be_objects(tmp_path: Path) -> None:
    service = changed(SERVICE, "  policies: [policies]\n", "")
    with pytest.raises(ConfigError) as caught:
        read_files(write_world(tmp_path, service=service))
    assert [problem.pointer for problem in caught.value.problems] == ["spec"]
    assert load(write_world(tmp_path, service=WITH_OBJECTS)).compiled.policies.rules == ()
