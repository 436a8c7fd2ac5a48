"""The protobuf modules below `deputize._proto`, from `protos/`.

The virtual path `deputize/_proto` in front of each file keeps the modules apart from other copies
of Envoy's API that may be installed beside us: one process may not load two files of one name.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import grpc_tools
from grpc_tools import protoc

PACKAGE = "deputize/_proto"
TARGET = Path("src")


def generate(root: Path) -> dict[Path, bytes]:
    """Every stub and its type stub.

    Raises:
        RuntimeError: the compiler refused a file; it has said why on standard error.
    """
    sources = sorted(path.relative_to(root / "protos") for path in root.glob("protos/**/*.proto"))
    well_known = Path(grpc_tools.__path__[0]) / "_proto"
    with tempfile.TemporaryDirectory() as folder:
        status = protoc.main(
            [
                "protoc",
                f"-I{PACKAGE}={root / 'protos'}",
                f"-I{well_known}",
                f"--python_out={folder}",
                f"--pyi_out={folder}",
                *(f"{PACKAGE}/{source.as_posix()}" for source in sources),
            ]
        )
        if status != 0:
            raise RuntimeError("protoc refused a file")
        written = sorted(path for path in Path(folder).rglob("*.py*") if path.is_file())
        return {TARGET / path.relative_to(folder): path.read_bytes() for path in written}
