"""Where each target starts: inputs that are good, and those that other tests are about."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml
from google.protobuf import json_format

from deputize.core.keys import Algorithm
from deputize.core.model import Json
from tests.fuzz.worlds import (
    BOUND_TOKEN,
    GOOD_TOKEN,
    ISSUER,
    JWK,
    LIST_HEADER,
    PROOF_CLAIMS,
    PROOF_HEADER,
    STATUS_URI,
    STATUS_VALUES,
    THUMBPRINT,
    join,
    list_claims,
)
from tests.harness.certificates import make_authority, make_bundle
from tests.harness.check_message import make_check
from tests.harness.issuer_shapes import SHAPES, token_parts
from tests.harness.vector_files import WORLD, read_vector, vector_files
from tests.harness.world import (
    AGENT,
    ISSUER_URL,
    NOW,
    OTHER_AGENT,
    PROXY,
    TRUST_DOMAIN,
    shared_issuer,
)

_EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"
_STATUS: dict[str, Json] = {"status_list": {"idx": 3, "uri": STATUS_URI}}


def compact_seeds() -> Iterator[bytes]:
    """The two good tokens, one with the signature of the other, every credential of the vectors."""
    yield GOOD_TOKEN.encode()
    yield BOUND_TOKEN.encode()
    yield f"{GOOD_TOKEN.rpartition('.')[0]}.{BOUND_TOKEN.rpartition('.')[2]}".encode()
    for headers in _vector_headers():
        yield headers.get("authorization", "").removeprefix("Bearer ").encode("utf-8", "replace")


def token_seeds() -> Iterator[bytes]:
    """The good token of each issuer, all cases beside it, and one handed on to another agent."""
    for number, shape in enumerate(SHAPES):
        for case in (None, *shape.cases):
            yield _token(number, *token_parts(shape, case))
        header, claims = token_parts(shape)
        yield _token(number, header, {**claims, "cnf": {"jkt": THUMBPRINT}})
        yield _token(number, header, {**claims, "status": _STATUS, "nbf": NOW})
        for name in (OTHER_AGENT, *shape.exact):
            act: dict[str, Json] = {"sub": name, "client_id": name, "act": claims.get("act", {})}
            yield _token(number, header, {**claims, "act": act})


def _token(number: int, header: Mapping[str, Json], claims: Mapping[str, Json]) -> bytes:
    # A readable byte that stands for the issuer, and is never the divider.
    first = next(byte for byte in range(0x30, 0x7F) if byte % len(SHAPES) == number)
    return bytes([first]) + join({"alg": "Ed25519", "kid": "k1", **header}, claims)


def proof_seeds() -> Iterator[bytes]:
    """A good proof, and proofs with one thing off."""
    yield join(PROOF_HEADER, PROOF_CLAIMS)
    for name in PROOF_CLAIMS:
        yield join(PROOF_HEADER, {**PROOF_CLAIMS, name: None})
    yield join({**PROOF_HEADER, "kid": "k1"}, PROOF_CLAIMS)
    yield join({**PROOF_HEADER, "jwk": {**JWK, "x": JWK["x"].swapcase()}}, PROOF_CLAIMS)
    for url in ("HTTPS://ORDERS.example:443/v1/orders/7", "https://u@orders.example/v1/orders/7?x"):
        yield join(PROOF_HEADER, {**PROOF_CLAIMS, "htu": url})


def status_list_seeds() -> Iterator[bytes]:
    """Lists of each width, and one that unpacks to more than is allowed."""
    yield join(LIST_HEADER, list_claims())
    for bits in (1, 2, 4, 8):
        yield join(LIST_HEADER, list_claims(bits, ttl=60), zlib.compress(STATUS_VALUES))
    yield join(LIST_HEADER, list_claims(exp=NOW + 60), zlib.compress(bytes(9 * 1024 * 1024)))
    yield join(LIST_HEADER, list_claims(), zlib.compress(b"") + b"more")


def xfcc_seeds() -> Iterator[bytes]:
    """The waypoint's form, and forms that Envoy itself writes."""
    good = f"By={PROXY};URI={AGENT}"
    yield good.encode()
    yield f"By={PROXY};URI=-".encode()
    yield f"{good},{good}".encode()
    yield f'By={PROXY};Hash=00;Subject="CN=x";URI={OTHER_AGENT}'.encode()
    for headers in _vector_headers():
        if value := headers.get("x-forwarded-client-cert"):
            yield value.encode()


def jwks_seeds() -> Iterator[bytes]:
    """Key sets: one of every algorithm, and those of the vectors."""
    keys = [json.loads(shared_issuer(name).jwks())["keys"][0] | {"kid": name} for name in Algorithm]
    yield json.dumps({"keys": keys}).encode()
    for file in sorted((WORLD / "keys").glob("*.json")):
        yield file.read_bytes()


def bundle_seeds() -> Iterator[bytes]:
    """Bundles with one authority, two, and none."""
    one, other = make_authority("one"), make_authority("two", uris=[f"spiffe://{TRUST_DOMAIN}"])
    for authorities in ((one,), (one, other), ()):
        yield make_bundle(*authorities)


def config_seeds() -> Iterator[bytes]:
    """The configurations and policies of the vectors and of the examples."""
    for folder in (WORLD, _EXAMPLES):
        for file in sorted(folder.rglob("*.yaml")):
            yield file.read_bytes()


def deny_list_seeds() -> Iterator[bytes]:
    """A list with an entry of each kind, an empty one, and both spellings of a document."""
    head = {"apiVersion": "deputize.dev/v1alpha1", "kind": "DenyList"}
    spec = {
        "agents": [AGENT],
        "tokens": [{"issuer": ISSUER_URL, "id": "token-1"}],
        "principals": [{"issuer": ISSUER_URL, "subject": "alice"}],
        "issuers": ["https://closed.example"],
        "issuedBefore": [
            {"issuer": ISSUER_URL, "time": "2027-01-15T08:00:00Z"},
            {"issuer": ISSUER_URL, "subject": "bob", "time": "2027-01-15T08:00:00.5+02:00"},
            {"agent": OTHER_AGENT, "time": "0001-01-01T00:00:00+23:59"},
        ],
    }
    for document in ({**head, "spec": spec}, {**head, "spec": {}}):
        yield json.dumps(document).encode()
        yield yaml.safe_dump(document).encode()


def check_seeds() -> Iterator[bytes]:
    """Requests in the JSON form of protobuf: with the good tokens, and those of the vectors."""
    proof = ISSUER.sign_parts(*join(PROOF_HEADER, PROOF_CLAIMS).split(b"\0"))
    for headers in ({}, {"x-request-id": "1", "traceparent": "00-0-0-00"}):
        yield json_format.MessageToJson(make_check(GOOD_TOKEN, headers=headers)).encode()
    bound = {"authorization": f"DPoP {BOUND_TOKEN}", "dpop": proof}
    yield json_format.MessageToJson(make_check(headers=bound)).encode()
    yield make_check(GOOD_TOKEN).SerializeToString()
    for file in vector_files():
        yield json.dumps(dict(read_vector(file).request)).encode()


def _vector_headers() -> Iterator[dict[str, str]]:
    for file in vector_files():
        request = json.loads(file.read_text())["request"]
        headers = request.get("attributes", {}).get("request", {}).get("http", {}).get("headers")
        if isinstance(headers, dict):
            yield headers
