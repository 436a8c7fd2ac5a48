"""One API server for all tests here: it takes seconds to start. Each test makes its namespaces."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml

from tests.harness.api_server import ApiServer
from tests.harness.object_space import Space
from tests.harness.published_crds import OURS


@pytest.fixture(scope="session")
def api_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """A running server with nothing in it."""
    with ApiServer(tmp_path_factory.mktemp("api-server")) as server:
        yield server


@pytest.fixture(scope="session")
def server(api_server: ApiServer) -> ApiServer:
    """With our definitions."""
    api_server.install_definitions(yaml.safe_load(file.read_text()) for file in OURS.iterdir())
    return api_server


@pytest.fixture
def space(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> Space:
    """A namespace; services that are started find the server."""
    monkeypatch.setenv("KUBECONFIG", str(server.kubeconfig))
    return Space(server)
