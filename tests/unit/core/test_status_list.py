from __future__ import annotations

import json
import zlib
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deputize.core.keys import Algorithm, KeyRing, freeze_keys
from deputize.core.model import Json, StatusReference
from deputize.core.status_list import (
    MAX_LIFE_SECONDS,
    MAX_LIST_BYTES,
    MAX_TOKEN_BYTES,
    StatusList,
    StatusListError,
    read_status_list,
    read_status_reference,
    status_at,
)
from tests.harness.issuer import Issuer, encode_base64url
from tests.harness.world import (
    ISSUER_URL,
    NOW,
    SKEW,
    make_key_ring,
    shared_issuer,
)

URI = f"{ISSUER_URL}/status/1"
ISSUER = shared_issuer()
RING = make_key_ring(ISSUER)
ALL = tuple(Algorithm)
HEADER = {**ISSUER.header(), "typ": "statuslist+jwt"}


def pack(octets: bytes) -> str:
    return encode_base64url(zlib.compress(octets, 9))


ONE_BIT: Json = {"bits": 1, "lst": pack(b"\xb9\xa3")}


def sign(
    claims: Mapping[str, object] = {},
    *,
    issuer: Issuer = ISSUER,
    header: Mapping[str, object] = {},
    omit: str = "",
) -> str:
    payload = {
        "sub": URI,
        "iat": NOW - 60,
        "exp": NOW + 600,
        "ttl": 300,
        "status_list": ONE_BIT,
        **claims,
    }
    payload.pop(omit, None)
    return issuer.sign({**HEADER, **header}, json.dumps(payload).encode())


def read(
    compact: str,
    *,
    uri: str = URI,
    ring: KeyRing = RING,
    algorithms: tuple[Algorithm, ...] = ALL,
    now: float = NOW,
) -> StatusList:
    return read_status_list(compact, uri, ring, algorithms, now, SKEW)


def is_list(compact: str, *, now: float = NOW) -> bool:
    try:
        read(compact, now=now)
    except StatusListError:
        return False
    return True


# References


def reference(**changes: object) -> dict[str, Json]:
    place = {"idx": 7, "uri": URI, **changes}
    read_back: dict[str, Json] = json.loads(json.dumps({"status": {"status_list": place}}))
    return read_back


def test_a_token_without_status() -> None:
    assert read_status_reference({"sub": "alice", "status_list": {"idx": 0, "uri": URI}}) is None


@pytest.mark.parametrize("index", [0, 7, 2**20, 10**30])
def test_a_token_names_its_place(index: int) -> None:
    assert read_status_reference(reference(idx=index)) == StatusReference(URI, index)


def test_members_that_are_not_needed_are_not_read() -> None:
    claims = reference(more=1)
    assert isinstance(claims["status"], dict)
    claims["status"]["other"] = {"idx": 1}
    assert read_status_reference(claims) == StatusReference(URI, 7)


@pytest.mark.parametrize(
    "status",
    [
        None,
        {},
        [],
        "valid",
        0,
        True,
        {"status_list": None},
        {"status_list": {}},
        {"status_list": [7, URI]},
        {"status_list": URI},
        {"identifier_list": {"id": "7", "uri": URI}},
        {"Status_List": {"idx": 7, "uri": URI}},
        {"idx": 7, "uri": URI},
    ],
)
def test_a_status_of_another_kind_is_not_passed_over(status: Json) -> None:
    with pytest.raises(StatusListError):
        read_status_reference({"status": status})


@pytest.mark.parametrize(
    "change",
    [
        {"idx": None},
        {"idx": -1},
        {"idx": True},
        {"idx": False},
        {"idx": 7.0},
        {"idx": "7"},
        {"idx": [7]},
        {"uri": None},
        {"uri": ""},
        {"uri": 7},
        {"uri": [URI]},
        {"uri": f"{URI} "},
        {"uri": f"{URI}\n"},
        {"uri": f"{URI}\u00e9"},
        {"uri": "https://\u212aiosk.example"},
        {"uri": f"{URI}\x00"},
        {"uri": "x" * 2049},
    ],
)
def test_a_place_that_cannot_be_read(change: Mapping[str, Json]) -> None:
    with pytest.raises(StatusListError):
        read_status_reference(reference(**change))


