"""What the laws are tried with: small alphabets, so that rules and requests often meet."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping
from functools import cache
from random import Random

from hypothesis import settings
from hypothesis import strategies as st

from deputize.core.matching import PrincipalPattern
from deputize.core.model import (
    AccessRequest,
    Action,
    Actor,
    Delegation,
    DelegationStyle,
    Json,
    Kind,
    Principal,
    Scope,
)
from deputize.core.paths import parse_path
from deputize.core.policy import evaluate
from deputize.core.rules import Rule
from deputize.core.policy_index import PolicyIndex
from deputize.core.reasons import Reason
from deputize.core.spiffe import parse_spiffe_id
from deputize.core.verdict import Denied, Effect
from tests.harness.issuer import nest_actors
from tests.harness.world import (
    AGENT,
    AUDIENCE,
    HOST,
    ISSUER_URL,
    NOW,
    OTHER_AGENT,
    PROXY,
    make_principal,
    make_request,
    make_rule,
    make_svid,
    shared_issuer,
)
from tests.model.reference_pdp import Answer

LAW = settings(max_examples=120, deadline=None)
CHEAP_LAW = settings(max_examples=500, deadline=None)

# Policies and calls over a small alphabet, drawn from a large pool that is always the same

ISSUERS = ("https://one.example", "https://two.example")
SCOPES = ("read", "write")
GROUPS = ("sales", "staff")
_CLAIM_VALUES: Mapping[str, tuple[Json, ...]] = {
    "groups": ("sales", "staff", ["sales"], ["staff", "sales"], [], None),
    "level": (1, 2, True, None, ["1", 2], {"1": 1}),
}
_random = Random(20240229)  # noqa: S311 - a fixed pool of examples


def _some(*values: str, most: int = 2) -> list[str]:
    return _random.sample(values, _random.randint(1, most))


def _pick(*values: str) -> str:
    return _random.choice(values)


def _path_pattern() -> str:
    names = itertools.count()
    segments = (_pick("a", "b", "{}") for _ in range(_random.randint(0, 2)))
    named = [f"{{p{next(names)}}}" if segment == "{}" else segment for segment in segments]
    end = _pick("", "", "/", "/**", "/**") if named else _pick("/", "/**")
    return "".join(f"/{segment}" for segment in named) + end


def _agent_pattern() -> str:
    domain = _pick("spiffe://td", "spiffe://td", "spiffe://td2")
    segments = [_pick("x", "y", "*") for _ in range(_random.randint(0, 2))]
    end = _pick("", "/**") if segments else "/**"
    return "/".join((domain, *segments)) + end


def _principal() -> PrincipalPattern:
    claims = {
        name: _some(*GROUPS, "1", "true", most=3)
        for name in _some("groups", "level")
        if _random.random() < 1 / 3
    }
    subjects = _some("alice", "bob") if _random.random() < 1 / 3 else []
    return make_principal(_pick(*ISSUERS), subjects=subjects, claims=claims)


def _rule(number: int, effect: str) -> Rule:
    is_allow = effect == "allow"
    return make_rule(
        f"p{number % 7}/{effect}{number}",
        effect=effect,
        agents=[_agent_pattern() for _ in range(_random.randint(1, 2))],
        principals=[_principal() for _ in range(_random.randint(1, 3))],
        hosts=_some("a.t", "b.t", "*.t", "*"),
        methods=_some("GET", "POST", "*"),
        paths=[_path_pattern() for _ in range(_random.randint(1, 4))],
        scopes=_random.sample(SCOPES, _random.randint(0, 2)) if is_allow else (),
        max_depth=_random.choice((None, None, 1, 2)) if is_allow else None,
    )


def _delegation() -> Delegation:
    path = [_pick("x", "y") for _ in range(_random.randint(1, 3))]
    agent = parse_spiffe_id("/".join((_pick("spiffe://td", "spiffe://td", "spiffe://td2"), *path)))
    claims = {
        name: _random.choice(values)
        for name, values in _CLAIM_VALUES.items()
        if _random.random() < 2 / 3
    }
    earlier = [
        Actor(f"earlier-{number}", "", Kind.UNKNOWN) for number in range(_random.randint(0, 2))
    ]
    scopes = _random.sample(SCOPES, _random.randint(0, 2))
    return Delegation(
        Principal(_pick(*ISSUERS), _pick("alice", "bob"), Kind.USER, claims),
        agent,
        (Actor(agent.text, "", Kind.AGENT), *earlier),
        frozenset(Scope(scope) for scope in scopes),
        DelegationStyle.DELEGATED,
    )


def _action() -> Action:
    segments = [_pick("a", "b", "a", "b", "c", "*") for _ in range(_random.randint(0, 3))]
    path = "/" + "/".join(segments) + (_pick("", "", "/") if segments else "")
    host = _pick("a.t", "b.t", "a.t", "c.t", "a.b.t", "t")
    return Action(_pick("GET", "GET", "POST", "PUT"), host, parse_path(path))


allow_rules = st.sampled_from([_rule(number, "allow") for number in range(1500)])
forbid_rules = st.sampled_from([_rule(number, "forbid") for number in range(500)])
_any_rule = allow_rules | allow_rules | allow_rules | forbid_rules
policies = st.one_of(
    st.lists(_any_rule, max_size=6, unique_by=lambda rule: rule.ref),
    st.lists(_any_rule, min_size=10, max_size=40, unique_by=lambda rule: rule.ref),
    st.lists(allow_rules, min_size=10, max_size=40, unique_by=lambda rule: rule.ref),
)
delegations = st.sampled_from([_delegation() for _ in range(500)])
actions = st.sampled_from([_action() for _ in range(500)])


def answer(delegation: Delegation, action: Action, rules: Iterable[Rule]) -> Answer:
    """What the real evaluation says, in the form of the reference."""
    try:
        grant = evaluate(delegation, action, PolicyIndex(rules))
    except Denied as denied:
        return Answer(Effect.DENY, denied.denial.reason, denied.denial.rule)
    return Answer(Effect.ALLOW, Reason.POLICY_ALLOWED, grant.rule, grant.scopes)


# Tokens and requests, good, nearly good, and garbage

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.text(alphabet=st.characters(categories=["Cs", "Cc", "Cf"]), max_size=3)
    | st.sampled_from(["", AGENT, OTHER_AGENT, ISSUER_URL, AUDIENCE, "orders:read", NOW, NOW + 60]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["sub", "iss", "act"]) | st.text(), inner, max_size=3)
    ),
    max_leaves=5,
)
_claim_names = st.sampled_from(
    ["iss", "aud", "sub", "client_id", "jti", "iat", "exp", "nbf", "scope", "act", "groups", "cnf",
     "status", "nonce"]
)  # fmt: skip
_chains = st.lists(st.sampled_from([AGENT, OTHER_AGENT, "earlier", "", "a\n"]), max_size=6)


@cache
def good_token() -> str:
    """A token that lets the default call in; always the same one."""
    return shared_issuer().issue(now=NOW)


@st.composite
def odd_tokens(draw: st.DrawFn) -> str:
    """Tokens with a good signature over claims of which some are odd."""
    return shared_issuer().issue(
        now=NOW + draw(st.sampled_from([0, 0, 0, -300, 300])),
        claims={
            "jti": "always the same",
            **draw(st.dictionaries(_claim_names | st.text(), json_values, max_size=2)),
            **({"act": nest_actors(AGENT, *draw(_chains))} if draw(st.booleans()) else {}),
        },
        omit=draw(st.sets(_claim_names, max_size=1)),
        header=draw(
            st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit"]), json_values, max_size=1)
        ),
    )


@st.composite
def signed_garbage(draw: st.DrawFn) -> str:
    """Tokens with a good signature over any header and any payload."""
    issuer = shared_issuer()
    payload = draw(st.binary() | st.builds(lambda value: json.dumps(value).encode(), json_values))
    header = draw(st.binary() | st.just(json.dumps(issuer.header()).encode()))
    return issuer.sign_parts(header, payload)


@st.composite
def damaged_tokens(draw: st.DrawFn) -> str:
    """Good tokens with a piece replaced."""
    token = good_token()
    start = draw(st.integers(0, len(token)))
    end = draw(st.integers(start, min(len(token), start + 4)))
    piece = draw(st.text(max_size=4) | st.text(alphabet="AZaz09-_.=", max_size=4))
    return token[:start] + piece + token[end:]


tokens = st.one_of(
    odd_tokens(),
    odd_tokens(),
    signed_garbage(),
    damaged_tokens(),
    st.builds(good_token),
    st.text(),
)

_path_pieces = st.sampled_from(
    ["/", "/", "a", "v1", "orders", ".", "..", "%", "%2", "%2e", "%2F", "%25", "25", "2e", "41",
     "%41", "%5c", "\\", ";", "?", "#", "%3f", "%00", "%c3%a9", "%c3", "%c0%af", "%ef%bc%8f", " ",
     "%20", "\u00e9", "@", ":", "*", "%2A", "u002e", "\n"]
)  # fmt: skip
odd_paths = st.builds(lambda pieces: "/" + "".join(pieces), st.lists(_path_pieces, max_size=8))


_odd_fields: Mapping[str, st.SearchStrategy[object]] = {
    "token": st.none() | tokens,
    "method": st.sampled_from(["", "POST", "get"]) | st.text(),
    "host": st.sampled_from(["", f"{HOST}:443", "[::1]", "-"]) | st.text(),
    "path": odd_paths | st.text(),
    "headers": st.dictionaries(
        st.text()
        | st.sampled_from(
            [
                "authorization",
                "dpop",
                "host",
                ":path",
                "x-original-url",
                "x-request-id",
                "traceparent",
                "x-forwarded-client-cert",
            ]
        ),
        st.text() | st.builds(good_token),
        max_size=2,
    ),
    "peer": st.sampled_from(["", OTHER_AGENT, "spiffe://"]) | st.text(),
    "certificate": st.sampled_from([make_svid(), make_svid(uris=()), "%ff"]) | st.text(),
    "metadata": st.dictionaries(st.sampled_from(["peer"]) | st.text(), json_values, max_size=2),
    "is_internal": st.booleans(),
    "scheme": st.sampled_from(["", "http", "HTTPS"]) | st.text(),
    "proxies": st.lists(st.sampled_from([PROXY, AGENT]) | st.text(), max_size=2).map(tuple),
    "defect": st.text(),
    "is_http": st.booleans(),
    "decision_id": st.text(),
}


@st.composite
def requests(draw: st.DrawFn) -> AccessRequest:
    """A good request in which up to three fields are odd."""
    names = draw(st.sets(st.sampled_from(sorted(_odd_fields)), max_size=3))
    good: dict[str, object] = {"token": good_token()}
    odd = {name: draw(_odd_fields[name]) for name in sorted(names)}
    return make_request(**(good | odd))  # type: ignore[arg-type]  # each field has its own strategy
