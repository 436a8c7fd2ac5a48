from __future__ import annotations

from pathlib import Path

import pytest

from deputize.config.objects import PROFILE
from deputize.config.problems import ConfigError
from tests.harness.config_files import POLICY, SERVICE, changed
from tests.harness.course import Course, rules_of
from tests.harness.stored_objects import (
    SPEC,
    WITH_OBJECTS,
    files_in,
    profile_key,
    spec_of,
    stored,
)

NAMED = changed(
    WITH_OBJECTS, "      algorithms: [ES256]\n", "      profile: team.ours\n      useOnce: true\n"
)
PROFILE_SPEC = {"title": "Ours", "sources": ["handbook"], "algorithms": ["RS256"]}


def test_objects_and_files_are_decided_by_together(tmp_path: Path) -> None:
    service = SERVICE + "  kubernetes: {namespaces: [team]}\n"
    settled = Course(files_in(tmp_path, service)).settle(stored("orders", SPEC))
    assert rules_of(settled) == {"orders/read", "team.orders/read"}


def test_files_alone_have_the_digest_of_files(tmp_path: Path) -> None:
    files = files_in(tmp_path)
    assert Course(files).settle().loaded.digest == files.digest


def test_files_that_do_not_fit_what_is_in_force_change_nothing(tmp_path: Path) -> None:
    course = Course(files_in(tmp_path / "a"))
    orders = stored("orders", SPEC, uid="a")
    course.settle(orders)
    course.files = files_in(
        tmp_path / "b", changed(WITH_OBJECTS, "https://issuer.example", "https://new.example")
    )
    with pytest.raises(ConfigError) as caught:
        course.settle(orders)
    assert {problem.file for problem in caught.value.problems} == {str(orders.key)}
    behalf = [{"issuer": "https://new.example", "anyone": True}]
    settled = course.settle(stored("orders", spec_of(onBehalfOf=behalf), uid="a", generation=2))
    assert rules_of(settled) == {"team.orders/read"}


def test_all_that_is_wrong_in_files_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "policies").mkdir()
    service = changed(SERVICE, "[policies]", "[policies, nowhere]")
    files = files_in(tmp_path, service + "  kubernetes: {namespaces: [team]}\n")
    (tmp_path / "policies" / "b.yaml").write_text(POLICY)
    files = files_in(tmp_path, service + "  kubernetes: {namespaces: [team]}\n")
    with pytest.raises(ConfigError) as caught:
        Course(files).settle()
    assert {problem.pointer for problem in caught.value.problems} == {
        "spec.policies[1]",
        "metadata.name",
    }


def test_an_issuer_may_name_a_profile_that_is_an_object(tmp_path: Path) -> None:
    course = Course(files_in(tmp_path, NAMED))
    with pytest.raises(ConfigError) as caught:
        course.settle()
    assert [problem.pointer for problem in caught.value.problems] == ["spec.issuers[0].profile"]
    ours = stored("ours", PROFILE_SPEC, kind=PROFILE, uid="p")
    settled = course.settle(ours)
    (issuer,) = settled.loaded.compiled.issuers.values()
    assert issuer.algorithms == ("RS256",)
    other = PROFILE_SPEC | {"tokenId": []}
    settled = course.settle(stored("ours", other, kind=PROFILE, uid="p", generation=2))
    assert list(settled.refused) == [profile_key("ours")], "`useOnce` needs a token identifier"
    assert settled.loaded.compiled.issuers == {issuer.issuer: issuer}
    settled = course.settle()
    assert settled.lingering == (profile_key("ours"),), "the issuer still needs it"


def test_a_profile_of_another_name_changes_no_issuer(tmp_path: Path) -> None:
    files = files_in(tmp_path)
    before = Course(files).settle().loaded.compiled.issuers
    taken = stored("rfc9068", PROFILE_SPEC | {"styles": ["autonomous"]}, kind=PROFILE)
    settled = Course(files).settle(taken)
    assert settled.loaded.compiled.issuers == before
    assert not settled.refused
