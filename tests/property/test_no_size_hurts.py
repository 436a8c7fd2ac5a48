"""Extremes that random values seldom reach: depth, length, number and digits, in every place."""

from __future__ import annotations

import json
from collections.abc import Mapping
from time import process_time

import pytest

from deputize.core.audit_event import build
from deputize.core.jws import MAX_TOKEN_BYTES
from deputize.core.model import AccessRequest
from deputize.core.reasons import Reason
from deputize.core.verdict import Decision, Effect
from tests.harness.characters import ODD_CHARACTERS
from tests.harness.dpop_client import ProofKey
from tests.harness.issuer import decode_base64url, encode_base64url, sign_bytes
from tests.harness.world import NOW, decide_now, make_request, make_snapshot, shared_issuer

ISSUER = shared_issuer()
WORLD = make_snapshot(ISSUER)
KEY = ProofKey()
GOOD = ISSUER.issue(now=NOW)
BOUND = ISSUER.issue(now=NOW, claims={"cnf": {"jkt": KEY.thumbprint}})
PLACES = (
    *("iss", "aud", "sub", "client_id", "jti", "iat", "exp", "nbf", "scope", "act", "cnf"),
    *("status", "groups", "may_act", "new"),
)
MAX_SECONDS = 1.0
MARK = "the value"

EXTREMES = {
    "arrays inside each other": "[" * 3000 + "]" * 3000,
    "objects inside each other": '{"act":' * 900 + "{}" + "}" * 900,
    "arrays never closed": "[" * 5000,
    "a long text": f'"{"a" * 6000}"',
    "many words": json.dumps("a " * 3000),
    "many backslashes": '"' + "\\\\" * 3000 + '"',
    "an open text with many quotes": '"' + '\\"' * 3000,
    "many members": json.dumps({f"m{number}": 0 for number in range(600)}),
    "many entries": json.dumps([0] * 2500),
    "one member many times": "{" + ",".join(['"sub":"a"'] * 500) + "}",
    "a float out of range": "1e999",
    "a float near the end": "1e308",
    "an integer that no parser takes": "9" * 5000,
    "the longest integer that is parsed": "9" * 4300,
    "a negative one": "-" + "9" * 4300,
    "many digits after the point": "0." + "3" * 5000,
    "a large exponent": "1e" + "9" * 5000,
    "a tiny float": "1e-" + "9" * 400,
    "every control character": json.dumps("".join(map(chr, range(32)))),
    "NUL": '"\\u0000"',
    "a pair of surrogates the wrong way": '"\\udc00\\ud800"',
    **{name: json.dumps(text) for name, text in ODD_CHARACTERS.items()},
}


def decide_in_time(request: AccessRequest) -> Decision:
    started = process_time()
    decision = decide_now(request, WORLD)
    event = build(request, decision, 1)
    assert process_time() - started < MAX_SECONDS
    assert decision.reason.family != "system"
    assert json.loads(json.dumps(event)) == event
    return decision


def with_value(members: Mapping[str, object], place: str, value: str) -> bytes:
    """The members as JSON, with text in one place that no JSON writer would write."""
    written = json.dumps({**members, place: MARK}).replace(json.dumps(MARK), value)
    return written.encode("utf-8", "surrogatepass")


def members_of(part: str) -> dict[str, object]:
    read: dict[str, object] = json.loads(decode_base64url(part))
    return read


HEADER, CLAIMS = (members_of(part) for part in GOOD.split(".")[:2])
each_extreme = pytest.mark.parametrize("value", EXTREMES.values(), ids=EXTREMES)


@each_extreme
def test_in_any_claim(value: str) -> None:
    header = json.dumps(HEADER).encode()
    for place in PLACES:
        for written in (value, f"[{value}]", f'{{"sub":{value}}}', f'{{"status_list":{value}}}'):
            token = ISSUER.sign_parts(header, with_value(CLAIMS, place, written))
            decide_in_time(make_request(token))
    assert decide_in_time(make_request(GOOD)).effect is Effect.ALLOW


@each_extreme
def test_in_any_header_member(value: str) -> None:
    payload = json.dumps(CLAIMS).encode()
    for place in ("alg", "kid", "typ", "x5t", "jwk", "crit", "new"):
        token = ISSUER.sign_parts(with_value(HEADER, place, value), payload)
        assert decide_in_time(make_request(token)).effect is Effect.DENY


def prove(header: bytes, claims: bytes) -> str:
    signing_input = f"{encode_base64url(header)}.{encode_base64url(claims)}"
    signature = sign_bytes(KEY.private_key, KEY.algorithm, signing_input.encode())
    return f"{signing_input}.{encode_base64url(signature)}"


@each_extreme
def test_in_any_member_of_a_proof(value: str) -> None:
    good = [decode_base64url(part) for part in KEY.prove(BOUND, now=NOW).split(".")[:2]]
    for changed in (0, 1):
        members: dict[str, object] = json.loads(good[changed])
        for place in (*members, "new"):
            parts = list(good)
            parts[changed] = with_value(members, place, value)
            headers = {"authorization": f"DPoP {BOUND}", "dpop": prove(parts[0], parts[1])}
            decide_in_time(make_request(headers=headers))


@each_extreme
def test_in_a_token_larger_than_any_header(value: str) -> None:
    claims = with_value(CLAIMS, "new", f'["{"a" * MAX_TOKEN_BYTES}",{value}]')
    token = ISSUER.sign_parts(json.dumps(HEADER).encode(), claims)
    assert decide_in_time(make_request(token)).reason is Reason.TOKEN_MALFORMED
