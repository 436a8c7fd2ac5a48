from __future__ import annotations

import posixpath
from urllib.parse import quote, unquote

from hypothesis import given
from hypothesis import strategies as st

from deputize.core.paths import PathError, parse_path
from tests.harness.strategies import CHEAP_LAW, odd_paths

paths = odd_paths | st.text() | st.text().map(lambda text: "/" + quote(text))


def segments_of(path: str) -> tuple[str, ...] | None:
    try:
        return parse_path(path)
    except PathError:
        return None


@CHEAP_LAW
@given(paths)
def test_decoding_once_more_changes_nothing(path: str) -> None:
    for segment in segments_of(path) or ():
        assert unquote(segment) == segment


@CHEAP_LAW
@given(paths)
def test_normalizing_changes_nothing(path: str) -> None:
    segments = segments_of(path)
    if segments is not None:
        plain = "/" + "/".join(segments)
        assert posixpath.normpath(plain) == (plain.rstrip("/") or "/")
        assert not any(set(segment) & set("/\\;?#") for segment in segments)


@CHEAP_LAW
@given(paths)
def test_what_was_read_can_be_written_and_read_again(path: str) -> None:
    segments = segments_of(path)
    if segments is not None:
        written = "/" + "/".join(quote(segment, safe="$&'()*+,=:@") for segment in segments)
        assert segments_of(written) == segments


@CHEAP_LAW
@given(paths, st.text(alphabet=st.characters(min_codepoint=0x21, max_codepoint=0x7E)))
def test_a_query_changes_nothing(path: str, query: str) -> None:
    if "?" not in path and "#" not in query:
        assert segments_of(f"{path}?{query}") == segments_of(path)
