"""The path cases in one process: the answer to every spelling."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from deputize.core.matching import PatternError, parse_path_pattern
from deputize.core.paths import parse_path
from deputize.core.snapshot import Snapshot
from tests.harness.path_cases import ELSEWHERE, FORBIDDEN, LITERAL, TO_COME, PathCase
from tests.harness.path_rules import path_rules
from tests.harness.request_cases import CASES
from tests.harness.world import (
    NOW,
    decide_now,
    make_request,
    make_snapshot,
    shared_issuer,
)

ROOT = Path(__file__).parents[3]
CALLS = [(case, host, target) for case in CASES for host in case.hosts for target in case.targets]


@cache
def _snapshot() -> Snapshot:
    return make_snapshot(shared_issuer(), rules=path_rules())


@cache
def _token() -> str:
    return shared_issuer().issue(now=NOW)


def _reason(case: PathCase, host: str, target: str) -> str:
    request = make_request(
        _token(), method=case.method, host=host, path=target, headers=case.headers
    )
    return decide_now(request, _snapshot()).reason


@pytest.mark.parametrize(
    ("case", "host", "target"),
    CALLS,
    ids=[f"{case.id}-{host[:40]}-{target[:40]!a}" for case, host, target in CALLS],
)
def test_each_spelling_has_its_answer(case: PathCase, host: str, target: str) -> None:
    assert _reason(case, host, target) == case.reason_on(host)


def test_no_case_is_missing() -> None:
    known = {case.id for case in CASES} | ELSEWHERE.keys() | TO_COME
    assert known == {f"P{number:02}" for number in range(1, 53)}


@pytest.mark.parametrize("node", ELSEWHERE.values())
def test_what_is_shown_elsewhere_is_shown(node: str) -> None:
    file, _, name = node.partition("::")
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    assert name in {each.name for each in tree.body if isinstance(each, ast.FunctionDef)}


@pytest.mark.parametrize("text", ["/v1/orders/[0-9]+", "/v1/orders/.*", "/v1/(a|b)", "^/v1"])
def test_a_regular_expression_is_no_pattern(text: str) -> None:
    with pytest.raises(PatternError):
        parse_path_pattern(text)


@pytest.mark.parametrize("text", ["/v1/orders/7$", "/v1/orders/7+", "/v1/orders/.+"])
def test_what_looks_like_one_stands_for_itself(text: str) -> None:
    pattern = parse_path_pattern(text)
    assert pattern.matches(parse_path(text))
    assert not pattern.matches(parse_path("/v1/orders/7"))


def test_a_forbid_covers_what_an_allow_with_a_slash_at_the_end_would_not() -> None:
    forbidden = {target for case in CASES if case.reason is FORBIDDEN for target in case.targets}
    assert {"/admin", "/admin/"} <= forbidden
    literal = {target for case in CASES if case.reason is LITERAL for target in case.targets}
    assert "/v1/orders/7/" in literal
