"""The Token Status List of the idp, and claims that point into it.

Source: draft-ietf-oauth-status-list sections 4.1, 5.1 and 6.1.
"""

from __future__ import annotations

import json
import zlib

from scripts.vectors.cast import IDP, NOW
from tests.harness.issuer import encode_base64url

LIST_URI = f"{IDP.url}/status/1"
VALID, INVALID, SUSPENDED = range(3)
"""Places in the list; each has the value that it is."""
BEYOND = 4


def status(index: object, uri: str = LIST_URI) -> dict[str, object]:
    """The claim `status` of a token at this place."""
    return {"status_list": {"idx": index, "uri": uri}}


def status_list() -> str:
    """The signed list: two bits for each of four tokens."""
    octet = sum(value << (2 * value) for value in (VALID, INVALID, SUSPENDED))
    # Without compression, which need not give the same bytes in every version.
    packed = encode_base64url(zlib.compress(bytes((octet,)), level=0))
    claims = {
        "sub": LIST_URI,
        "iat": NOW - 60,
        "exp": NOW + 36000,
        "status_list": {"bits": 2, "lst": packed},
    }
    header = {**IDP.header(), "typ": "statuslist+jwt"}
    return IDP.sign(header, json.dumps(claims).encode())
