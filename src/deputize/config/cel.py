"""Expressions of the Common Expression Language, compiled."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from deputize.core.model import Json


def compile_expression(source: str) -> Callable[[Mapping[str, Json]], Json]:
    """The compiled expression."""
    raise ImportError(f"expressions need the extra `deputize[cel]`: {source}")
