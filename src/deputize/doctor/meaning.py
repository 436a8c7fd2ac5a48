"""What there is to know of a code."""

from __future__ import annotations

from dataclasses import dataclass

from deputize.doctor.findings import Severity


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a code means, with when it is silent, and what to do."""

    severity: Severity
    meaning: str
    fix: str


def error(meaning: str, fix: str) -> Meaning:
    """Something is let in that should not be, or nothing works."""
    return Meaning(Severity.ERROR, meaning, fix)


def warning(meaning: str, fix: str) -> Meaning:
    """It works, and hardly as meant."""
    return Meaning(Severity.WARNING, meaning, fix)