def test_the_longest_uri() -> None:
    found = read_status_reference(reference(uri="x" * 2048))
    assert found == StatusReference("x" * 2048, 7)


# Values

KNOWN_VALUES = [
    # The examples of draft-ietf-oauth-status-list section 4 and its further examples.
    (1, "b9a3", [1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1]),
    (2, "c944f9", [1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3]),
    # By hand.
    (4, "21f0", [1, 2, 0, 15]),
    (8, "00017fff", [0, 1, 127, 255]),
    (1, "80", [0, 0, 0, 0, 0, 0, 0, 1]),
]


@pytest.mark.parametrize(("bits", "octets", "values"), KNOWN_VALUES)
def test_values_are_counted_from_the_least_significant_bit(
    bits: int, octets: str, values: list[int]
) -> None:
    found = read(sign({"status_list": {"bits": bits, "lst": pack(bytes.fromhex(octets))}}))
    assert [status_at(found, index) for index in range(len(values))] == values


@pytest.mark.parametrize(("bits", "octets", "values"), KNOWN_VALUES)
def test_there_is_nothing_outside_the_list(bits: int, octets: str, values: list[int]) -> None:
    found = StatusList(URI, bits, bytes.fromhex(octets), NOW, NOW)
    for index in (-1, -len(values), len(values), len(values) + 1, 10**30):
        with pytest.raises(StatusListError):
            status_at(found, index)


@pytest.mark.parametrize(
    ("bits", "packed", "octets"), [(1, "eNrbuRgAAhcBXQ", "b9a3"), (2, "eNo76fITAAPfAgc", "c944f9")]
)
def test_the_packed_examples_of_the_draft(bits: int, packed: str, octets: str) -> None:
    found = read(sign({"status_list": {"bits": bits, "lst": packed}}))
    assert (found.uri, found.bits, found.octets) == (URI, bits, bytes.fromhex(octets))


def test_an_empty_list_has_no_values() -> None:
    found = read(sign({"status_list": {"bits": 1, "lst": pack(b"")}}))
    with pytest.raises(StatusListError):
        status_at(found, 0)


@pytest.mark.parametrize("level", [0, 1, 9])
def test_how_well_it_is_packed_does_not_matter(level: int) -> None:
    octets = bytes(range(256)) * 16
    lst = encode_base64url(zlib.compress(octets, level))
    assert read(sign({"status_list": {"bits": 8, "lst": lst}})).octets == octets


# Lists


def test_a_list_is_shown_without_its_values() -> None:
    assert "octets" not in repr(read(sign()))


@pytest.mark.parametrize("algorithm", ALL)
def test_a_list_may_be_signed_with_every_algorithm(algorithm: Algorithm) -> None:
    issuer = shared_issuer(algorithm)
    compact = sign(issuer=issuer, header={"alg": algorithm})
    assert read(compact, ring=make_key_ring(issuer)).bits == 1


@pytest.mark.parametrize("typ", ["application/statuslist+jwt", "StatusList+JWT"])
def test_a_type_in_another_spelling(typ: str) -> None:
    assert is_list(sign(header={"typ": typ}))


@pytest.mark.parametrize(
    "typ", ["JWT", "at+jwt", "statuslist+cwt", "statuslist", "text/statuslist+jwt", ""]
)
def test_a_token_of_another_type_is_no_list(typ: str) -> None:
    assert not is_list(sign(header={"typ": typ}))


def test_a_token_without_type_is_no_list() -> None:
    payload = json.dumps({"sub": URI, "iat": NOW, "status_list": ONE_BIT}).encode()
    assert is_list(ISSUER.sign(HEADER, payload))
    assert not is_list(ISSUER.sign({"alg": "ES256", "kid": "k1"}, payload))


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "ES384"},
        {"alg": "HS256"},
        {"alg": "none"},
        {"alg": "RS256"},
        {"kid": "k2"},
        {"crit": ["exp"]},
        {"jwk": {}},
        {"x5c": []},
        {"zip": "DEF"},
    ],
)
def test_a_list_with_another_header(header: Mapping[str, object]) -> None:
    assert not is_list(sign(header=header))


def test_a_list_that_somebody_else_signed() -> None:
    assert not is_list(sign(issuer=Issuer(ISSUER_URL)))


