from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from deputize.adapters.documents import Location, read_document
from deputize.adapters.http_fetch import FetchError
from tests.harness.jwks_endpoint import running_jwks_endpoint

SIZE = 100


def read(location: Location) -> bytes:
    return read_document(location, max_bytes=SIZE, accept="application/json")


def test_a_file_of_the_largest_size_is_read(tmp_path: Path) -> None:
    path = tmp_path / "document"
    path.write_bytes(b"x" * SIZE)
    assert read(Location(file=str(path))) == b"x" * SIZE


def test_a_larger_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "document"
    path.write_bytes(b"x" * (SIZE + 1))
    with pytest.raises(FetchError):
        read(Location(file=str(path)))


@pytest.mark.parametrize("prepare", [lambda _path: None, Path.mkdir], ids=["missing", "folder"])
def test_a_file_that_cannot_be_read_is_an_error(
    tmp_path: Path, prepare: Callable[[Path], None]
) -> None:
    path = tmp_path / "document"
    prepare(path)
    with pytest.raises(FetchError):
        read(Location(file=str(path)))


def test_a_url_is_fetched_up_to_the_same_size() -> None:
    sizes = [SIZE + 1, SIZE]
    with running_jwks_endpoint(lambda: b" " * sizes.pop()) as url:
        assert len(read(Location(url=url))) == SIZE
        with pytest.raises(FetchError):
            read(Location(url=url))


def test_no_place_at_all_is_an_error() -> None:
    with pytest.raises(FetchError):
        read(Location())
