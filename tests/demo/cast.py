"""The names in the story."""

from __future__ import annotations

ISSUER = "https://idp.example.org"
AUDIENCE = "orders"
HOST = "orders.example"
TRUST_DOMAIN = "prod.example.org"

AGENTS = {
    "research": f"spiffe://{TRUST_DOMAIN}/ns/agents/sa/research",
    "planner": f"spiffe://{TRUST_DOMAIN}/ns/agents/sa/planner",
    "inbox": f"spiffe://{TRUST_DOMAIN}/ns/agents/sa/inbox",
    "stranger": "spiffe://test.example.net/ns/agents/sa/research",
}
"""The agents by SPIFFE ID. The stranger's certificate is good, but of a foreign trust domain."""

MAX_CHAIN_DEPTH = 2
"""How often a mandate may be handed on in the story."""