def test_a_list_that_was_changed() -> None:
    head, payload, signature = sign().split(".")
    other = sign({"status_list": {"bits": 1, "lst": pack(b"\0\0")}}).split(".")[1]
    assert is_list(f"{head}.{payload}.{signature}")
    assert not is_list(f"{head}.{other}.{signature}")


@pytest.mark.parametrize("algorithms", [(), (Algorithm.ES384, Algorithm.RS256)])
def test_a_list_signed_with_an_algorithm_that_is_not_allowed(
    algorithms: tuple[Algorithm, ...],
) -> None:
    with pytest.raises(StatusListError):
        read(sign(), algorithms=algorithms)


def test_a_list_needs_a_fresh_ring() -> None:
    ring = make_key_ring(ISSUER, NOW)
    assert read(sign(), ring=ring).bits == 1
    for stale in (freeze_keys(ring.keys, NOW - 1), freeze_keys({}, NOW)):
        with pytest.raises(StatusListError):
            read(sign(), ring=stale)


@pytest.mark.parametrize(
    "sub", [None, "", 1, [URI], f"{URI}/", f"{URI}?", f"{URI}#", URI.upper(), "alice"]
)
def test_a_list_for_another_uri(sub: Json) -> None:
    assert not is_list(sign({"sub": sub}))


def test_a_list_is_for_the_uri_it_was_fetched_from() -> None:
    with pytest.raises(StatusListError):
        read(sign(), uri=f"{ISSUER_URL}/status/2")


@pytest.mark.parametrize("claim", ["sub", "iat", "status_list"])
def test_what_a_list_must_say(claim: str) -> None:
    assert not is_list(sign(omit=claim))


# Times


@pytest.mark.parametrize("claim", ["iat", "exp", "ttl"])
@pytest.mark.parametrize("value", [None, True, "600", -1, 2**53 + 1, [600], {}])
def test_a_time_that_is_none(claim: str, value: Json) -> None:
    assert not is_list(sign({claim: value}))


def test_a_list_from_the_future() -> None:
    assert is_list(sign({"iat": NOW + SKEW}))
    assert not is_list(sign({"iat": NOW + SKEW + 1}))


def test_a_list_that_has_expired() -> None:
    assert is_list(sign({"exp": NOW + 1}))
    assert not is_list(sign({"exp": NOW}))
    assert not is_list(sign(), now=NOW + 600)


def test_a_list_that_is_not_valid_yet() -> None:
    assert is_list(sign({"nbf": NOW + SKEW}))
    assert not is_list(sign({"nbf": NOW + SKEW + 1}))
    assert not is_list(sign({"nbf": "now"}))


@pytest.mark.parametrize("ttl", [0, 0.0, -1])
def test_a_list_with_no_time_to_live(ttl: float) -> None:
    assert not is_list(sign({"ttl": ttl}))


@pytest.mark.parametrize(
    ("claims", "omit", "life"),
    [
        ({}, "", 300),
        ({"ttl": 0.5}, "", 0.5),
        ({"exp": NOW + 200}, "", 200),
        ({"ttl": 900}, "", 600),
        ({}, "ttl", 600),
        ({}, "exp", 300),
        ({"exp": NOW + 10**6}, "ttl", MAX_LIFE_SECONDS),
        ({"ttl": 10**6}, "exp", MAX_LIFE_SECONDS - 60),
    ],
)
def test_how_long_a_list_is_good(claims: Mapping[str, object], omit: str, life: float) -> None:
    assert read(sign(claims, omit=omit)).usable_until == NOW + life


def test_a_list_that_says_nothing_of_its_end() -> None:
    payload = json.dumps({"sub": URI, "iat": NOW, "status_list": ONE_BIT}).encode()
    assert read(ISSUER.sign(HEADER, payload)).usable_until == NOW + MAX_LIFE_SECONDS


# What is packed


@pytest.mark.parametrize("bits", [None, 0, 3, 5, 16, -1, True, 1.0, "1", [1]])
def test_values_of_another_width(bits: Json) -> None:
    assert not is_list(sign({"status_list": {"bits": bits, "lst": pack(b"\0")}}))


