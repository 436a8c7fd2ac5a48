"""Writes the vectors: `python -m scripts.generate_vectors`, or only compares with `--check`.

The tables are in `scripts/vectors/`; the keys, the configurations and the policies they are about
in `tests/vectors/world*/`. The same tables and keys always give the same bytes.
"""

from __future__ import annotations

import argparse
import sys
from itertools import chain
from pathlib import Path

from scripts.vectors import (
    allow,
    calls,
    delegation,
    demands,
    issuers,
    peer,
    peer_sources,
    policy,
    possession,
    request,
    revocation,
    strict,
    token_claims,
    token_form,
    token_header,
    token_kinds,
)
from scripts.vectors.key_files import key_files
from tests.harness.vector_files import encode_vector, vector_files

ROOT = Path(__file__).resolve().parents[1]
TABLES = (
    request,
    peer,
    peer_sources,
    token_form,
    token_header,
    token_kinds,
    token_claims,
    revocation,
    possession,
    delegation,
    policy,
    calls,
    demands,
    allow,
    strict,
    issuers,
)


def generate() -> dict[Path, bytes]:
    """Every generated file with its content, by path below the repository."""
    files = key_files()
    for vector in chain.from_iterable(table.VECTORS for table in TABLES):
        if vector.file in files:
            raise ValueError(f"two vectors are named {vector.id}")
        files[vector.file] = encode_vector(vector)
    return {path.relative_to(ROOT): octets for path, octets in files.items()}


def find_stale(files: dict[Path, bytes]) -> list[Path]:
    """Files that are missing, differ, or that nothing generates any more."""
    orphans = {path.relative_to(ROOT) for path in vector_files()} - files.keys()
    differing = [path for path, octets in files.items() if _read(path) != octets]
    return sorted([*differing, *orphans])


def main() -> int:
    """0 when everything is up to date or was written, 1 when `--check` found stale files."""
    parser = argparse.ArgumentParser(prog="python -m scripts.generate_vectors")
    parser.add_argument("--check", action="store_true", help="write nothing, only compare")
    only_check: bool = parser.parse_args().check
    files = generate()
    stale = find_stale(files)
    for path in stale:
        print(f"stale: {path}" if only_check else path)
        if only_check:
            continue
        (ROOT / path).unlink(missing_ok=True)
        if path in files:
            (ROOT / path).parent.mkdir(exist_ok=True)
            (ROOT / path).write_bytes(files[path])
    print(f"{len(files)} generated files, {len(stale)} stale")
    return 1 if only_check and stale else 0


def _read(path: Path) -> bytes | None:
    return (ROOT / path).read_bytes() if (ROOT / path).is_file() else None


if __name__ == "__main__":
    sys.exit(main())
