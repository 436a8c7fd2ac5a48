"""One API server for all tests here: it takes seconds to start. Each test makes its namespaces."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.harness.api_server import ApiServer


@pytest.fixture(scope="session")
def api_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """A running server with nothing in it."""
    with ApiServer(tmp_path_factory.mktemp("api-server")) as server:
        yield server
