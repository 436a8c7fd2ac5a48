from __future__ import annotations

import pytest

from tests.image.engine import CAN_RUN, Image, build
from tests.image.project_files import ROOT

ARGUMENTS = {"SOURCE_DATE_EPOCH": "1700000000", "VERSION": "9.8.7", "REVISION": "0" * 40}


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    if not CAN_RUN:
        pytest.skip(
            "builds and runs a root file system: for root, on Debian, with a Python of its own"
        )
    folder = tmp_path_factory.mktemp("image")
    (folder / "tree").mkdir()
    (folder / "work").mkdir()
    return build(ROOT, folder / "tree", folder / "work", ARGUMENTS)
