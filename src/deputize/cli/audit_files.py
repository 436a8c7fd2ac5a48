"""Recorded decisions, read from audit files.

Rules of this file:
- Nothing is dropped in silence: a line that is no event is a problem with its place, and an event
  that stands twice is counted.
- Blank lines are no events and no problems.
"""

from __future__ import annotations

import glob
import gzip
import sys
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Annotated, cast

import typer
from pydantic import ValidationError

from deputize.cli.inputs import refuse_input
from deputize.cli.recorded import Recorded

MAX_LINE_BYTES = 4 * 1024 * 1024
"""A longer line is no event."""
SHOWN_PROBLEMS = 20

AuditArguments = Annotated[
    list[str],
    typer.Argument(
        help="Audit files, one JSON event a line; `*` and `?` stand for parts of names, `.gz` is "
        "unpacked, `-` is standard input."
    ),
]
StrictOption = Annotated[
    bool, typer.Option("--strict", help="End with 2 where a line cannot be read.")
]
SinceOption = Annotated[
    datetime | None,
    typer.Option(
        help="Only events from this time on: RFC 3339 with a zone.",
        parser=lambda text: parse_moment(str(text)),
        metavar="TIME",
        show_default=False,
    ),
]


@dataclass(slots=True)
class AuditReading:
    """What was read: events in their order, and what could not be read."""

    events: list[Recorded] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    repeated: int = 0
    earlier: int = 0

    def to_json(self) -> dict[str, object]:
        """Counts for programs."""
        return {
            "events": len(self.events),
            "unreadable": self.problems,
            "repeated": self.repeated,
            "before_since": self.earlier,
        }

    def summary(self) -> str:
        """Counts for people."""
        parts = [f"{len(self.events)} events"]
        if self.problems:
            parts.append(f"{len(self.problems)} lines could not be read")
        if self.repeated:
            parts.append(f"{self.repeated} stand twice and count once")
        if self.earlier:
            parts.append(f"{self.earlier} are earlier than asked for")
        return ", ".join(parts)


def read_audit(
    names: Iterable[str], *, since: datetime | None = None, is_strict: bool = False
) -> AuditReading:
    """Reads all files; says on standard error what is no event.

    Ends the command with 2 where nothing is readable, or with `is_strict` where anything is not.
    """
    reading = AuditReading()
    seen: set[str] = set()
    for name in _expand(names):
        for place, line in _lines(name, reading.problems):
            event = _read_event(place, line, reading.problems)
            if event is None:
                continue
            if event.decision_id in seen:
                reading.repeated += 1
                continue
            seen.add(event.decision_id)
            if since is not None and event.time < since:
                reading.earlier += 1
            else:
                reading.events.append(event)
    for problem in reading.problems[:SHOWN_PROBLEMS]:
        typer.echo(problem, err=True)
    if len(reading.problems) > SHOWN_PROBLEMS:
        typer.echo(f"and {len(reading.problems) - SHOWN_PROBLEMS} more like these", err=True)
    if reading.problems and (is_strict or not seen):
        raise typer.Exit(2)
    return reading


def parse_moment(text: str) -> datetime:
    """A time with a zone; ends the command with 2 for anything else."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        refuse_input(f"`{text}` is not RFC 3339 with a zone")
    return moment


def _expand(names: Iterable[str]) -> list[str]:
    """The files, each once however often it is named."""
    found: dict[str, str] = {}
    for name in names:
        matches = [name] if name == "-" or Path(name).exists() else sorted(glob.glob(name))  # noqa: PTH207 - patterns may begin anywhere
        if not matches:
            refuse_input(f"{name}: no such file")
        for match in matches:
            found.setdefault("-" if match == "-" else str(Path(match).resolve()), match)
    return list(found.values())


def _lines(name: str, problems: list[str]) -> Iterator[tuple[str, bytes]]:
    """The lines that are not blank, each with its place; what ends a file early is a problem."""
    number = 0
    try:
        with _open(name) as stream:
            while line := stream.readline(MAX_LINE_BYTES + 1):
                number += 1
                place = f"{name}:{number}"
                if len(line) > MAX_LINE_BYTES:
                    problems.append(f"{place}: longer than {MAX_LINE_BYTES} bytes")
                    while line and not line.endswith(b"\n"):
                        line = stream.readline(MAX_LINE_BYTES)
                elif line.strip():
                    yield place, line
    except (OSError, EOFError, zlib.error) as error:
        problems.append(f"{name}: cannot be read on after line {number}: {error}")


@contextmanager
def _open(name: str) -> Iterator[IO[bytes]]:
    if name == "-":
        yield sys.stdin.buffer
        return
    path = Path(name)
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
        yield cast("IO[bytes]", stream)


def _read_event(place: str, line: bytes, problems: list[str]) -> Recorded | None:
    try:
        return Recorded.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        problems.append(f"{place}: no audit event: {where + ': ' if where else ''}{first['msg']}")
        return None
