"""The tokens in the story: good ones, and ones that someone tries his luck with."""

from __future__ import annotations

from collections.abc import Callable

from tests.demo.cast import AGENTS, AUDIENCE
from tests.harness.issuer import Issuer

TokenMaker = Callable[[Issuer, float], str]
"""Makes a token, given the issuer and the time in seconds since the epoch."""

READ_SCOPE = "orders:read"
WRITE_SCOPE = "orders:write"


def token(
    subject: str,
    agent: str = "research",
    *,
    scope: str = READ_SCOPE,
    audience: str = AUDIENCE,
    through: tuple[str, ...] = (),
    age: float = 0,
    lifetime: float = 300,
    algorithm: str | None = None,
) -> TokenMaker:
    """What the issuer gives `agent`, so that it may act for `subject`.

    `through` are agents that handed the mandate on, the last one first; `age` and
    `lifetime` are in seconds.
    """

    def make(issuer: Issuer, now: float) -> str:
        return issuer.issue(
            subject=subject,
            agent=AGENTS[agent],
            chain=tuple(AGENTS[name] for name in through),
            audience=audience,
            scope=scope,
            now=now - age,
            lifetime=lifetime,
            header={} if algorithm is None else {"alg": algorithm},
        )

    return make


def without_agent(issuer: Issuer, now: float) -> str:
    """alice's token for herself."""
    return issuer.issue(subject="alice", audience=AUDIENCE, now=now, omit=("act",))


def unsigned(issuer: Issuer, now: float) -> str:
    """A token that asks not to be verified, as RFC 7519 section 6 writes it."""
    signed = token("alice", algorithm="none")(issuer, now)
    return signed[: signed.rindex(".") + 1]


def forged(issuer: Issuer, now: float) -> str:
    """Like a token of the issuer, with the `kid` of its key, but signed with another one."""
    return token("alice")(Issuer(issuer.url, key_id=issuer.key_id), now)


def of_unknown_issuer(_issuer: Issuer, now: float) -> str:
    """A good token of an issuer that is not configured."""
    return token("alice")(Issuer("https://idp.example.net"), now)
