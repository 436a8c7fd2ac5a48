"""The rules that the path cases are decided under, for the core and as a policy file.

Orders may be read by id, and nothing of `/admin` may be touched, on any host. On `FILES` all else
may be read, on `BELOW` all orders, and on any one label below `SHOPS` orders by id.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import yaml

from deputize.core.rules import Rule
from tests.harness.world import AGENT, HOST, ISSUER_URL, TRUST_DOMAIN, make_rule

FILES = "files.example"
BELOW = "below.example"
SHOPS = "shops.example"
GRPC_METHOD = "/shop.Orders/Get"


@dataclass(frozen=True, slots=True)
class _Row:
    name: str
    hosts: Sequence[str]
    methods: Sequence[str]
    paths: Sequence[str]
    is_allow: bool = True

    @property
    def effect(self) -> str:
        return "allow" if self.is_allow else "forbid"

    @property
    def agent(self) -> str:
        return AGENT if self.is_allow else f"spiffe://{TRUST_DOMAIN}/**"


_ROWS = (
    _Row("order", [HOST, f"*.{SHOPS}"], ["GET"], ["/v1/orders/{id}"]),
    _Row("below", [BELOW], ["GET"], ["/v1/orders/**"]),
    _Row("files", [FILES], ["GET"], ["/**"]),
    _Row("rpc", [HOST], ["POST"], [GRPC_METHOD, "/message:send", "/tasks/1:cancel"]),
    _Row("admin", ["*"], ["*"], ["/admin/**"], is_allow=False),
)


def path_rules() -> list[Rule]:
    """For the core."""
    return [
        make_rule(
            f"paths/{row.name}",
            effect=row.effect,
            agents=[row.agent],
            hosts=row.hosts,
            methods=row.methods,
            paths=row.paths,
            scopes=(),
            upstream_facts=(),
        )
        for row in _ROWS
    ]


def path_policy() -> str:
    """The same, as the text of a policy file."""
    rules = [
        {
            "name": row.name,
            "effect": row.effect,
            "agents": [row.agent],
            "onBehalfOf": [{"issuer": ISSUER_URL, "anyone": True}],
            "hosts": list(row.hosts),
            "methods": list(row.methods),
            "paths": list(row.paths),
            **({"scopes": []} if row.is_allow else {}),
        }
        for row in _ROWS
    ]
    document = {
        "apiVersion": "deputize.dev/v1alpha1",
        "kind": "DelegationPolicy",
        "metadata": {"name": "paths"},
        "spec": {"rules": rules},
    }
    return yaml.safe_dump(document, sort_keys=False)
