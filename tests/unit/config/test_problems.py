from __future__ import annotations

import pytest

from deputize.config.problems import ConfigError, Problem
from deputize.config.strict_yaml import parse_documents


def test_a_problem_is_one_line_with_its_place() -> None:
    assert str(Problem("a.yaml", 3, "spec.rules[0]", "wrong")) == "a.yaml:3: spec.rules[0]: wrong"
    assert str(Problem("a.yaml", 0, "", "wrong")) == "a.yaml: wrong"


@pytest.mark.parametrize(
    ("char", "shown"),
    [("\n", r"\n"), ("\x1b", r"\x1b"), ("\u2028", r"\u2028"), ("\u202e", r"\u202e"), ("é", "é")],
)
def test_what_it_quotes_cannot_start_a_line_or_move_the_cursor(char: str, shown: str) -> None:
    problem = Problem(f"a{char}.yaml", 1, f"spec.a{char}b", f"found `{char}`")
    assert str(problem) == f"a{shown}.yaml:1: spec.a{shown}b: found `{shown}`"


def test_nor_can_a_key_of_a_file() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_documents(b'"a\\nb": 1\n"a\\nb": 2\n', "a.yaml")
    assert str(caught.value).splitlines() == [r"a.yaml:2: a\nb: key stands twice, first on line 1"]
