"""All that patterns of hosts, and beginnings of texts, can tell apart.

Rules of this file:
- As for segments: one example for each set of patterns that match together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from deputize.analysis.boxes import Mask
from deputize.analysis.segment_atoms import fresh_text
from deputize.core.call_patterns import text_matches
from deputize.core.matching import ANY

_ENDINGS = ("other", "://other", "x://other", "://other.example/x", "/other", "")


def find_hosts(patterns: Iterable[str]) -> dict[str, list[str]]:
    """An example host for each set of patterns that match together, with those patterns."""
    listed = sorted(set(patterns))
    exact = {pattern for pattern in listed if ANY not in pattern}
    examples = sorted(exact)
    for pattern in listed:
        if pattern.startswith("*."):
            taken = {host.partition(".")[0] for host in exact}
            examples.append(f"{fresh_text('other', taken)}{pattern[1:]}")
    examples.append(fresh_text("elsewhere", exact))
    known = set(listed)
    found = {
        host: [key for key in (host, "*." + host.partition(".")[2], ANY) if key in known]
        for host in dict.fromkeys(examples)
    }
    return {host: matched for host, matched in found.items() if matched}


def find_texts(
    patterns: Iterable[str], is_good: Callable[[str], bool] = lambda _text: True
) -> list[str]:
    """An example text for each set of patterns that match together; not the empty text.

    `is_good` says which texts there can be. Where no good example is found for a beginning, one
    that is not is given: rather one too many than one too few.
    """
    listed = sorted(set(patterns))
    exact = [pattern for pattern in listed if not pattern.endswith(ANY)]
    beginnings = sorted({pattern[:-1] for pattern in listed if pattern.endswith(ANY)} | {""})
    found = [text for text in exact if is_good(text)]
    for beginning in beginnings:
        longer = [other for other in beginnings if other != beginning]
        longer = [other for other in longer if other.startswith(beginning)]
        candidates = [
            text
            for number in ("", "2", "3", "4")
            for ending in _ENDINGS
            if (text := f"{beginning}{ending}{number}")
            and text not in exact
            and not any(text.startswith(other) for other in longer)
        ]
        good = [text for text in candidates if is_good(text)]
        found += (good or candidates or [fresh_text(f"{beginning}~other", exact)])[:1]
    return list(dict.fromkeys(found))


def text_masks(patterns: Iterable[str], examples: Iterable[str]) -> Mapping[str, Mask]:
    """The examples that each pattern matches; one text may stand at several places."""
    places: dict[str, Mask] = {}
    for number, text in enumerate(examples):
        places[text] = places.get(text, 0) | 1 << number
    masks = {pattern: places.get(pattern, 0) for pattern in patterns}
    for pattern in masks:
        if pattern.endswith(ANY):
            for text, mask in places.items():
                masks[pattern] |= mask if text_matches(pattern, text) else 0
    return masks
