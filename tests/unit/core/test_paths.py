from __future__ import annotations

from urllib.parse import quote

import pytest

from deputize.core.paths import MAX_PATH_BYTES, MAX_PATH_SEGMENTS, PathError, parse_path
from tests.harness.characters import CHARACTERS, DIGITS, LOWER, UPPER, places

UNRESERVED = frozenset(UPPER + LOWER + DIGITS + "-._~")
RAW_SEGMENT_CHARACTERS = UNRESERVED | frozenset("$&'()*+,=:@")
SEPARATORS = frozenset("/\\;?#.")


def is_accepted(path: str) -> bool:
    try:
        parse_path(path)
    except PathError:
        return False
    return True


@pytest.mark.parametrize(
    ("path", "segments"),
    [
        ("/", ("",)),
        ("/v1/orders/7", ("v1", "orders", "7")),
        ("/v1/orders/", ("v1", "orders", "")),
        ("/v1/orders/7?x=/../admin", ("v1", "orders", "7")),
        ("/v1/orders?a=b?c=d", ("v1", "orders")),
        ("/v1/orders?", ("v1", "orders")),
        ("/?//", ("",)),
        ("/a?%00%2e%2e/%zz;\\", ("a",)),
        ("/admin,a=b/xyz", ("admin,a=b", "xyz")),
        ("/Admin", ("Admin",)),
        ("/@admin", ("@admin",)),
        ("/x:80/", ("x:80", "")),
        ("/.well-known/x", (".well-known", "x")),
        ("/a..b/..c", ("a..b", "..c")),
        ("/message:send", ("message:send",)),
        ("/tasks/1:cancel", ("tasks", "1:cancel")),
        ("/pkg.Service/Method", ("pkg.Service", "Method")),
        ("/0x2e0x2e/admin", ("0x2e0x2e", "admin")),
        ("/caf%C3%A9", ("caf\u00e9",)),
        ("/caf%c3%a9", ("caf\u00e9",)),
        ("/a%20b", ("a b",)),
        ("/a%40b", ("a@b",)),
        ("/100%25", ("100%",)),
        ("/50%25off", ("50%off",)),
        ("/a%25%20b", ("a% b",)),
        ("/%7Bid%7D", ("{id}",)),
        ("/%ef%bd%81", ("\uff41",)),
        ("/~user/$a'()*+=", ("~user", "$a'()*+=")),
        ("/a%21b", ("a!b",)),
        ("/a?!", ("a",)),
    ],
)
def test_a_path_with_one_reading(path: str, segments: tuple[str, ...]) -> None:
    assert parse_path(path) == segments


