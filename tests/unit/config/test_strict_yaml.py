from __future__ import annotations

import pytest

from deputize.config import strict_yaml
from deputize.config.problems import ConfigError
from deputize.config.strict_yaml import MAX_DEPTH, Value, format_pointer, parse_documents


def read(text: str) -> Value:
    (document,) = parse_documents(text.encode(), "a.yaml")
    return document.value


def places(octets: str | bytes) -> list[tuple[int, str]]:
    """Line and pointer of each problem; there must be one."""
    with pytest.raises(ConfigError) as caught:
        parse_documents(octets.encode() if isinstance(octets, str) else octets, "a.yaml")
    assert {problem.file for problem in caught.value.problems} == {"a.yaml"}
    return [(problem.line, problem.pointer) for problem in caught.value.problems]


def test_a_document_is_read_with_the_line_of_each_key_and_value() -> None:
    (document,) = parse_documents(b"a:\n  - 1\n  - b: x\nc: |\n  text\n", "a.yaml")
    assert document.value == {"a": [1, {"b": "x"}], "c": "text\n"}
    assert document.lines == {
        (): 1,
        ("a",): 1,
        ("a", 0): 2,
        ("a", 1): 3,
        ("a", 1, "b"): 3,
        ("c",): 4,
    }


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("false", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("0", 0),
        ("-7", -7),
        ("1.5", 1.5),
        ("-0.25", -0.25),
    ],
)
def test_words_and_numbers_with_one_meaning_are_typed(text: str, value: Value) -> None:
    found = read(f"a: {text}\n")
    assert found == {"a": value}
    assert isinstance(found, dict)
    assert type(found["a"]) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        *("yes", "no", "on", "off", "y", "n", "Yes", "NO", "True", "FALSE", "Null", "NULL"),
        *("0x10", "0o17", "010", "1_000", "1e3", "1.5e3", "+1", ".5", "5.", ".inf", ".nan"),
        *("2026-01-01", "12:30:45", "190:20:30", "1.2.3", "=", "<<", "9" * 30),
    ],
)
def test_what_yaml_readers_disagree_on_stays_text(text: str) -> None:
    assert read(f"a: {text}\n") == {"a": text}


@pytest.mark.parametrize("text", ["true", "null", "12", "1.5", ""])
def test_what_stands_in_quotes_is_text(text: str) -> None:
    assert read(f"a: '{text}'\n") == {"a": text}
    assert read(f'a: "{text}"\n') == {"a": text}


def test_a_merge_key_is_an_ordinary_key() -> None:
    assert read("a:\n  <<: {b: 1}\n") == {"a": {"<<": {"b": 1}}}


def test_a_duplicate_key_is_refused_where_it_stands_again() -> None:
    assert places("a: 1\nb:\n  c: 1\n  d: 2\n  c: 1\n") == [(5, "b.c")]


def test_a_duplicate_key_in_other_quotes_is_refused() -> None:
    assert places("a: 1\n'a': 2\n") == [(2, "a")]


def test_an_anchor_and_its_alias_are_refused() -> None:
    assert places("a: &x\n  b: 1\nc: *x\n") == [(1, "a"), (3, "c")]


def test_an_anchor_on_a_text_is_refused() -> None:
    assert places("- &x 1\n") == [(1, "[0]")]


def test_an_alias_as_a_key_is_refused() -> None:
    assert (2, "?") in places("a: &x b\n*x : 1\n")


@pytest.mark.parametrize(
    "value", ["!!python/object/apply:os.system [ls]", "!!str 1", "!own {}", "! 1", "!!binary aGk="]
)
def test_a_tag_is_refused(value: str) -> None:
    assert places(f"x: 1\na: {value}\n") == [(2, "a")]


@pytest.mark.parametrize("key", ["1", "true", "null", "1.5", "[b]", "{b: c}", "~"])
def test_a_key_that_is_no_text_is_refused(key: str) -> None:
    assert places(f"x: 1\n? {key}\n: 2\n") == [(2, "")]


def nested(levels: int) -> str:
    return "[" * levels + "]" * levels


def test_nesting_has_a_limit() -> None:
    assert read(nested(MAX_DEPTH)) is not None
    assert [line for line, _ in places(nested(MAX_DEPTH + 1))] == [1]


@pytest.mark.parametrize("text", ["[" * 50_000, "{a: " * 50_000, "? " * 50_000, "- " * 50_000])
def test_absurd_nesting_is_refused_and_nothing_worse(text: str) -> None:
    assert places(text)


def test_aliases_cannot_blow_up_a_small_file() -> None:
    bomb = "a: &a [x, x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}]\n" for n in range(20)
    )
    assert places(bomb)


@pytest.mark.parametrize("octets", [b"a: \xff\n", b"a: \xc3\x28\n", "a: ü\n".encode("utf-16")])
def test_what_is_not_utf_8_is_refused(octets: bytes) -> None:
    assert places(octets) == [(0, "")]


@pytest.mark.parametrize(
    ("text", "line"),
    [("a: [1\n", 2), ("a: 'x\n", 2), ("\ta: 1\n", 1), ("a: b: c\n", 1), ("a: 1\n  b: 2\n", 2)],
)
def test_what_is_not_yaml_is_refused_with_its_line(text: str, line: int) -> None:
    assert places(text) == [(line, "")]


@pytest.mark.parametrize("char", ["\0", "\x07", "\x7f"])
def test_control_characters_are_refused(char: str) -> None:
    assert places(f"a: 1\nb: x{char}\n")


def test_an_escaped_nul_is_refused() -> None:
    assert places('a: 1\nb: "x\\0"\n') == [(2, "b")]


def test_all_problems_of_all_documents_are_reported() -> None:
    assert places("a: 1\na: 2\n---\nb: !x 1\nc: *d\n") == [(2, "a"), (4, "b"), (5, "c")]


def test_documents_are_read_in_order_and_empty_ones_left_out() -> None:
    documents = parse_documents(b"---\na: 1\n---\n---\n# nothing\n---\nb: 2\n...\n", "a.yaml")
    assert [document.value for document in documents] == [{"a": 1}, {"b": 2}]
    assert [document.lines[()] for document in documents] == [2, 7]


@pytest.mark.parametrize("octets", [b"", b"\n\n", b"# only a comment\n"])
def test_an_empty_file_has_no_document(octets: bytes) -> None:
    assert parse_documents(octets, "a.yaml") == []


def test_a_problem_has_the_line_of_the_nearest_place_that_exists() -> None:
    (document,) = parse_documents(b"a:\n  b:\n    c: 1\n", "a.yaml")
    problem = document.problem(("a", "b", "missing", 0), "")
    assert (problem.line, problem.pointer) == (2, "a.b.missing[0]")


def test_a_pointer_reads_like_a_path() -> None:
    assert format_pointer(("spec", "rules", 0, "hosts")) == "spec.rules[0].hosts"


def test_a_question_mark_is_a_key_like_others() -> None:
    assert parse_documents(b'{"?": 1}', "f.yaml")[0].value == {"?": 1}
    with pytest.raises(ConfigError):
        parse_documents(b'{"?": 1, "?": 2}', "f.yaml")


def test_the_number_of_values_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strict_yaml, "MAX_VALUES", 10)
    assert parse_documents(b"[1, 2, 3, 4, 5, 6, 7, 8, 9]", "a.yaml")
    with pytest.raises(ConfigError) as caught:
        parse_documents(b"[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]", "a.yaml")
    assert len(caught.value.problems) == 1
