"""A tree of YAML as text, in the one form that `deputize fmt` gives.

Rules of this file:
- Blocks are indented by two, dashes of sequences too. Lines have at most `WIDTH` characters where
  they can be broken.
- A list of single values is on one line where it fits. Other collections are on one line where
  they fit and were written in braces or brackets. With a comment in it none is.
- What is written is written the same when it is read and written again.
"""

from __future__ import annotations

import re
from collections.abc import Collection as Names
from collections.abc import Iterable

from deputize.config.yaml_scalars import write_scalar, write_text
from deputize.config.yaml_tree import Collection, Entry, Node, Scalar, Tree

WIDTH = 100
_STEP = 2
_TWO_LINES = 2
_BLOCK = re.compile(r"([|>]-?)[ \t]*(?:#[^\n]*)?\n((?:.*\n?)*)")


def write_trees(trees: Iterable[Tree], apart: Names[str]) -> str:
    """The documents; entries of lists under the keys `apart` have a blank line between them."""
    writer = _Writer(apart)
    return "---\n".join(
        "".join(f"{line}\n" for line in _tidy(writer.document(tree))) for tree in trees
    )


class _Writer:
    def __init__(self, apart: Names[str]) -> None:
        self.apart = apart

    def document(self, tree: Tree) -> list[str]:
        if isinstance(tree.root, Scalar):
            return [*tree.head, write_scalar(tree.root, in_flow=False)]
        if not tree.root.entries:
            return [*tree.head, _flow(tree.root), *tree.root.tail]
        return [*tree.head, *self._block(tree.root, 0)]

    def _block(self, node: Collection, indent: int) -> list[str]:
        """The lines of a collection that is not empty."""
        is_apart = not node.is_mapping and _key_of(node) in self.apart
        lines: list[str] = []
        previous: list[str] = []
        for entry in node.entries:
            found = self._entry(entry, indent)
            # Two that have one line each may stand together.
            if is_apart and previous and sum(map(bool, previous + found)) > _TWO_LINES:
                lines.append("")
            lines += found
            previous = found
        return _without_first_blanks([*lines, *_comments(node.tail, indent)])

    def _entry(self, entry: Entry, indent: int) -> list[str]:
        pad = " " * indent
        above, beside = _comments(entry.above, indent), entry.beside
        if entry.key is not None:
            head = f"{pad}{write_text(entry.key.value, in_flow=False)}:"
            return above + self._value(head, entry.value, indent, beside)
        value = entry.value
        if not isinstance(value, Collection) or _fits(value, indent + _STEP):
            return above + self._value(f"{pad}-", value, indent, beside)
        # The first line of the block stands behind the dash, so its comments go above that.
        lines = self._block(value, indent + _STEP)
        first = next(at for at, line in enumerate(lines) if not _is_comment(line))
        hoisted = [line.strip() for line in lines[:first]]
        hoisted += [beside] if beside else []
        rest = f"{pad}- {lines[first].lstrip(' ')}"
        return [*above, *_comments(hoisted, indent), rest, *lines[first + 1 :]]

    def _value(self, head: str, value: Node, indent: int, beside: str) -> list[str]:
        """A key or a dash, and what is behind it."""
        note = f" {beside}" if beside else ""
        if isinstance(value, Scalar):
            lines = _block_scalar(value, indent + _STEP)
            if lines:
                return [f"{head} {lines[0]}{note}", *lines[1:]]
            return [f"{head} {write_scalar(value, in_flow=False)}{note}"]
        if _fits(value, len(head) + 1):
            return [f"{head} {_flow(value)}{note}", *_comments(value.tail, indent)]
        return [f"{head}{note}", *self._block(value, indent + _STEP)]


def _key_of(node: Collection) -> str:
    owner = node.owner
    return owner.key.value if owner is not None and owner.key is not None else ""


def _fits(node: Collection, column: int) -> bool:
    """Whether a collection that begins in this column is written on one line."""
    if not node.entries:
        return True
    if _has_comments(node):
        return False
    is_list = not node.is_mapping and all(isinstance(e.value, Scalar) for e in node.entries)
    return (is_list or _is_all_flow(node)) and column + len(_flow(node)) <= WIDTH


def _is_all_flow(node: Node) -> bool:
    return isinstance(node, Scalar) or (
        node.is_flow and all(_is_all_flow(entry.value) for entry in node.entries)
    )


def _has_comments(node: Node) -> bool:
    if isinstance(node, Scalar):
        return False
    return bool(node.tail) or any(
        any(entry.above) or entry.beside or _has_comments(entry.value) for entry in node.entries
    )


def _flow(node: Node) -> str:
    if isinstance(node, Scalar):
        return write_scalar(node, in_flow=True)
    if not node.is_mapping:
        return f"[{', '.join(_flow(entry.value) for entry in node.entries)}]"
    parts = (
        f"{write_text('' if entry.key is None else entry.key.value, in_flow=True)}: "
        f"{_flow(entry.value)}"
        for entry in node.entries
    )
    return f"{{{', '.join(parts)}}}"


def _block_scalar(scalar: Scalar, indent: int) -> list[str]:
    """The header and the lines of a text in a block; none where it cannot stay in one."""
    match = _BLOCK.fullmatch(scalar.source)
    if match is None or not scalar.value.strip():
        return []
    lines = match[2].rstrip("\n \t").split("\n")
    first = next(line for line in lines if line.strip())
    inner = len(first) - len(first.lstrip(" "))
    shown = [" " * indent + line[inner:] if line.strip() else "" for line in lines]
    return [match[1], *shown]


def _comments(lines: Iterable[str], indent: int) -> list[str]:
    return [f"{' ' * indent}{line}" if line else "" for line in lines]


def _is_comment(line: str) -> bool:
    return not line or line.lstrip(" ").startswith("#")


def _without_first_blanks(lines: list[str]) -> list[str]:
    first = next((at for at, line in enumerate(lines) if line), len(lines))
    return lines[first:]


def _tidy(lines: Iterable[str]) -> list[str]:
    """One blank line for several, none at the begin and the end."""
    tidy: list[str] = []
    for line in lines:
        if line or (tidy and tidy[-1]):
            tidy.append(line)
    return tidy[:-1] if tidy and not tidy[-1] else tidy
