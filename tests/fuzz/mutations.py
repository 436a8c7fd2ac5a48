"""Changes to an input that keep most of its form: JSON stays JSON, and often means something else.

The same seed makes the same change. The fuzzer uses them beside its own, the tests instead.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random

from tests.harness.characters import ODD_CHARACTERS
from tests.harness.issuer_shapes import PLANNER
from tests.harness.world import AGENT, AUDIENCE, ISSUER_URL, NOW

MAX_INPUT = 16384

_Members = dict[str, object]
_DEEP = 40
_NAMES = (
    *("iss", "aud", "sub", "act", "azp", "client_id", "jti", "iat", "exp", "nbf", "scope", "scp"),
    *("cnf", "jkt", "x5t#S256", "status", "status_list", "idx", "uri", "bits", "lst", "ttl"),
    *("alg", "kid", "typ", "jwk", "crit", "may_act", "client_profile", "sub_profile", "htu", ""),
    *("kty", "crv", "x", "y", "n", "e", "use", "key_ops", "keys", "x5c", "spiffe_sequence"),
)
_TEXTS = (
    *("", AGENT, PLANNER, ISSUER_URL, AUDIENCE, "spiffe://", "none", "HS256", "EdDSA", "JWT"),
    *("https://issuer.example/status/1", "A" * 43, "A" * 2500, "system:serviceaccount:a:b"),
    *ODD_CHARACTERS.values(),
)
_NUMBERS = (0, 1, -1, 0.5, 7, 2**31, 2**53, 2**64, -(2**63), 10**400, 1e308, -0.0, NOW, NOW + 60)
_PIECES = (
    *(b"\0", b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"1e999", b"9" * 5000, b"NaN"),
    *(b"[" * _DEEP, b'{"a":' * _DEEP, b'"', b"\\u0000", b"\\ud800", b"\\", b",", b":", b"\n", b" "),
    *(b"By=", b";URI=", b"-", b"spiffe://", b"/", b".", b"..", b"%2F", b"=", b"\r\n", b"{}", b"[]"),
    *(b"&a ", b"*a", b"!!str ", b"? ", b"- ", b": ", b"---\n", b"<<: ", b"|\n ", b">\n ", b"#"),
)  # fmt: skip


def mutate(octets: bytes, random: Random) -> bytes:
    """The input with one to three changes, at most `MAX_INPUT` bytes long."""
    for _ in range(random.randint(1, 3)):
        change = _change_json if random.random() < 7 / 8 else _change_bytes
        octets = change(octets, random)[:MAX_INPUT]
    return octets


def _change_json(octets: bytes, random: Random) -> bytes:
    """One part of the input that is a JSON object, after whatever stands before it."""
    parts = octets.split(b"\0")
    (place,) = random.choices(range(len(parts)), [len(part) + 1 for part in parts])
    start = parts[place].find(b"{")
    try:
        value: object = json.loads(parts[place][start:]) if start >= 0 else None
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        return _change_bytes(octets, random)
    changed = json.dumps(_change_object(value, random), ensure_ascii=random.random() < 0.9)
    parts[place] = parts[place][:start] + changed.encode("utf-8", "surrogatepass")
    return b"\0".join(parts)


def _change_object(members: _Members, random: Random) -> _Members:
    inner = [name for name, value in members.items() if isinstance(value, dict | list) and value]
    if inner and random.random() < 0.5:
        name = random.choice(inner)
        return {**members, name: _change_value(members[name], random)}
    name = random.choice([*members, *_NAMES])
    match random.randrange(4):
        case 0 if name in members:
            return {other: value for other, value in members.items() if other != name}
        case 1 if members:
            return {**members, name: members[random.choice([*members])]}
        case 2 if name in members:
            return {**members, name: {random.choice(_NAMES): members[name]}}
        case _:
            return {**members, name: _any_value(random)}


def _change_value(value: object, random: Random) -> object:
    if isinstance(value, dict):
        return _change_object(value, random)
    if not isinstance(value, list):
        return _any_value(random)
    place = random.randrange(len(value) + 1)
    if place == len(value):
        return [*value, *value] if random.random() < 0.2 else [*value, _any_value(random)]
    return [*value[:place], _change_value(value[place], random), *value[place + 1 :]]


def _any_value(random: Random) -> object:
    kinds: tuple[Callable[[], object], ...] = (
        lambda: random.choice((None, True, False, [], {})),
        lambda: random.choice(_NUMBERS),
        lambda: random.choice(_TEXTS),
        lambda: f"{random.choice(_TEXTS)}{random.choice(_TEXTS)}",
        lambda: [random.choice(_TEXTS), random.choice(_NUMBERS)],
        lambda: {random.choice(_NAMES): random.choice(_TEXTS)},
        lambda: _nest(random.randint(1, _DEEP), random.choice(("act", "a"))),
    )
    return random.choice(kinds)()


def _nest(depth: int, name: str) -> object:
    value: object = {"sub": "earlier"}
    for number in range(depth):
        value = {"sub": f"earlier-{number}", name: value}
    return value


def _change_bytes(octets: bytes, random: Random) -> bytes:
    start = random.randint(0, len(octets))
    end = min(len(octets), start + random.choice((0, 0, 1, 4, 64)))
    match random.randrange(4):
        case 0:
            piece = bytes(random.randrange(256) for _ in range(random.randint(1, 4)))
        case 1:
            piece = octets[end : end + 64] * 2
        case _:
            piece = random.choice(_PIECES)
    return octets[:start] + piece + octets[end:]
