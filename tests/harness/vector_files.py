"""The vectors as files: requests with the decision they must get, as data.

`tests/vectors/README.md` says what is in them; `scripts/generate_vectors.py` writes them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from deputize.core.reasons import Reason
from deputize.core.verdict import Effect

FOLDER = Path(__file__).resolve().parents[1] / "vectors"
SCHEMA_FILE = FOLDER / "vector.schema.json"
DEFAULT_WORLD = "world"
ISSUERS_WORLD = "world-issuers"
WORLD = FOLDER / DEFAULT_WORLD
READ_AT = 1_800_000_000
"""When the sources of a world are read: status lists and certificates must hold then."""
ISSUERS = "issuers"
FAMILIES = ("request", "peer", "token", "delegation", "policy", "system", "allow", ISSUERS)
"""The folders: `issuers` for the tokens of real issuers, whatever is decided of them, else the
family of the refusal's reason, or `allow`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vector:
    """One file. `request` is a CheckRequest in the JSON form of protobuf, `now` epoch seconds.

    `world` is the folder it is decided under. `again` is the reason the very same request is
    refused for when it comes a second time; None where it gets the same answer.
    """

    id: str
    title: str
    source: str
    importance: str
    world: str
    request: Mapping[str, object]
    now: int
    effect: Effect
    reason: Reason
    rule: str | None
    again: Reason | None

    @property
    def file(self) -> Path:
        family = self.reason.family if self.effect is Effect.DENY else "allow"
        folder = ISSUERS if self.world == ISSUERS_WORLD else family
        return FOLDER / folder / f"{self.id}.json"


def vector_files() -> Iterator[Path]:
    """All files that are there, ordered by name."""
    for family in FAMILIES:
        yield from sorted((FOLDER / family).glob("*.json"))


def world_names() -> list[str]:
    """The folders with a configuration that vectors are decided under."""
    return sorted(file.parent.name for file in FOLDER.glob("world*/config.yaml"))


def read_vector(file: Path) -> Vector:
    """The vector in a file; whether it has the right form is for the schema to say."""
    document = json.loads(file.read_text(encoding="utf-8"))
    expect = document["expect"]
    return Vector(
        id=document["id"],
        title=document["title"],
        source=document["source"],
        importance=document["importance"],
        world=document.get("world", DEFAULT_WORLD),
        request=document["request"],
        now=document["now"],
        effect=Effect(expect["effect"]),
        reason=Reason(expect["reason"]),
        rule=expect.get("rule"),
        again=Reason(expect["again"]) if "again" in expect else None,
    )


def encode_vector(vector: Vector) -> bytes:
    """The content of its file: plain ASCII, so that no look-alike is invisible."""
    expect = {"effect": vector.effect.value, "reason": vector.reason.value}
    if vector.rule is not None:
        expect["rule"] = vector.rule
    if vector.again is not None:
        expect["again"] = vector.again.value
    document = {
        "$schema": f"../{SCHEMA_FILE.name}",
        "id": vector.id,
        "title": vector.title,
        "source": vector.source,
        "importance": vector.importance,
        **({} if vector.world == DEFAULT_WORLD else {"world": vector.world}),
        "request": vector.request,
        "now": vector.now,
        "expect": expect,
    }
    return (json.dumps(document, indent=2) + "\n").encode("ascii")
