from __future__ import annotations

import json

import pytest

from deputize.core.json_body import (
    MAX_JSON_CONTAINERS,
    MAX_JSON_DEPTH,
    JsonBodyError,
    has_other_case,
    read_json,
)


def arrays(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


def objects(depth: int) -> bytes:
    return b'{"a":' * depth + b"1" + b"}" * depth


REFUSED = {
    "nothing": b"",
    "a byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"a":1}'.encode("utf-16-le"),
    "not UTF-8": b'"\xff"',
    "a surrogate in UTF-8": b'"\xed\xa0\x80"',
    "text after it": b"{} {}",
    "an open object": b'{"a":1',
    "a single quote": b"{'a':1}",
    "a comma at the end": b"[1,]",
    "a comment": b"{}/**/",
    "a control character in a text": b'"\x01"',
    "an unknown escape": b'"\\x41"',
    "a leading zero": b"01",
    "a leading plus": b"+1",
    "hexadecimal": b"0x1",
    "NaN": b"[NaN]",
    "Infinity": b"[Infinity]",
    "minus Infinity": b"[-Infinity]",
    "a float out of range": b"1e999",
    "an integer out of range": b"1" + b"0" * 400,
    "a lone surrogate": b'"\\ud800"',
    "a pair of surrogates the wrong way": b'"\\udc00\\ud800"',
    "a lone surrogate in a name": b'{"\\ud800":1}',
    "a duplicate": b'{"a":1,"a":1}',
    "a duplicate by escape": b'{"a":1,"\\u0061":1}',
    "a duplicate and an escaped colon": b'{"a":1,"a":"\\u003a"}',
    "a duplicate and escaped colons": b'[{"a": 1, "a": 2, "b": 3, "b": 4}, "\\u003A\\u003a"]',
    "a duplicate and a text about a colon": b'[{"a":1,"a":2},"\\\\u003a"]',
    "a duplicate that took colons with it": b'{"a":{"b":":"},"a":{"b":":"}}',
    "a duplicate inside": b'[{"b":{"a":1,"c":2,"a":1}}]',
    "a duplicate of another case": b'{"method":1,"Method":1}',
    "a duplicate of another case by escape": b'{"method":1,"\\u004dethod":1}',
    "a duplicate of another case inside": b'[{"x":{"id":1,"ID":1}},{"id":1}]',
    "a long s": '{"params":1,"param\u017f":1}'.encode(),
    "the sign for kelvin": '{"key":1,"\u212aey":1}'.encode(),
    "a sharp s": '{"ss":1,"\u00df":1}'.encode(),
    "arrays too deep": arrays(MAX_JSON_DEPTH + 1),
    "objects too deep": objects(MAX_JSON_DEPTH + 1),
    "arrays far too deep": arrays(4900),
    "arrays never closed": b"[" * 65_000,
    "too many arrays": b"[" + b"[]," * (MAX_JSON_CONTAINERS - 1) + b"[]]",
    "too many objects": b"[" + b"{}," * (MAX_JSON_CONTAINERS - 1) + b"{}]",
    "too many arrays in arrays": b"[" + b",".join([arrays(50)] * 200) + b"]",
}


@pytest.mark.parametrize("octets", REFUSED.values(), ids=REFUSED.keys())
def test_what_has_no_reading_or_two_is_refused(octets: bytes) -> None:
    with pytest.raises(JsonBodyError):
        read_json(octets)


@pytest.mark.parametrize(
    ("octets", "value"),
    [
        (b"null", None),
        (b" [true, false] \r\n\t", [True, False]),
        (b'{"a":{"b":[1,-2.5,1e2]}}', {"a": {"b": [1, -2.5, 100.0]}}),
        ('{"é":"日本"}'.encode(), {"é": "日本"}),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        (b'"\\\\ud800"', "\\ud800"),
        (b'[{"id":1},{"ID":2}]', [{"id": 1}, {"ID": 2}]),
        (b'{"\\u003a": "\\u003A"}', {":": ":"}),
        (b'["\\\\u003a" , "\\\\\\u003a:"]', ["\\u003a", "\\::"]),
        (b'{"A": "a:", "b": "B:"}', {"A": "a:", "b": "B:"}),
        (b'{"a":"[[[[{{{{,,,,"}', {"a": "[[[[{{{{,,,,"}),
        (b"18446744073709551615", 2**64 - 1),
        (b"-9223372036854775808", -(2**63)),
        (b"1e-999", 0.0),
        (b'"{"', "{"),
    ],
)
def test_a_value_is_read(octets: bytes, value: object) -> None:
    assert read_json(octets) == value


@pytest.mark.parametrize("text", [str(2**64), str(-(2**63) - 1), "1" * 300])
def test_an_integer_beyond_64_bits_is_a_double(text: str) -> None:
    value = read_json(text.encode())
    assert isinstance(value, float)
    assert value == float(text)


@pytest.mark.parametrize("octets", [arrays(MAX_JSON_DEPTH), objects(MAX_JSON_DEPTH)])
def test_the_greatest_depth_is_read(octets: bytes) -> None:
    assert read_json(octets) == json.loads(octets)


def test_brackets_side_by_side_are_not_deep() -> None:
    assert read_json(b"[" + b"[]," * 200 + b"{}]")


def test_the_greatest_number_of_arrays_and_objects_is_read() -> None:
    octets = b"[" + b"[]," * (MAX_JSON_CONTAINERS - 2) + b"{}]"
    assert read_json(octets) == [[]] * (MAX_JSON_CONTAINERS - 2) + [{}]


def test_brackets_inside_a_text_are_no_arrays() -> None:
    text = 'a,"[{\\' * 10_000
    assert read_json(json.dumps([text]).encode()) == [text]


def test_alike_names_are_found_among_many_objects() -> None:
    many = [{"id": number, "Name": "N", "\u00c4": {}} for number in range(200)]
    assert read_json(json.dumps(many).encode()) == many
    for twice in ({"Name": 1, "name": 2}, {"\u00c4": 1, "\u00e4": 2}, {"s": 1, "\u017f": 2}):
        for ensure_ascii in (True, False):
            with pytest.raises(JsonBodyError):
                read_json(json.dumps([*many, [twice]], ensure_ascii=ensure_ascii).encode())


@pytest.mark.parametrize("count", [1, 63, 64, 65, 200])
def test_plain_names_among_objects_are_read(count: int) -> None:
    many = [{"id": number} for number in range(count)]
    assert read_json(json.dumps(many).encode()) == many
    assert read_json(json.dumps([[], "{", *many, [1]]).encode()) == [[], "{", *many, [1]]
    with pytest.raises(JsonBodyError):
        read_json(json.dumps([*many, "{", {"id": 1, "ID": 1}]).encode())


def test_a_message_never_quotes_the_body() -> None:
    with pytest.raises(JsonBodyError) as caught:
        read_json(b'{"secret":1,"secret":secret}')
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], False),
        (["name", "other", "Other"], False),
        (["Name"], True),
        (["name", "uri", "u\u0052i"], True),
        (["argument\u017f"], True),
    ],
)
def test_names_in_an_unusual_case_are_found(names: list[str], *, expected: bool) -> None:
    assert has_other_case(names, frozenset({"name", "uri", "arguments"})) == expected
