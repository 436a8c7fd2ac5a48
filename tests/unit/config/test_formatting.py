"""How YAML is written: one form for each value, and comments where they were."""

from __future__ import annotations

import pytest

from deputize.config.formatting import format_file
from deputize.config.problems import ConfigError
from deputize.config.yaml_comments import find_comments, place_comments
from deputize.config.yaml_scalars import write_text
from deputize.config.yaml_tree import read_trees
from deputize.config.yaml_writer import write_trees


def rewrite(text: str) -> str:
    trees = read_trees(text)
    place_comments(text, trees, find_comments(text, trees))
    return write_trees(trees, {"rules"})


@pytest.mark.parametrize(
    ("text", "in_block", "in_flow"),
    [
        ("orders:read", "orders:read", "orders:read"),
        ("/v1/**", "/v1/**", "/v1/**"),
        ("/v1/{id}", "/v1/{id}", '"/v1/{id}"'),
        ("a, b", "a, b", '"a, b"'),
        ("*", '"*"', '"*"'),
        ("", '""', '""'),
        ("true", '"true"', '"true"'),
        ("no", '"no"', '"no"'),
        ("42", '"42"', '"42"'),
        ("08:00", '"08:00"', '"08:00"'),
        ("2026-12-31T18:00:00+01:00", '"2026-12-31T18:00:00+01:00"', '"2026-12-31T18:00:00+01:00"'),
        ("1.2.3", '"1.2.3"', '"1.2.3"'),
        ("a: b", '"a: b"', '"a: b"'),
        ("a #b", '"a #b"', '"a #b"'),
        ("a#b", "a#b", "a#b"),
        ("it's", "it's", "it's"),
        ('say "a"', 'say "a"', 'say "a"'),
        ('"a" b\\', "'\"a\" b\\'", "'\"a\" b\\'"),
        ("a\nb\u2028", '"a\\nb\\u2028"', '"a\\nb\\u2028"'),
        ("\U0001f600", "\U0001f600", "\U0001f600"),
        ("\U000e0001", '"\\U000e0001"', '"\\U000e0001"'),
    ],
)
def test_only_what_needs_quotes_has_them(text: str, in_block: str, in_flow: str) -> None:
    assert write_text(text, in_flow=False) == in_block
    assert write_text(text, in_flow=True) == in_flow


LONG = ", ".join(f"scope-number-{number}" for number in range(7))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a:\n- 1\n- x\n", "a: [1, x]\n"),
        (f"a: [{LONG}]\n", "a:\n" + "".join(f"  - scope-number-{n}\n" for n in range(7))),
        ("a: {b: {c: [1]}}\n", "a: {b: {c: [1]}}\n"),
        ("a: {b:\n  c}\n", "a: {b: c}\n"),
        ("a:\n    b: {}\n    c: []\n", "a:\n  b: {}\n  c: []\n"),
        ("a:\n- - 1\n  - 2\n", "a:\n  - [1, 2]\n"),
        ("a: [{b: 1}, {c: 2}]\n", "a: [{b: 1}, {c: 2}]\n"),
        ("a: [\n {b: 1}, # c\n]\n", "a:\n  - {b: 1} # c\n"),
        ("a: [\n {b: 1},\n # c\n]\n", "a:\n  - {b: 1}\n  # c\n"),
        ("a: # first\n  - 1\n", "a: [1] # first\n"),
        ("a: # first\n  - b: 1\n", "a: # first\n  - b: 1\n"),
        ("a:\n  # c\n- 1\n# d\n- 2\n", "a:\n  # c\n  - 1\n  # d\n  - 2\n"),
        ("- # c\n  a: 1\n", "# c\n- a: 1\n"),
        ("a:\n  b: 1\n  # of a\n# of c\nc: 1\n", "a:\n  b: 1\n  # of a\n# of c\nc: 1\n"),
        ("a:\n  b: 1\n\n\n\n  c: 1\n", "a:\n  b: 1\n\n  c: 1\n"),
        ("\n\na: 1\n\n# end\n\n", "a: 1\n\n# end\n"),
        ("a: |\n   x\n    y\n\nb: 1\n", "a: |\n  x\n   y\n\nb: 1\n"),
        ("a: >- # c\n     x\n     y\n", "a: >- # c\n  x\n  y\n"),
        ("a: |+\n  x\n\n", 'a: "x\\n\\n"\n'),
        ("a: 'x\n  y'\n", "a: x y\n"),
        ("a: ~\nb:\n", "a: ~\nb: null\n"),
        ("? a\n: 1\n", "a: 1\n"),
        ("{a: 1, b: [2]}\n# c\n", "a: 1\nb: [2]\n# c\n"),
        ("rules:\n- {a: 1}\n- b:\n    - c: 1\n- {d: 1}\n",
         "rules:\n  - {a: 1}\n\n  - b:\n      - c: 1\n\n  - {d: 1}\n"),
        ("rules:\n- {a: 1}\n- {b: 1}\n", "rules:\n  - {a: 1}\n  - {b: 1}\n"),
    ],
)  # fmt: skip
def test_one_form(before: str, after: str) -> None:
    assert rewrite(before) == after
    assert rewrite(after) == after


POLICY = "apiVersion: deputize.dev/v1alpha1\nkind: DelegationPolicy\n{}"


def test_comments_of_documents_without_a_value_are_kept() -> None:
    body = "metadata: {name: a}\nspec:\n  resources: [{hosts: [a.t], paths: [/a], protocol: mcp}]\n"
    text = f"# a\n---\n# b\n---\n{POLICY.format(body)}---\n# c\n"
    expected = f"# a\n# b\n\n{POLICY.format(body)}\n# c\n"
    assert format_file(text.encode(), "") == expected.encode()


def test_what_would_change_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deputize.config.formatting.write_trees", lambda *_: "a: [\n")
    body = "metadata: {name: a}\nspec: {resources: [{hosts: [a.t], paths: [/a], protocol: mcp}]}\n"
    with pytest.raises(ConfigError):
        format_file(POLICY.format(body).encode(), "")
