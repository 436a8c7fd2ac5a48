"""Texts on a terminal: what was asked, recorded or written in a file may be hostile."""

from __future__ import annotations

from rich.text import Text

from deputize.config.problems import visible_text


def visible(text: str) -> Text:
    """One line as text, never as markup or as commands to the terminal."""
    return Text(visible_text(text))
