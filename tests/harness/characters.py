"""Characters that have fooled parsers, for tables over every byte and beyond."""

from __future__ import annotations

ODD_CHARACTERS = {
    "fullwidth a": "\uff41",
    "fullwidth dot": "\uff0e",
    "fullwidth slash": "\uff0f",
    "fullwidth A": "\uff21",
    "kelvin sign": "\u212a",
    "long s": "\u017f",
    "dotless i": "\u0131",
    "combining acute": "\u0301",
    "right-to-left mark": "\u200f",
    "right-to-left override": "\u202e",
    "zero width space": "\u200b",
    "zero width joiner": "\u200d",
    "soft hyphen": "\u00ad",
    "byte order mark": "\ufeff",
    "line separator": "\u2028",
    "next line": "\u0085",
    "no-break space": "\u00a0",
    "arabic digit": "\u0661",
    "cyrillic a": "\u0430",
    "two dot leader": "\u2025",
    "division slash": "\u2215",
    "lone surrogate": "\ud800",
    "emoji": "\U0001f600",
}

EVERY_BYTE = tuple(chr(byte) for byte in range(256))
CHARACTERS = (*EVERY_BYTE, *ODD_CHARACTERS.values())

UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
LOWER = UPPER.lower()
DIGITS = "0123456789"


def places(char: str) -> tuple[str, str, str]:
    """The character before, inside and after a good text; a final newline fools `$`."""
    return f"{char}ab", f"a{char}b", f"ab{char}"
