"""The Markdown of the project, taken apart far enough to check it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

ROOT = Path(__file__).resolve().parents[2]
RUN_MARK = "<!-- run -->"
"""Stands before a `console` block that is executed, and whose output must be the one shown."""

_SKIPPED = frozenset({"node_modules", "build", "dist"})
_FENCE = re.compile(r"^```(\S*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"\]\(([^()\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.*?) *$", re.MULTILINE)
_ANCHOR = re.compile(r'<a id="([^"]+)">')
_COMMAND = re.compile(r"^\$ (.+(?:\\\n.*)*)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block; `is_run` when the mark stands before it."""

    language: str
    text: str
    is_run: bool

    @property
    def commands(self) -> list[str]:
        """What follows each `$ `; a backslash at the end goes on with the next line."""
        lines = re.sub(r"\\\n *", "", self.text)
        return _COMMAND.findall(lines)

    @property
    def steps(self) -> list[tuple[str, str]]:
        """Each command with the output shown for it."""
        lines = re.sub(r"\\\n *", "", self.text)
        parts = re.split(r"^\$ ", lines, flags=re.MULTILINE)[1:]
        return [(first, rest) for first, _, rest in (part.partition("\n") for part in parts)]


@dataclass(frozen=True, slots=True)
class Page:
    """One file."""

    path: Path
    text: str

    @property
    def name(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    @property
    def blocks(self) -> list[Block]:
        return [
            Block(match[1], match[2], self.text[: match.start()].rstrip().endswith(RUN_MARK))
            for match in _FENCE.finditer(self.text)
        ]

    @property
    def links(self) -> list[str]:
        """Targets of links, those in code left out."""
        return _LINK.findall(_CODE.sub("", self._prose))

    @property
    def anchors(self) -> set[str]:
        """What a link may point to: headings as GitHub names them, and explicit anchors."""
        found = set(_ANCHOR.findall(self._prose))
        seen: dict[str, int] = {}
        for heading in _HEADING.findall(self._prose):
            slug = _slug(heading)
            count = seen.get(slug, 0)
            seen[slug] = count + 1
            found.add(f"{slug}-{count}" if count else slug)
        return found

    @property
    def _prose(self) -> str:
        return _FENCE.sub("", self.text)


def pages() -> list[Page]:
    """Every Markdown file that belongs to the project."""
    found = sorted(ROOT.rglob("*.md"))
    kept = [path for path in found if not _is_skipped(path.relative_to(ROOT))]
    return [Page(path, path.read_text(encoding="utf-8")) for path in kept]


def broken_links(page: Page) -> Iterator[str]:
    """Relative links of a page that lead nowhere."""
    for link in page.links:
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.path.parent / unquote(name)).resolve() if name else page.path
        if not target.exists() or not target.is_relative_to(ROOT):
            yield f"{link}: no such file"
        elif anchor and (
            target.suffix != ".md"
            or anchor not in Page(target, target.read_text(encoding="utf-8")).anchors
        ):
            yield f"{link}: no such anchor"


def _is_skipped(path: Path) -> bool:
    return any(part.startswith(".") or part in _SKIPPED for part in path.parts[:-1])


def _slug(heading: str) -> str:
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
