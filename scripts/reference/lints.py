"""The reference of the lints: what each means, an example, and how to mend it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from deputize.config.lints.table import LINTS, Lint
from scripts.reference.markdown import code, page, table

_SOURCE = "`src/deputize/config/lints/table.py`"
_INTRODUCTION = """\
`deputize validate --strict` looks for what is allowed in policies, and hardly meant. It ends with 1
when a lint fires, with 0 when none does, and with 2 when the configuration is wrong. Each finding
is one line:"""
_LINE = "policies/orders.yaml:12: spec.rules[1]: [redundant] adds nothing: ..."
_FURTHER = """\
Lints report only what is certainly so, as far as one rule, or a pair of rules, tells. Option
`--ignore CODE` leaves one out, and may be given several times. Codes are stable: none is ever
renamed or used for something else.

In the examples keys that do not matter are left out."""


def generate(_root: Path) -> dict[Path, bytes]:
    """The page."""
    rows = [(f"[`{lint.value}`](#{lint.value})", info.meaning) for lint, info in LINTS.items()]
    parts = [_INTRODUCTION, code("text", _LINE), _FURTHER, table(("Code", "Meaning"), rows)]
    for lint in Lint:
        parts += _section(lint)
    return page("lints.md", "Lints", _SOURCE, parts)


def _section(lint: Lint) -> Iterator[str]:
    info = LINTS[lint]
    yield f"## {lint.value}"
    yield f"{info.meaning} {info.detail}"
    yield code("yaml", info.example)
    yield f"**How to mend it.** {info.mend}"
