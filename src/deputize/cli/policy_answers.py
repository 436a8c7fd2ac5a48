"""Answers of questions about policies, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import orjson
from rich.console import Console
from rich.text import Text

from deputize.analysis.allowed import Reading
from deputize.analysis.policy_set import PolicySet
from deputize.analysis.questions import Row
from deputize.analysis.telling import Description
from deputize.analysis.witness import Witness
from deputize.cli.visible import visible
from deputize.config.problems import visible_text
from deputize.core.model import Json

_LABEL_WIDTH = 13
_READINGS = {
    frozenset({Reading.ENFORCED}): "once what is only observed is enforced",
    frozenset({Reading.NOW}): "while it is only observed",
}


class Entry(NamedTuple):
    """A row, and for which readings of observed policies it stands."""

    row: Row
    readings: frozenset[Reading]

    def to_json(self) -> dict[str, object]:
        """For programs."""
        row = self.row
        return {
            "rule": str(row.rule.ref),
            "certain": row.is_certain,
            "observed_only": row.rule.is_observed,
            "readings": sorted(self.readings),
            **row.description.to_json(),
            "example": row.witness.to_json(),
        }


def gather(rows: Iterable[Row]) -> list[Entry]:
    """The rows, each once: what stands in several readings is told together."""
    entries: dict[tuple[object, ...], Entry] = {}
    for row in rows:
        key = (row.rule.ref, tuple(box.key for box in row.boxes))
        known = entries.get(key, Entry(row, frozenset()))
        entries[key] = Entry(known.row, known.readings | {row.reading})
    return list(entries.values())


def observed_policies(*sets: PolicySet) -> list[str]:
    """The names of policies that are only observed."""
    return sorted({rule.ref.policy for each in sets for rule in each.rules if rule.is_observed})


def print_entries(console: Console, title: str, style: str, entries: Iterable[Entry]) -> None:
    """The rows under a title each."""
    for entry in entries:
        row = entry.row
        possible = "" if row.is_certain else " (possible)"
        console.print(Text(visible_text(f"{title}{possible}: rule {row.rule.ref}"), style))
        when = _READINGS.get(entry.readings) if row.rule.is_observed or is_split(entry) else None
        for label, texts in (*_parts(row.description), ("only", [when] if when else [])):
            for at, text in enumerate(texts):
                console.print(visible(f"  {'' if at else label:<{_LABEL_WIDTH}}{text}"))
        console.print(visible(f"  {'example':<{_LABEL_WIDTH}}{example_text(row.witness)}"))
        console.print()


def is_split(entry: Entry) -> bool:
    """Whether the row stands for what is observed only now, not for what would be enforced."""
    return entry.readings == {Reading.NOW}


def example_text(witness: Witness) -> str:
    """One request as a sentence."""
    parts = [f"{witness.method} {witness.host}{witness.path}"]
    if witness.call is not None:
        call = witness.call
        parts.append(f"{call.protocol.value} {call.method} {call.name}".rstrip())
    if witness.has_other_body:
        parts.append("with a body that is no call")
    if witness.upgrade:
        parts.append(f"upgrade to {witness.upgrade}")
    parts += [f"by {witness.agent}", f"for {witness.subject} of {witness.issuer}"]
    parts += [f"claim {name} {_value_text(value)}" for name, value in witness.claims.items()]
    parts += [f"header {name} {_value_text(value)}" for name, value in witness.headers.items()]
    if witness.call is not None and witness.call.arguments:
        given = witness.call.arguments.items()
        parts += [f"argument {name} {_value_text(value)}" for name, value in given]
    if witness.acr:
        parts.append(f"acr {witness.acr}")
    if witness.login_age is not None:
        parts.append(f"login {witness.login_age} seconds ago")
    if witness.at is not None:
        parts.append(f"at {witness.at.isoformat()}")
    parts.append(f"scopes {' '.join(witness.scopes) or 'none'}")
    if witness.depth > 1:
        parts.append(f"{witness.depth} hops")
    return ", ".join(parts + [f"provided: {hinge.text}" for hinge in witness.hinges])


def count_text(count: int) -> str:
    """How many answers there are."""
    return f"{count} answer{'' if count == 1 else 's'}" if count else "nobody can be allowed this"


def _value_text(value: Json) -> str:
    """A text as it is; of a list its elements, where that is plain; all else as JSON."""
    if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        return ", ".join(map(str, value))
    return value if isinstance(value, str) and value else orjson.dumps(value).decode()


def _parts(told: Description) -> tuple[tuple[str, list[str]], ...]:
    requests = [f"{' '.join(told.methods)} on {' '.join(told.hosts)}"]
    needs = [f"scope {scope}" for scope in told.scopes]
    needs += [*(f"chain of {text}" for text in told.depths), *told.demands]
    return (
        ("agents", list(told.agents)),
        ("on behalf of", list(told.principals)),
        ("requests", requests),
        ("paths", list(told.paths)),
        ("calls", list(told.calls)),
        ("upgrade to", list(told.upgrades)),
        ("needs", needs),
        ("unless", list(told.unless)),
        ("depends on", list(told.depends_on)),
    )
