# ruff: noqa: INP001 - a program beside manifests, no package
"""The issuer of the walkthrough: a key, and tokens by which somebody lets an agent act.

    python issuer.py keys                                  writes issuer.pem and jwks.json
    python issuer.py token alice research orders:read      prints a token, good for an hour

A real issuer asks the person first, and gives tokens by token exchange (RFC 8693). This one gives
anything to whoever holds its key: use it on no cluster that matters.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import uuid
from pathlib import Path

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

ISSUER = "https://idp.example.com"
AUDIENCE = "store"
KEY_FILE = Path("issuer.pem")
JWKS_FILE = Path("jwks.json")
LIFETIME_SECONDS = 3600


def main() -> None:
    """Does what the command line says."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("keys", help="make a key, and the key set that deputize reads")
    token = commands.add_parser("token", help="print a token")
    token.add_argument("subject", help="on whose behalf")
    token.add_argument("agent", help="the service account of the agent that may act")
    token.add_argument("scope", help="what it may do")
    token.add_argument("through", nargs="*", help="agents that passed it on, the last one first")
    given = parser.parse_args()
    if given.command == "keys":
        write_keys()
    else:
        sys.stdout.write(issue(given.subject, given.agent, given.scope, given.through) + "\n")


def write_keys(folder: Path = Path()) -> None:
    """Makes a new key; tokens of an earlier one are worth nothing then."""
    key = ec.generate_private_key(ec.SECP256R1())
    (folder / KEY_FILE).touch(mode=0o600)
    (folder / KEY_FILE).write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    public = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    entry = {**public, "kid": "walkthrough", "alg": "ES256", "use": "sig"}
    (folder / JWKS_FILE).write_text(json.dumps({"keys": [entry]}, indent=2) + "\n")


def issue(
    subject: str, agent: str, scope: str, through: list[str] | None = None, folder: Path = Path()
) -> str:
    """A token in the form of RFC 9068, with `act` as in RFC 8693."""
    now = int(time.time())
    actor: dict[str, object] = {}
    for name in reversed([agent, *(through or [])]):
        actor = {"sub": spiffe_id(name), **({"act": actor} if actor else {})}
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": subject,
        "client_id": spiffe_id(agent),
        "scope": scope,
        "act": actor,
        "jti": str(uuid.uuid4()),
        "iat": now,
        "exp": now + LIFETIME_SECONDS,
    }
    key = (folder / KEY_FILE).read_bytes()
    return jwt.encode(claims, key, "ES256", {"kid": "walkthrough", "typ": "at+jwt"})


def spiffe_id(agent: str) -> str:
    """The name that the mesh gives the service account."""
    return f"spiffe://cluster.local/ns/agents/sa/{agent}"


if __name__ == "__main__":
    main()
