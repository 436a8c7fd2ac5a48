"""Texts on a terminal: what was asked, recorded or written in a file may be hostile."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from deputize.config.problems import visible_text


def make_console() -> Console:
    """No line is broken: identifiers must stay whole for reading, searching and copying."""
    return Console(soft_wrap=True, highlight=False)


def visible(text: str) -> Text:
    """One line as text, never as markup or as commands to the terminal."""
    return Text(visible_text(text))
