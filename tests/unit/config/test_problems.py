from __future__ import annotations

import pytest

from deputize.config.policy_schema import DelegationPolicy
from deputize.config.problems import MAX_PROBLEMS, ConfigError, Problem
from deputize.config.strict_yaml import parse_documents
from deputize.config.validation import validate


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


@pytest.mark.parametrize("text", ["a:\n", "- &a 1\n", "- *a\n", "- !a 1\n", "? [a]\n", '- "\\0"\n'])
def test_a_file_of_nothing_but_mistakes_is_not_read_to_its_end(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_documents(text.encode() * 1000, "a.yaml")
    assert len(caught.value.problems) == MAX_PROBLEMS
    assert max(problem.line for problem in caught.value.problems) <= MAX_PROBLEMS + 1


def test_nor_are_all_mistakes_of_a_model_described() -> None:
    text = "".join(f"key{number}: 1\n" for number in range(1000))
    (document,) = parse_documents(text.encode(), "a.yaml")
    with pytest.raises(ConfigError) as caught:
        validate(DelegationPolicy, document)
    assert len(caught.value.problems) == MAX_PROBLEMS
