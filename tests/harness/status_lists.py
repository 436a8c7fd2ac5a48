"""The Token Status List of an issuer, in memory."""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.harness.issuer import Issuer, encode_base64url


@dataclass(slots=True)
class PublishedStatuses:
    """One list at `uri`, a bit for each token; `claims` replace those of its token."""

    issuer: Issuer
    uri: str
    octets: bytearray = field(default_factory=lambda: bytearray(16))
    claims: dict[str, object] = field(default_factory=dict)

    def claim(self, index: int) -> Mapping[str, object]:
        """The `status` of a token, to be put into its claims."""
        return {"status": {"status_list": {"idx": index, "uri": self.uri}}}

    def revoke(self, index: int) -> None:
        """Its token is invalid from now on."""
        self.octets[index // 8] |= 1 << index % 8

    def restore(self, index: int) -> None:
        """Its token is valid again."""
        self.octets[index // 8] &= ~(1 << index % 8)

    def token(self) -> bytes:
        """The Status List Token, signed now with the issuer's current key."""
        packed = encode_base64url(zlib.compress(bytes(self.octets)))
        payload = {
            "sub": self.uri,
            "iat": int(time.time()),
            "status_list": {"bits": 1, "lst": packed},
            **self.claims,
        }
        header = {**self.issuer.header(), "typ": "statuslist+jwt"}
        return self.issuer.sign(header, json.dumps(payload).encode()).encode()