@pytest.mark.parametrize("status_list", [None, [], "x", 1, {}, {"bits": 1}, {"lst": pack(b"\0")}])
def test_a_list_without_its_members(status_list: Json) -> None:
    assert not is_list(sign({"status_list": status_list}))


PACKED = zlib.compress(b"\xb9\xa3", 9)
BAD_PACKED: Mapping[str, Json] = {
    "null": None,
    "a number": 1,
    "a list": ["eNrbuRgAAhcBXQ"],
    "nothing": "",
    "not base64url": "eNrbuRgAAhcB+/",
    "padded": encode_base64url(PACKED) + "==",
    "not canonical": encode_base64url(PACKED)[:-1] + "R",
    "not ASCII": "\u00e9",
    "not packed": encode_base64url(b"\xb9\xa3"),
    "bare DEFLATE": encode_base64url(PACKED[2:-4]),
    "gzip": encode_base64url(zlib.compressobj(wbits=31).flush()),
    "cut off": encode_base64url(PACKED[:-5]),
    "without its last octet": encode_base64url(PACKED[:-1]),
    "the header only": encode_base64url(PACKED[:2]),
    "a wrong check sum": encode_base64url(PACKED[:-1] + b"\0"),
    "followed by more": encode_base64url(PACKED + b"\0"),
    "followed by another": encode_base64url(PACKED + PACKED),
    "with a dictionary": encode_base64url(zlib.compressobj(zdict=b"\xb9").flush()),
}


@pytest.mark.parametrize("packed", BAD_PACKED.values(), ids=BAD_PACKED.keys())
def test_what_cannot_be_unpacked(packed: Json) -> None:
    assert not is_list(sign({"status_list": {"bits": 1, "lst": packed}}))


def test_the_largest_list() -> None:
    largest = bytes(MAX_LIST_BYTES - 1) + b"\x80"
    found = read(sign({"status_list": {"bits": 1, "lst": pack(largest)}}))
    assert status_at(found, MAX_LIST_BYTES * 8 - 1) == 1
    assert not is_list(sign({"status_list": {"bits": 1, "lst": pack(largest + b"\0")}}))


def test_a_list_that_unpacks_to_very_much_is_not_unpacked() -> None:
    packer = zlib.compressobj(9)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(64)) + packer.flush()
    assert len(bomb) < MAX_TOKEN_BYTES // 16
    assert not is_list(sign({"status_list": {"bits": 1, "lst": encode_base64url(bomb)}}))


def test_the_longest_token() -> None:
    room = (MAX_TOKEN_BYTES - len(sign({"more": ""}))) * 3 // 4
    longest, longer = (sign({"more": "x" * (room + more)}) for more in (0, 3))
    assert MAX_TOKEN_BYTES - 4 <= len(longest) <= MAX_TOKEN_BYTES < len(longer)
    assert is_list(longest)
    assert not is_list(longer)


# Nothing else is ever raised

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(st.text() | st.binary().map(lambda octets: f"{encode_base64url(octets)}." * 3))
def test_no_text_is_a_list_by_accident(text: str) -> None:
    assert not is_list(text)


@given(
    st.dictionaries(st.sampled_from(["sub", "iat", "exp", "ttl", "status_list"]), json_values),
    st.dictionaries(st.sampled_from(["alg", "kid", "typ"]), json_values, max_size=1),
)
def test_a_signed_list_is_read_or_refused(
    claims: dict[str, object], header: dict[str, object]
) -> None:
    is_list(sign(claims, header=header))


@given(st.integers(1, 8), st.binary(max_size=40))
def test_what_is_packed_is_read_or_refused(bits: int, packed: bytes) -> None:
    is_list(sign({"status_list": {"bits": bits, "lst": encode_base64url(packed)}}))


@given(json_values | st.fixed_dictionaries({"status_list": json_values}))
def test_a_status_is_read_or_refused(status: Json) -> None:
    try:
        found = read_status_reference({"status": status})
    except StatusListError:
        return
    assert found is not None


def test_an_old_list_without_an_end_is_refused() -> None:
    old = sign({"iat": NOW - MAX_LIFE_SECONDS - 1}, omit="exp")
    assert not is_list(old)
    assert is_list(sign({"iat": NOW - MAX_LIFE_SECONDS - 1}))
