from __future__ import annotations

import pytest

from deputize.adapters.shown_url import MARK_CHARACTERS, show_url


@pytest.mark.parametrize(
    "url",
    ["https://idp.example:8443/a/b.json", "https://[::1]/", "https://idp.example", "nonsense", ""],
)
def test_a_url_without_secrets_is_shown_as_it_is(url: str) -> None:
    assert show_url(url) == url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://idp.example/deny.json?sig=s3cret", "https://idp.example/deny.json"),
        ("https://idp.example?s3cret", "https://idp.example"),
        ("https://idp.example/a?x=https://s3cret/?y", "https://idp.example/a"),
        ("https://idp.example/a?", "https://idp.example/a"),
        ("https://idp.example/a#s3cret?x", "https://idp.example/a"),
        ("https://s3cret@idp.example/a", "https://idp.example/a"),
        ("https://user:s3cret@idp.example:1/a@b?c", "https://idp.example:1/a@b"),
        ("https://user:s3@cret@idp.example/", "https://idp.example/"),
        ("https://user:s3cret@idp.example/a://b", "https://idp.example/a://b"),
        ("s3cret@idp.example/a", "idp.example/a"),
        ("\ud800?s3cret", "\ud800"),
    ],
)
def test_what_may_be_secret_is_not_shown(url: str, shown: str) -> None:
    text, _, mark = show_url(url).rpartition("#")
    assert text == shown
    assert len(mark) == MARK_CHARACTERS


def test_urls_that_differ_in_their_query_can_be_told_apart() -> None:
    shown = {show_url(f"https://idp.example/a?list={number}") for number in range(10)}
    assert len(shown) == 10
