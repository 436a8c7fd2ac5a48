"""The story as data: who calls with which token, and what must come of it."""

from __future__ import annotations

from deputize.core.reasons import Reason
from tests.demo.scene import ALICE, PLACE, READ, Act, Scene, tool_call
from tests.demo.tokens import (
    READ_SCOPE,
    WRITE_SCOPE,
    forged,
    of_unknown_issuer,
    token,
    unsigned,
    without_agent,
)
from tests.harness.calls import Call

FREEZE = """
    # An incident: the research agent does nothing until it is understood.
    - name: freeze-research
      effect: forbid
      agents: [spiffe://prod.example.org/ns/agents/sa/research]
      onBehalfOf: [{issuer: https://idp.example.org, anyone: true}]
      hosts: ["*"]
      methods: ["*"]
      paths: ["/**"]
"""

STORY = (
    Act(
        "As it should be",
        (
            Scene(
                "research reads an order for alice",
                200,
                Reason.POLICY_ALLOWED,
                principal="alice",
            ),
            Scene(
                "the same agent reads it for bob",
                200,
                Reason.POLICY_ALLOWED,
                tokens=(token("bob"),),
                principal="bob",
            ),
            Scene(
                "planner places an order for alice",
                200,
                Reason.POLICY_ALLOWED,
                PLACE,
                "planner",
                tokens=(token("alice", "planner", scope=WRITE_SCOPE),),
                principal="alice",
            ),
            Scene(
                "planner passed on alice's mandate",
                200,
                Reason.POLICY_ALLOWED,
                tokens=(token("alice", through=("planner",)),),
                principal="alice",
            ),
            Scene(
                "made-up identity headers are removed",
                200,
                Reason.POLICY_ALLOWED,
                Call(
                    "GET",
                    "/v1/orders/17",
                    (
                        ("X-Deputize-Principal", "root"),
                        ("x_deputize_principal", "root"),
                        ("X-Deputize.Agent", "root"),
                    ),
                ),
                principal="alice",
            ),
        ),
    ),
    Act(
        "1  Who are you?",
        (
            Scene(
                "a workload of another trust domain",
                403,
                Reason.PEER_UNTRUSTED_DOMAIN,
                READ,
                "stranger",
                tokens=(token("alice", "stranger"),),
            ),
        ),
    ),
    Act(
        "2  Whom do you represent?",
        (
            Scene(
                "no token at all",
                401,
                Reason.TOKEN_MISSING,
                tokens=(),
                challenge='Bearer realm="deputize"',
            ),
            Scene(
                "an expired token",
                401,
                Reason.TOKEN_EXPIRED,
                tokens=(token("alice", age=3600),),
                challenge='error="invalid_token"',
            ),
            Scene(
                "a forgery with the right key id",
                401,
                Reason.TOKEN_BAD_SIGNATURE,
                tokens=(forged,),
                challenge='error="invalid_token"',
            ),
            Scene(
                "a token of an unknown issuer",
                401,
                Reason.TOKEN_UNKNOWN_ISSUER,
                tokens=(of_unknown_issuer,),
            ),
            Scene(
                "a token for another API",
                401,
                Reason.TOKEN_WRONG_AUDIENCE,
                tokens=(token("alice", audience="payroll"),),
            ),
            Scene(
                "an unsigned token (alg: none)",
                401,
                Reason.TOKEN_MALFORMED,
                tokens=(unsigned,),
            ),
            Scene(
                "a token that names another algorithm",
                401,
                Reason.TOKEN_ALGORITHM_REFUSED,
                tokens=(token("alice", algorithm="HS256"),),
            ),
        ),
    ),
    Act(
        "3  Show the mandate",
        (
            Scene(
                "planner stole the token of research",
                403,
                Reason.DELEGATION_ACTOR_MISMATCH,
                READ,
                "planner",
            ),
            Scene(
                "alice's own token names no agent",
                403,
                Reason.DELEGATION_ABSENT,
                tokens=(without_agent,),
            ),
            Scene(
                "a mandate handed on once too often",
                403,
                Reason.DELEGATION_TOO_DEEP,
                tokens=(token("alice", through=("planner", "inbox")),),
            ),
        ),
    ),
    Act(
        "4  Is it good for this case?",
        (
            Scene(
                "alice gave no scope for reading",
                403,
                Reason.POLICY_INSUFFICIENT_SCOPE,
                tokens=(token("alice", scope=WRITE_SCOPE),),
                challenge=f'scope="{READ_SCOPE}"',
            ),
            Scene(
                "planner places an order for bob",
                403,
                Reason.POLICY_NO_MATCH,
                PLACE,
                "planner",
                tokens=(token("bob", "planner", scope=WRITE_SCOPE),),
            ),
            Scene(
                "a route that no rule grants",
                403,
                Reason.POLICY_NO_MATCH,
                Call("GET", "/v1/customers/7"),
            ),
            Scene(
                "a route that a rule forbids",
                403,
                Reason.POLICY_FORBIDDEN,
                Call("GET", "/v1/orders/export"),
            ),
        ),
    ),
    Act(
        "Requests with more than one reading",
        (
            Scene(
                "an encoded slash",
                400,
                Reason.REQUEST_AMBIGUOUS_PATH,
                Call("GET", "/v1/orders/..%2fadmin"),
            ),
            Scene(
                "an empty path segment",
                400,
                Reason.REQUEST_AMBIGUOUS_PATH,
                Call("GET", "//admin"),
            ),
            Scene(
                "two tokens in one request",
                400,
                Reason.REQUEST_DUPLICATE_CREDENTIAL,
                tokens=(*ALICE, token("bob")),
                challenge='error="invalid_request"',
            ),
            Scene(
                "a header that overrides the method",
                400,
                Reason.REQUEST_OVERRIDE_HEADER,
                Call("GET", "/v1/orders/17", (("X-HTTP-Method-Override", "DELETE"),)),
            ),
        ),
    ),
    Act(
        "Tools of an MCP server, all behind one path",
        (
            Scene(
                "the tool find_order",
                200,
                Reason.POLICY_ALLOWED,
                tool_call("find_order"),
                principal="alice",
            ),
            Scene(
                "the tool refund_order, not granted",
                403,
                Reason.POLICY_NO_MATCH,
                tool_call("refund_order"),
            ),
            Scene(
                "cancel_order needs an approval",
                403,
                Reason.POLICY_APPROVAL_REQUIRED,
                tool_call("cancel_order"),
            ),
            Scene(
                "that very call, approved by carol",
                200,
                Reason.POLICY_ALLOWED,
                tool_call("cancel_order"),
                principal="alice",
                is_approved=True,
            ),
        ),
    ),
    Act(
        "The policy file is edited while calls come in",
        (
            Scene(
                "call 1 again, now a rule forbids it",
                403,
                Reason.POLICY_FORBIDDEN,
                added_rules=FREEZE,
            ),
            Scene(
                "call 1 again, the rule is gone",
                200,
                Reason.POLICY_ALLOWED,
                principal="alice",
                added_rules="",
            ),
        ),
    ),
)
SCENES = tuple(scene for act in STORY for scene in act.scenes)
