"""The reference page of the issuer profiles that come with deputize: their files, as they are."""

from __future__ import annotations

from pathlib import Path

from deputize.config.issuer_profiles import DEFAULT_PROFILE, known_profiles, profile_text
from scripts.reference.markdown import code, page

_INTRODUCTION = f"""\
No two issuers write a delegation token the same way. A profile says how one of them does: where
principal, actor and scopes stand, which types and kinds are accepted. `issuers[].profile` names
one; every key of it can also be given for an issuer, and then counts instead. What neither of them
says is as in `{DEFAULT_PROFILE}`. The keys are explained in the
[service configuration](service-config.md#specissuers).

What a profile cannot know is said for each issuer: `audiences`, `keys`, and the SPIFFE IDs of
agents that it knows by other names (`identities`). [Issuers](../issuers.md) has an example of
each."""


def generate(_root: Path) -> dict[Path, bytes]:
    """The page."""
    parts = [_INTRODUCTION]
    for name, profile in sorted(known_profiles().items(), key=lambda pair: _order(pair[0])):
        parts += [
            f"## `{name}`",
            f"{profile.title}.",
            "\n".join(["Taken from:", "", *(f"- {source}" for source in profile.sources)]),
            code("yaml", _keys_of(name)),
        ]
    return page("issuer-profiles.md", "Issuer profiles", "`src/deputize/profiles`", parts)


def _order(name: str) -> tuple[bool, str]:
    return name != DEFAULT_PROFILE, name


def _keys_of(name: str) -> str:
    """The keys without title and sources, which stand above."""
    lines = profile_text(name).partition("\nspec:\n")[2].splitlines()
    start = next(
        number
        for number, line in enumerate(lines)
        if not line.startswith(("  title:", "  sources:", "    - "))
    )
    return "\n".join(line[2:] for line in lines[start:])