@pytest.mark.parametrize(
    "path",
    [
        # empty segments
        "//admin/x", "/v1//admin", "///", "//", "/v1/orders//", "//a/?b", "/a//b?a=///c",
        # dot segments
        "/v1/orders/../../admin", "/v1/./orders/7", "/..", "/.", "/../", "/./", "/a/..", "/a/.",
        "/a/b/../c", "/a/b/../../../../c", "..", "/...", "/.../admin", "/..../admin",
        "/v1/orders/%2e%2e/%2E%2e/admin", "/v1/orders/.%2e/x", "/a/b/%2E./c", "/%2e", "/%2E/",
        "/.%2E", "/%2e%2e",
        # encoded separators, in both cases
        "/v1/orders%2f7", "/v1/orders%2F7", "/admin%5cx", "/admin%5Cx", "/%5c%25", "/a%3fb",
        "/a%3Fb", "/a%23b", "/a%3bb", "/a%3Bb", "/%252e%252e/%252f",
        # backslashes
        "/admin\\x", "/v1/orders/..\\admin", "/a/..\\c",
        # escapes that decode again
        "/%252e%252e/admin", "/%25c0%25ae", "/%25c0%25ae%25c0%25ae/admin", "/%2541", "/a%25%34%31",
        "/%25%32%65",
        # controls, encoded and raw
        "/%00", "/%0a", "/%0d%0a", "/%09", "/%7f", "/%c2%85", "/xyz/.%00../abc",
        "/xyz/%00.%00./abc", "/admin%00", "/a\tb", "/a b", "/a\x00", "/a\x7f", "/a\x80",
        "/caf\u00e9", "/a\n", "/a\r\n", "\x0b/admin", " /admin", "/admin ",
        # invalid escapes
        "/%", "/%2", "/%zz", "/a%", "/a%4", "/%%0000", "/xyz/AAAAA%%0000/abc", "/%u002e", "/%2%65",
        # not UTF-8, overlong or cut
        "/%c0%ae", "/%c0%af", "/%e0%80%af", "/%c1%9c", "/%c1%9cadmin", "/%ff", "/%c3", "/%c3/%a9",
        "/%ed%a0%80", "/%f5%80%80%80",
        # look-alikes of separators
        "/%ef%bc%8e", "/%ef%bc%8f", "/%e2%88%95", "/%e2%81%84", "/%e2%80%a5", "/%ef%bc%9b",
        "/%e2%84%80", "/%cd%be", "/%ef%bc%bc",
        # letters, digits and marks that need no escape
        "/%61dmin", "/%41", "/%31", "/%7euser", "/%2D", "/%5f",
        # path parameters
        "/admin;a=b", "/..;/admin", "/v1/orders;/7", "/;/admin", "/;",
        # invisible characters
        "/%e2%80%8b", "/%e2%80%ae", "/%ef%bb%bf", "/%c2%ad", "/%ee%80%80", "/%ef%bf%bf",
        # dots and spaces at the end of a segment, which some file systems drop
        "/admin.", "/admin./x", "/admin%20", "/%20admin", "/admin%20/x", "/admin%c2%a0", "/%20",
        # not the path of a request to an origin
        "http://evil/admin", "*", "orders.example:443", "", "v1/orders", "?x=1", "?/a",
        # what Envoy shows instead of octets that are not UTF-8
        "/admin!/x", "/v1/orders/7!", "/!",
        # fragments
        "/a#b", "/a?b#c", "/#",
        # characters that must be escaped
        '/a"b', "/a<b", "/a>b", "/a[b", "/a]b", "/a^b", "/a`b", "/a{b", "/a|b", "/a}b",
    ],
)  # fmt: skip
def test_a_path_with_more_than_one_reading_is_refused(path: str) -> None:
    assert not is_accepted(path)


@pytest.mark.parametrize("path", ["/v1/orders?x=\x00", "/a?b c", "/a?\u00e9", "/a?b\n", "/a?\x7f"])
def test_a_query_holds_only_printable_ascii(path: str) -> None:
    assert not is_accepted(path)


@pytest.mark.parametrize(("lower", "upper"), [("%2f", "%2F"), ("%2e", "%2E"), ("%c3%a9", "%C3%A9")])
def test_the_case_of_an_escape_does_not_matter(lower: str, upper: str) -> None:
    assert is_accepted(f"/a{lower}b") == is_accepted(f"/a{upper}b")


def test_a_raw_segment_has_exactly_these_characters() -> None:
    for char in CHARACTERS:
        for text in places(char):
            # These split the path or end it; the tables above show them.
            if char in "/?" or (char == "." and text.endswith(".")):
                continue
            expected = char in RAW_SEGMENT_CHARACTERS
            assert is_accepted(f"/{text}") is expected, ascii(text)


def test_of_the_escaped_bytes_only_these_are_read() -> None:
    for byte in range(256):
        char = chr(byte)
        is_plain = byte < 0x80 and char.isprintable()
        expected = is_plain and char not in UNRESERVED and char not in SEPARATORS
        for escape in (f"%{byte:02x}", f"%{byte:02X}"):
            assert is_accepted(f"/a{escape}z") is expected, escape


def test_no_odd_character_is_read_as_a_plain_one() -> None:
    for char in CHARACTERS:
        if char.isascii() or char == "\ud800":
            continue
        path = f"/a{quote(char)}z"
        assert not is_accepted(path) or parse_path(path) == (f"a{char}z",)


def test_the_longest_path() -> None:
    longest = "/" + "a" * (MAX_PATH_BYTES - 1)
    assert is_accepted(longest)
    assert is_accepted(f"{longest}?{longest}")
    assert not is_accepted(f"{longest}a")


def test_the_most_segments() -> None:
    assert is_accepted("/a" * MAX_PATH_SEGMENTS)
    assert not is_accepted("/a" * (MAX_PATH_SEGMENTS + 1))
    assert not is_accepted("/a" * MAX_PATH_SEGMENTS + "/")


@pytest.mark.parametrize("mark", ["\ufe0f", "\u034f", "\u3164", "\u115f", "\U000e0100", "\u200b"])
def test_what_nobody_sees_is_refused(mark: str) -> None:
    with pytest.raises(PathError):
        parse_path(f"/v1/export{quote(mark)}")
