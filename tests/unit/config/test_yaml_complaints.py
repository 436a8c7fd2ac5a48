"""What is wrong with a text that is no YAML: where, and which slip it likely is."""

from __future__ import annotations

import pytest

from deputize.config.problems import ConfigError, Problem
from deputize.config.strict_yaml import parse_documents


def complaint(text: str) -> Problem:
    with pytest.raises(ConfigError) as caught:
        parse_documents(text.encode(), "a.yaml")
    (problem,) = caught.value.problems
    return problem


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (
            "a:\n  - hosts: [*]\n",
            2,
            'column 14: a text that begins with `*` stands in quotes: `"*"`',
        ),
        ("hosts: [*.a.example, b]\n", 1, '`"*.a.example"`'),
        ("a: *\n", 1, '`"*"`'),
        ("paths: [/a, /v1/{id}/x]\n", 1, 'stands in quotes here: `"/v1/{id}/x"`'),
        ("a: {path: /x/{id}}\n", 1, 'stands in quotes here: `"/x/{id}"`'),
        ("a:\n\tb: 1\n", 2, "column 1: tabs are not allowed for indentation"),
        ("a:\n  b:\n  \t- c\n", 3, "column 3: tabs are not allowed"),
        ("a:\n   - b: 1\n  - c: 1\n", 3, "wrong indentation: what began on line 1"),
        ("a:\n  b: c\n    d: e\n", 3, "wrong indentation, or the line above lacks its `:`"),
        ("a: b: c\n", 1, "a text with `: ` in it"),
        ("a: [b\nc: d\n", 2, "the bracket that opens on line 1"),
        ("a: [b c: d\n", 2, "bracket"),
        ("a: [b {c}]\n", 1, "a comma or the closing bracket is missing"),
        ("a: 'b\nc: d\n", 3, "the quote that begins on line 1"),
        ("a: @b\n", 1, "begins with @"),
        ("a: 'it's'\n", 1, "text behind a closed quote"),
        ("a: %x\n", 1, "begins with %"),
        ("- a\nb: 1\n", 2, "wrong indentation"),
        ('a: "\\q"\n', 1, "found unknown escape"),
        ("{a: 1} b\n", 1, "column 8: did not find expected"),
    ],
)
def test_a_slip_is_named_with_its_place(text: str, line: int, said: str) -> None:
    problem = complaint(text)
    assert problem.line == line
    assert said in problem.message


def test_the_text_of_the_line_is_shown() -> None:
    assert complaint("a:\n  - hosts: [*]\n").message.endswith(", in `- hosts: [*]`")


def test_of_a_long_line_the_part_in_question_is_shown() -> None:
    message = complaint(f"a: [{'word, ' * 40}/v1/{{id}}]\n").message
    assert "/v1/{id}]" in message.rpartition(", in ")[2]


def test_what_has_no_place_is_said_too() -> None:
    problem = complaint("a: \x01\n")
    assert (problem.line, problem.message) == (0, "control characters are not allowed")


@pytest.mark.parametrize("text", ["a: [" + "/x" * 500_000 + "{id}]", "[" + "/" * 900_000 + "{"])
def test_a_long_line_takes_no_time(text: str) -> None:
    assert complaint(text).line == 1
