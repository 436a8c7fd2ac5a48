"""Objects that many may write must not use up what all decide with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deputize.config import object_bounds
from deputize.config.object_bounds import MOST_OF_ONE, Size
from deputize.config.objects import only_allows, read_object
from deputize.config.problems import ConfigError
from deputize.config.settling import settle
from tests.harness.stored_objects import RULE, SPEC, by_key, files_in, policy_key, spec_of, stored

SPEAKS: dict[str, Any] = {"hosts": ["orders.example"], "paths": ["/mcp"], "protocol": "mcp"}


def nested(depth: int) -> Any:  # noqa: ANN401 - a list of lists
    value: Any = "?"
    for _level in range(depth):
        value = [value]
    return value


def texts(count: int, form: str) -> list[str]:
    return [form.format(number) for number in range(count)]


def pointers(spec: object) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read_object(stored("a", spec))
    return [problem.pointer for problem in caught.value.problems]


@pytest.mark.parametrize(
    "spec",
    [
        {**SPEC, "other": nested(5000)},
        spec_of(when=[{"claim": "a", "equals": nested(5000)}]),
        spec_of(when=nested(5000)),
        nested(5000),
    ],
)
def test_what_nests_without_end_is_refused_like_anything_else(spec: object) -> None:
    assert pointers(spec) == ["spec"]


@pytest.mark.parametrize(
    ("rule", "is_large"),
    [
        ({"hosts": texts(200, "a{}.example"), "paths": texts(100, "/{}")}, False),
        ({"hosts": texts(201, "a{}.example"), "paths": texts(100, "/{}")}, True),
        ({"agents": texts(150, RULE["agents"][0] + "{}"), "paths": texts(150, "/{}")}, True),
        (
            {
                "onBehalfOf": [
                    {"issuer": "https://issuer.example", "subjects": texts(150, "s{}")},
                    {"issuer": "https://issuer.example", "claims": {"a": texts(150, "g{}")}},
                ],
                "mcp": {"methods": ["*"], "names": texts(80, "n{}")},
            },
            True,
        ),
        ({"a2a": {"operations": texts(20_001, "o{}")}}, True),
        ({"grpc": {"methods": texts(20_001, "a.B/o{}")}}, True),
    ],
)
def test_the_product_of_lists_has_a_bound(rule: dict[str, object], *, is_large: bool) -> None:
    spec = spec_of(**rule)
    if is_large:
        assert pointers(spec) == ["spec.rules"]
    else:
        assert read_object(stored("a", spec)).policy


def test_routes_have_a_bound() -> None:
    hosts = texts(MOST_OF_ONE.routes, "a{}.example")
    assert read_object(stored("a", {"resources": [{**SPEAKS, "hosts": hosts}]})).policy
    large = {"resources": [{**SPEAKS, "hosts": hosts}, SPEAKS]}
    assert pointers(large) == ["spec.resources"]


def test_all_together_have_a_bound_and_what_is_in_force_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_bounds, "MOST_OF_ALL", Size(6, 0))
    files, four = files_in(tmp_path), spec_of(methods=["GET", "PUT", "POST", "PATCH"])
    kept = stored("z", four, created="2026-01-02T00:00:00Z")
    before = settle(files, by_key(kept), {}).in_force
    large, small = stored("a", four), stored("b", spec_of(methods=["PUT", "GET"]))
    settled = settle(files, by_key(kept, large, small), before)
    assert settled.in_force.keys() == {policy_key("z"), policy_key("b")}
    assert list(settled.refused) == [policy_key("a")]
    assert len(settle(files, by_key(large, small), settled.in_force).in_force) == 2


def test_what_stands_beside_the_spec_is_not_passed_over() -> None:
    thing = stored("a", SPEC)
    limits: dict[str, Any] = {"agentCeilings": [{"agents": RULE["agents"], "scopes": []}]}
    other = replace(thing, value={**thing.value, **limits})
    with pytest.raises(ConfigError) as caught:
        read_object(other)
    assert [problem.pointer for problem in caught.value.problems] == ["agentCeilings"]
    assert (only_allows(thing), only_allows(other)) == (True, False)
