"""Comments of a YAML text, and what in it each belongs to.

Rules of this file:
- Every comment has one owner. One behind something belongs to that. One on a line of its own
  belongs to what follows; where that stands further out, to the end of the block it is indented
  like.
- A blank line is an empty comment; several are one.

Sources: YAML 1.2.2 sections 6.6 (comments) and 8.1 (block scalars).
"""

from __future__ import annotations

import itertools
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from typing import NamedTuple

from deputize.config.yaml_tree import Collection, Entry, Node, Tree, above_in, walk

_COMMENT = re.compile(r"#[^\n]*")
_BLOCK_HEADER = re.compile(r"[|>][-+0-9]*[ \t]+(#[^\n]*)")


class Comment(NamedTuple):
    """A comment, from `#` on, and whether its line has nothing else."""

    start: int
    text: str
    is_alone: bool


def find_comments(text: str, trees: Iterable[Tree]) -> list[Comment]:
    """All comments, in their order."""
    comments: list[Comment] = []
    position = 0
    scalars = [scalar for tree in trees for scalar in tree.scalars]
    for scalar in scalars:
        comments += _scan(text, position, scalar.start)
        header = _BLOCK_HEADER.match(scalar.source)
        if header is not None:
            start = scalar.start + header.start(1)
            comments.append(Comment(start, header[1].rstrip(), is_alone=False))
        position = scalar.end
    return comments + _scan(text, position, len(text))


def place_comments(text: str, trees: list[Tree], comments: list[Comment]) -> None:
    """Gives each comment, and each blank line, to its owner."""
    starts = [comment.start for comment in comments]
    for number, tree in enumerate(trees):
        end = trees[number + 1].start if number + 1 < len(trees) else len(text)
        mine = comments[bisect_left(starts, tree.start) : bisect_left(starts, end)]
        _find_dashes(text, tree, comments, starts)
        placing = _Placing(text, tree)
        for comment in mine:
            placing.place(comment)
        for entry in tree.entries:
            if _is_after_blank(text, entry.start):
                (tree.head if entry is tree.entries[0] else entry.above).append("")
        _lift(tree.root)


class _Placing:
    def __init__(self, text: str, tree: Tree) -> None:
        self.text = text
        self.tree = tree
        self.starts = [entry.start for entry in tree.entries]
        self.flows = [node for node in walk(tree.root) if node.is_flow]
        self.flow_starts = [node.start for node in self.flows]

    def place(self, comment: Comment) -> None:
        at = bisect_right(self.starts, comment.start)
        entries = self.tree.entries
        before = entries[at - 1] if at else None
        after = entries[at] if at < len(entries) else None
        flow = self._flow_around(comment.start)
        if before is None:
            self.tree.head += self._lines(comment)
        elif not comment.is_alone:
            _give_beside(before, flow, comment)
        else:
            self._owner(comment, before, after, flow).extend(self._lines(comment))

    def _owner(
        self, comment: Comment, before: Entry, after: Entry | None, flow: Collection | None
    ) -> list[str]:
        if flow is not None:
            is_within = after is not None and after.start < flow.end
            return after.above if after is not None and is_within else flow.tail
        column = _column(self.text, comment.start)
        if after is not None and self._column(after) >= column:
            return after.above
        for block in above_in(before):
            if not block.is_flow and self._column(block.entries[0]) <= column:
                goes_on = after is not None and any(each is block for each in above_in(after))
                return after.above if after is not None and goes_on else block.tail
        outermost = self.tree.root
        return outermost.tail if isinstance(outermost, Collection) else self.tree.head

    def _column(self, entry: Entry) -> int:
        return _column(self.text, entry.start)

    def _flow_around(self, position: int) -> Collection | None:
        for node in reversed(self.flows[: bisect_left(self.flow_starts, position)]):
            if position < node.end:
                return node
            if node.owner is None or not node.owner.parent.is_flow:
                return None
        return None

    def _lines(self, comment: Comment) -> list[str]:
        return ["", comment.text] if _is_after_blank(self.text, comment.start) else [comment.text]


def _give_beside(before: Entry, flow: Collection | None, comment: Comment) -> None:
    owner = before
    while owner.parent.is_flow and owner.parent is not flow and owner.parent.owner is not None:
        owner = owner.parent.owner
    is_at_dash = owner.key is None and comment.start < owner.value.start
    if owner.beside or is_at_dash:
        owner.above.append(comment.text)
    else:
        owner.beside = comment.text


def _lift(node: Node) -> None:
    """What is above the first line of an item is above the item: its dash is on that line."""
    if not isinstance(node, Collection):
        return
    for entry in node.entries:
        _lift(entry.value)
        if entry.key is None and isinstance(entry.value, Collection) and entry.value.entries:
            first = entry.value.entries[0]
            lines = itertools.dropwhile(lambda line: not line, first.above)
            entry.above += lines
            first.above = []


def _find_dashes(text: str, tree: Tree, comments: list[Comment], starts: list[int]) -> None:
    """Items of block sequences begin with their dash, not with what is behind it."""
    for node in walk(tree.root):
        if not node.is_flow and not node.is_mapping:
            for entry in node.entries:
                position = entry.start - 1
                while text[position] != "-" or _is_inside(position, comments, starts):
                    position -= 1
                entry.start = position


def _is_inside(position: int, comments: list[Comment], starts: list[int]) -> bool:
    at = bisect_right(starts, position) - 1
    return at >= 0 and position < comments[at].start + len(comments[at].text)


def _scan(text: str, start: int, end: int) -> list[Comment]:
    """Comments in a stretch that has no values."""
    return [
        Comment(match.start(), match[0].rstrip(), _is_first(text, match.start()))
        for match in _COMMENT.finditer(text, start, end)
    ]


def _is_first(text: str, position: int) -> bool:
    return not text[text.rfind("\n", 0, position) + 1 : position].strip(" \t\ufeff")


def _column(text: str, position: int) -> int:
    return position - text.rfind("\n", 0, position) - 1


def _is_after_blank(text: str, position: int) -> bool:
    """First on its line, and the line above is empty."""
    line = text.rfind("\n", 0, position)
    if line < 0 or text[line + 1 : position].strip(" \t"):
        return False
    return not text[text.rfind("\n", 0, line) + 1 : line].strip(" \t")
