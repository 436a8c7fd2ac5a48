"""One dimension of requests: its atoms, each with an example, and the patterns over them.

Rules of this file:
- An atom is a set of values that no pattern of any of the policies tells apart.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Generic, NamedTuple, TypeVar

from deputize.analysis.boxes import Mask

ValueT = TypeVar("ValueT")


class Named(NamedTuple):
    """A pattern as people write it, and its atoms."""

    text: str
    mask: Mask


class Dimension(Generic[ValueT]):
    """The atoms by number: `examples` has a value of each, `full` is all of them."""

    def __init__(
        self,
        examples: Iterable[ValueT],
        masks: Mapping[Hashable, Mask],
        names: Iterable[Named],
        example_names: Iterable[str],
    ) -> None:
        """`masks` are by pattern; `example_names` tell each example to people.

        Of several names for the same atoms the first is used.
        """
        self.examples = tuple(examples)
        self.full: Mask = (1 << len(self.examples)) - 1
        self._masks = masks
        by_mask: dict[Mask, Named] = {}
        for named in names:
            by_mask.setdefault(named.mask, named)
        by_mask.pop(0, None)
        self._names = sorted(
            by_mask.values(), key=lambda named: (-named.mask.bit_count(), named.text)
        )
        self._example_names = tuple(example_names)
        self._told: dict[Mask, tuple[str, ...]] = {}

    def mask(self, keys: Iterable[Hashable]) -> Mask:
        """The atoms that one of these patterns covers."""
        mask = 0
        for key in keys:
            mask |= self._masks.get(key, 0)
        return mask

    def example(self, mask: Mask) -> ValueT:
        """A value that lies in the mask, which is not empty."""
        return self.examples[first_bit(mask)]

    def tell(self, mask: Mask) -> tuple[str, ...]:
        """The mask in the words of the policies, as few as they have."""
        if mask not in self._told:
            self._told[mask] = tuple(self._describe(mask))
        return self._told[mask]

    def _describe(self, mask: Mask) -> list[str]:
        chosen, left = self._cover(mask)
        texts: list[Named] = []
        while left:
            outer = self._smallest_around(left, mask)
            excepted, rest = self._cover(outer.mask & ~mask) if outer else ([], 0)
            if outer is None or (outer.mask & mask).bit_count() <= rest.bit_count():
                texts += [Named(f"like {self._example_names[at]}", 1 << at) for at in bits(left)]
                break
            names = [named.text for named in excepted]
            names += [f"what is like {self._example_names[bit]}" for bit in bits(rest)]
            texts.append(Named(f"{outer.text} except {', '.join(names)}", outer.mask & mask))
            left &= ~outer.mask
        told = 0
        for named in texts:
            told |= named.mask
        return [named.text for named in chosen if named.mask & ~told] + [
            each.text for each in texts
        ]

    def _cover(self, mask: Mask) -> tuple[list[Named], Mask]:
        """Names that lie in the mask, largest first, and what they leave of it."""
        chosen: list[Named] = []
        left = mask
        for named in self._names:
            if not left:
                break
            if not named.mask & ~mask and named.mask & left:
                chosen.append(named)
                left &= ~named.mask
        return chosen, left

    def _smallest_around(self, left: Mask, mask: Mask) -> Named | None:
        """The name with most of what is left for the least that it has beyond the mask."""
        around = [named for named in self._names if named.mask & left]
        if not around:
            return None
        return min(
            around,
            key=lambda named: (
                (named.mask & ~mask).bit_count() - (named.mask & left).bit_count(),
                named.text,
            ),
        )


def first_bit(mask: Mask) -> int:
    """The number of the lowest bit."""
    return (mask & -mask).bit_length() - 1


def bits(mask: Mask) -> list[int]:
    """The numbers of all bits."""
    found: list[int] = []
    while mask:
        found.append(first_bit(mask))
        mask &= mask - 1
    return found
