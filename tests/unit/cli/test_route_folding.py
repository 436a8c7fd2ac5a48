"""Templates cover the paths they come from, and fold what tells things apart."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from deputize.cli.route_folding import MAX_LITERALS, path_templates
from deputize.core.matching import parse_path_pattern
from deputize.core.paths import parse_path

SEGMENTS = st.sampled_from(
    ["a", "b", "v1", "17", "*", "{id}", "**", "%C3%A9", "x.y", "a@b", "%7Bq%7D", *"cdefghijklmnop"]
)
PATHS = st.builds(
    lambda parts, tail: "/" + "/".join([*parts, *tail]),
    st.lists(SEGMENTS.filter(lambda part: "{" not in part), max_size=4),
    st.lists(st.just(""), min_size=0, max_size=1),
)


@given(st.lists(PATHS.filter(lambda path: "//" not in path), min_size=1, max_size=30))
def test_every_path_has_a_template_that_covers_it(paths: list[str]) -> None:
    for path, template in path_templates(paths).items():
        assert parse_path_pattern(template).matches(parse_path(path)), (path, template)


def test_plain_segments_stay_and_many_are_folded() -> None:
    few = [f"/v1/{chr(97 + number)}" for number in range(MAX_LITERALS)]
    assert path_templates(few) == {path: path for path in few}
    many = [*few, "/v1/one-more"]
    assert set(path_templates(many).values()) == {"/v1/{id}"}


def test_folded_branches_are_folded_together_below() -> None:
    paths = ["/o/1/lines/2", "/o/3/lines/4", "/o/1/", "/o/export"]
    assert path_templates(paths) == {
        "/o/1/lines/2": "/o/{id}/lines/{id2}",
        "/o/3/lines/4": "/o/{id}/lines/{id2}",
        "/o/1/": "/o/{id}/",
        "/o/export": "/o/export",
    }
