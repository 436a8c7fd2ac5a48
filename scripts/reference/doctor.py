"""The reference of what `deputize doctor` finds: each code, what it means, and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from deputize.doctor.table import MEANINGS, TITLED
from scripts.reference.markdown import code, page, table

_SOURCE = "`src/deputize/doctor/table*.py`"
_INTRODUCTION = """\
`deputize doctor` looks at a configuration, at manifests and at what runs, as much of it as it is
given, and says all that is wrong with it at once. It ends with 0 when nothing is found, with 1 when
something is, warnings too, and with 2 when it was given something it cannot read. Each finding has
a code, a place, a cause and a way to mend it:"""
_LINE = """\
error: mesh.yaml:9: extensionProviders[0].envoyExtAuthzGrpc.failOpen: [fail-open] a call that gets \
no answer is let in
  fix: Remove the setting, or turn it off."""
_FURTHER = """\
Option `--ignore CODE` leaves one out, and may be given several times. Codes are stable: none is
ever renamed or used for something else. What was looked at, and what could not be, is listed after
the findings; `--format json` has all of it for programs. How to use it: [doctor](../doctor.md)."""


def generate(_root: Path) -> dict[Path, bytes]:
    """The page."""
    parts = [_INTRODUCTION, code("text", _LINE), _FURTHER]
    for title, part in TITLED.items():
        rows = [
            (f"[`{each.value}`](#{each.value})", meaning.severity.value, meaning.meaning)
            for each, meaning in part.items()
        ]
        parts += [f"## {title}", table(("Code", "Severity", "Meaning"), rows)]
    parts += ["## How to mend it", *_mends()]
    return page("doctor.md", "Doctor's findings", _SOURCE, parts)


def _mends() -> Iterator[str]:
    for each, meaning in MEANINGS.items():
        yield f"### {each.value}"
        yield meaning.fix
