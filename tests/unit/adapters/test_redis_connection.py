from __future__ import annotations

from pathlib import Path

import pytest
import redis

from deputize.adapters.redis_connection import RedisConnection, describe
from tests.harness.spiffe_ca import SpiffeCa


def read(url: str) -> tuple[str, int, int, str, str]:
    """What is made of a URL: host, port, database, user, password."""
    client = RedisConnection(url, 1, None)._client
    return client.host, client.port, client.db, client.username or "", client.password or ""


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("redis://store", ("store", 6379, 0, "", "")),
        ("redis://store/", ("store", 6379, 0, "", "")),
        ("redis://store.example:1/7", ("store.example", 1, 7, "", "")),
        ("redis://[::1]:65535", ("::1", 65535, 0, "", "")),
        ("redis://:pass@10.0.0.1", ("10.0.0.1", 6379, 0, "", "pass")),
        ("rediss://user:pass@store:6380", ("store", 6380, 0, "user", "pass")),
        ("redis://u%40:%2F%3a%C3%A9+@store", ("store", 6379, 0, "u@", "/:é+")),
    ],
)
def test_a_url_says_where_the_server_is(url: str, parts: tuple[str, int, int, str, str]) -> None:
    assert read(url) == parts


@pytest.mark.parametrize(
    "url",
    [
        "",
        "store:6379",
        "http://store",
        "REDIS://store",
        "unix:///run/redis.sock",
        "redis://",
        "redis://:secret@",
        "redis://secret@store",
        "redis://user:@store",
        "redis://:secret:6379",
        "redis://:sec/ret@store",
        "redis://:sec#ret@store",
        "redis://:sec?ret@store",
        "redis://:sec@ret@store",
        "redis://:secret%@store",
        "redis://:secret%4@store",
        "redis://:secret%FF@store",
        "redis://:sécret@store",
        "redis://:secret@store\n",
        " redis://:secret@store",
        "redis://:secret@store:0",
        "redis://:secret@store:65536",
        "redis://:secret@store:",
        "redis://:secret@store/db",
        "redis://:secret@store/0/1",
        "redis://:secret@store?ssl_cert_reqs=none",
        "redis://:secret@store#x",
        "redis://:secret@::1",
        "redis://:secret@store,other",
    ],
)
def test_what_has_no_one_reading_is_refused_and_not_quoted(url: str) -> None:
    with pytest.raises(ValueError, match="URL of the store") as caught:
        read(url)
    assert "ret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_authorities_need_tls(tmp_path: Path) -> None:
    authority = SpiffeCa("example.org", tmp_path).certificate_file
    RedisConnection("rediss://store", 1, str(authority))
    with pytest.raises(ValueError, match="rediss"):
        RedisConnection("redis://store", 1, str(authority))


@pytest.mark.parametrize("content", [None, "", "no certificate"])
def test_a_file_without_authorities_is_an_error_from_the_start(
    tmp_path: Path, content: str | None
) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(OSError, match=r"."):
        RedisConnection("rediss://store", 1, str(file))


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (redis.ConnectionError("refused"), "ConnectionError: refused"),
        (redis.TimeoutError("too slow"), "TimeoutError: too slow"),
        (redis.AuthenticationError("invalid password secret"), "AuthenticationError"),
        (redis.ResponseError("MISCONF secret"), "ResponseError: MISCONF"),
        (redis.ResponseError("secret"), "ResponseError"),
        (redis.ReadOnlyError("SECRET"), "ReadOnlyError"),
        (redis.InvalidResponse("Protocol Error: secret"), "InvalidResponse"),
        (ValueError("secret"), "ValueError"),
    ],
)
def test_an_error_is_described_without_the_words_of_the_server(error: Exception, text: str) -> None:
    assert describe(error) == text
