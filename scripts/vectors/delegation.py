"""Tokens that are good, but no mandate of this peer's."""

from __future__ import annotations

from deputize.core.reasons import Reason
from scripts.vectors.cast import DOMAIN, IDP, IDP_URL, OPERATOR, PLANNER, RESEARCH, issue
from scripts.vectors.rows import Row, check, group


def _act(name: str, title: str, act: object) -> Row:
    return f"act-{name}", title, check(issue(act=act))


def _chain(name: str, title: str, *actors: str) -> Row:
    return f"chain-{name}", title, check(issue(IDP, *actors))


def _agents(count: int) -> list[str]:
    return [RESEARCH, *(f"{DOMAIN}/ns/agents/sa/agent-{n}" for n in range(1, count))]


VECTORS = (
    *group(
        Reason.DELEGATION_ABSENT,
        "RFC 8693 sections 1.1, 4.1 and 4.4",
        ("act-absent", "no act: impersonation", check(issue(omit=("act",)))),
        (
            "act-absent-peer-is-client",
            "no act, but the peer is the client",
            check(issue(omit=("act",), client_id=RESEARCH, azp=RESEARCH)),
        ),
        (
            "act-absent-may-act",
            "who may act is not who acts",
            check(issue(omit=("act",), may_act={"sub": RESEARCH})),
        ),
        ("act-is-principal", "the principal acts for itself", check(issue(sub=RESEARCH))),
        importance="critical",
    ),
    *group(
        Reason.DELEGATION_MALFORMED,
        "RFC 8693 section 4.1",
        _act("text", "act as text", RESEARCH),
        _act("null", "act that is null", None),
        _act("list", "act as a list", [{"sub": RESEARCH}]),
        _act("sub-absent", "act without sub", {"client_id": RESEARCH}),
        _act("sub-control", "a line end behind act.sub", {"sub": f"{RESEARCH}\n"}),
        _act("sub-empty", "act.sub that is empty", {"sub": ""}),
        _act("sub-list", "act.sub as a list", {"sub": [RESEARCH]}),
        _act(
            "client-profile",
            "act says what kind of client the agent is",
            {"sub": RESEARCH, "client_profile": "ai_agent"},
        ),
        _act("nested-text", "an earlier actor as text", {"sub": RESEARCH, "act": PLANNER}),
    ),
    *group(
        Reason.DELEGATION_ACTOR_UNMAPPED,
        "SPIFFE-ID section 2; RFC 8693 section 4.1",
        _act("client", "a client's name", {"sub": "research-client"}),
        _act("dot-segment", "an ID with a dot segment", {"sub": f"{DOMAIN}/ns/x/../sa/research"}),
        _act("domain-alone", "an ID without a path", {"sub": DOMAIN}),
        _act(
            "service-account", "a Kubernetes name", {"sub": "system:serviceaccount:agents:research"}
        ),
    ),
    *group(
        Reason.DELEGATION_ACTOR_MISMATCH,
        "RFC 8693 section 4.1",
        _chain("other-agent", "a token given to another agent", PLANNER),
        _chain(
            "earlier-actor",
            "the peer acted earlier, and replays the later token",
            PLANNER,
            RESEARCH,
        ),
        _chain(
            "other-domain",
            "the same agent in another trust domain",
            RESEARCH.replace("prod", "test"),
        ),
        _chain("longer", "the peer's name and more", f"{RESEARCH}-2"),
        (
            "chain-inverted",
            "the first actor outside, the current one inside",
            check(issue(IDP, OPERATOR, PLANNER, RESEARCH)),
        ),
        (
            "act-not-peer-but-client",
            "the peer is the client, another agent acts",
            check(issue(IDP, PLANNER, client_id=RESEARCH)),
        ),
        (
            "act-not-peer-but-principal",
            "the peer is the principal, another agent acts",
            check(issue(IDP, PLANNER, sub=RESEARCH)),
        ),
        _chain(
            "spliced",
            "an actor of another flow before the peer's own chain",
            OPERATOR,
            RESEARCH,
            PLANNER,
        ),
        importance="critical",
    ),
    *group(
        Reason.DELEGATION_ACTOR_MISMATCH,
        "RFC 8693 section 4.1; own: a name is unique below its issuer only",
        _act(
            "foreign-issuer",
            "the peer's name, given by somebody else",
            {"sub": RESEARCH, "iss": "https://partner.example/"},
        ),
        _act(
            "issuer-slash",
            "the token's issuer spelled otherwise",
            {"sub": RESEARCH, "iss": f"{IDP_URL}/"},
        ),
        importance="critical",
    ),
    *group(
        Reason.DELEGATION_TOO_DEEP,
        "own; bounded chains (`delegation.maxChainDepth`)",
        _chain("five-hops", "one hop more than allowed", *_agents(5)),
    ),
    *group(
        Reason.DELEGATION_CYCLE,
        "own; RFC 8693 section 4.1",
        _chain("cycle", "the current actor acted before", RESEARCH, PLANNER, RESEARCH),
        _chain("cycle-inside", "an earlier actor stands twice", RESEARCH, PLANNER, PLANNER),
    ),
)
