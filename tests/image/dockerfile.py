"""Reads a Dockerfile as far as ours goes: stages, and instructions with their values filled in."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_VARIABLE = re.compile(r"\$\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Instruction:
    """`RUN`, `COPY` and so on, and the rest of the line, continuation lines joined."""

    name: str
    value: str


@dataclass(slots=True)
class Stage:
    """What lies between one FROM and the next. `ENV` and `ARG` are already in `variables`."""

    base: str
    name: str
    variables: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    instructions: list[Instruction] = field(default_factory=list)

    def value(self, name: str) -> str:
        """The value of the only instruction of this name."""
        (found,) = (each.value for each in self.instructions if each.name == name)
        return found

    def command(self, name: str) -> list[str]:
        """An ENTRYPOINT or CMD in exec form; one in shell form is a `json.JSONDecodeError`."""
        return [str(word) for word in json.loads(self.value(name))]

    def labels(self) -> dict[str, str]:
        """The labels of the image."""
        return _assignments(self.value("LABEL"))


def read_stages(file: Path, arguments: Mapping[str, str]) -> list[Stage]:
    """The stages of a Dockerfile, built with these arguments (`--build-arg`)."""
    declared: dict[str, str] = {}
    stages: list[Stage] = []
    for instruction in _instructions(file.read_text()):
        if instruction.name == "FROM":
            base, _, name = instruction.value.partition(" AS ")
            stages.append(Stage(_filled(base, declared), name))
        elif not stages:
            name, _, default = instruction.value.partition("=")
            declared[name] = arguments.get(name, default)
        else:
            _add(stages[-1], instruction, declared, arguments)
    return stages


def _add(
    stage: Stage, instruction: Instruction, declared: Mapping[str, str], given: Mapping[str, str]
) -> None:
    if instruction.name == "ARG":
        name, _, default = instruction.value.partition("=")
        stage.variables[name] = given.get(name, declared.get(name, default))
        return
    # The shell fills in what RUN names.
    is_run = instruction.name == "RUN"
    value = instruction.value if is_run else _filled(instruction.value, stage.variables)
    if instruction.name == "ENV":
        stage.environment |= _assignments(value)
        stage.variables |= stage.environment
    else:
        stage.instructions.append(Instruction(instruction.name, value))


def _instructions(text: str) -> list[Instruction]:
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    words = (line.partition(" ") for line in joined.splitlines())
    return [Instruction(name, value.strip()) for name, _, value in words]


def _assignments(value: str) -> dict[str, str]:
    return dict(word.split("=", 1) for word in shlex.split(value))


def _filled(value: str, variables: Mapping[str, str]) -> str:
    return _VARIABLE.sub(lambda found: variables[found[1]], value)
