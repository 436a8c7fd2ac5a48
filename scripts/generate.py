"""Rebuilds every generated file: `python -m scripts.generate`, or only compares with `--check`.

A generated file is never edited by hand. Its source is named in the list below; after a change
there, `make generate` writes it anew and `make check-generated` fails until that is done.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from scripts.reference import (
    audit_event,
    chart_schema,
    chart_values,
    commands,
    config_keys,
    crds,
    dashboard,
    doctor,
    example_audit,
    example_token,
    issuer_profiles,
    lints,
    metrics,
    reasons,
    schemas,
    stubs,
)
from tests.harness.vector_files import FAMILIES

ROOT = Path(__file__).resolve().parent.parent
HINT = "run `make generate`, then look at the difference with `git diff`"

Files = Mapping[Path, bytes]

GENERATORS: tuple[Callable[[Path], Files], ...] = (
    stubs.generate,  # from protos/
    schemas.generate,  # from config/schema.py, issuer_schema.py, deny_list.py, core/audit_event.py
    crds.generate,  # from config/policy_schema.py, issuer_schema.py and reference/crd_rules.py
    chart_schema.generate,  # from the same models, into the schema of the chart's values
    chart_values.generate,  # from values.schema.json and values.yaml of the chart
    example_token.generate,  # from itself
    example_audit.generate,  # from core/ and docs/examples/
    issuer_profiles.generate,  # from src/deputize/profiles
    config_keys.generate,  # from the same models of config/ and docs/examples/
    reasons.generate,  # from core/reasons.py and adapters/presentation.py
    audit_event.generate,  # from core/audit_event.py and the example token
    metrics.generate,  # from adapters/telemetry.py
    dashboard.generate,  # from dashboard_panels.py
    commands.generate,  # from cli/
    lints.generate,  # from config/lints/table.py
    doctor.generate,  # from doctor/table.py
)
"""Each takes the root of the repository and gives files by their path below it."""

OWNED = (
    ("src/deputize/_proto", "*.py*"),
    ("src/deputize/schemas", "*.json"),
    ("docs/reference", "*.md"),
    ("charts/deputize/files/crds", "*.yaml"),
    *((f"tests/vectors/{family}", "*.json") for family in FAMILIES),
)
"""Folders in which every file of the pattern is a generated one."""


def build(root: Path) -> dict[Path, bytes]:
    """Every generated file with its content, by path below the root."""
    files: dict[Path, bytes] = {}
    for generate in GENERATORS:
        files.update(generate(root))
    if importlib.util.find_spec("scripts.generate_vectors") is not None:
        vectors: Files = importlib.import_module("scripts.generate_vectors").generate()
        files.update({_below(root, path): octets for path, octets in vectors.items()})
    return files


def find_stale(root: Path, files: Files) -> list[Path]:
    """Files that are missing, differ, or are no longer generated."""
    stale = [path for path, octets in files.items() if _read(root / path) != octets]
    return sorted([*stale, *find_orphans(root, files)])


def find_orphans(root: Path, files: Files) -> list[Path]:
    """Files in generated folders that nothing generates any more."""
    found = (
        path.relative_to(root) for folder, glob in OWNED for path in (root / folder).rglob(glob)
    )
    return sorted(path for path in found if path not in files and "__pycache__" not in path.parts)


def main() -> int:
    """0 when everything is up to date or was written, 1 when `--check` found stale files."""
    parser = argparse.ArgumentParser(prog="python -m scripts.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, only compare")
    arguments = parser.parse_args()
    files = build(ROOT)
    stale = find_stale(ROOT, files)
    if arguments.check:
        for path in stale:
            print(f"stale: {path}", file=sys.stderr)
        if stale:
            print(HINT, file=sys.stderr)
        return 1 if stale else 0
    for path in stale:
        if path in files:
            (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
            (ROOT / path).write_bytes(files[path])
            print(f"wrote {path}")
        else:
            (ROOT / path).unlink()
            print(f"removed {path}")
    print(f"{len(files)} generated files, {len(stale)} changed")
    return 0


def _below(root: Path, path: Path) -> Path:
    return path.relative_to(root) if path.is_absolute() else path


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


if __name__ == "__main__":
    sys.exit(main())
