"""What the laws are tried with: tokens and requests, good, nearly good, and garbage."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache

from hypothesis import settings
from hypothesis import strategies as st

from deputize.core.model import AccessRequest
from tests.harness.issuer import nest_actors
from tests.harness.world import (
    AGENT,
    AUDIENCE,
    HOST,
    ISSUER_URL,
    NOW,
    OTHER_AGENT,
    PROXY,
    make_request,
    make_svid,
    shared_issuer,
)

LAW = settings(max_examples=120, deadline=None)
CHEAP_LAW = settings(max_examples=500, deadline=None)

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
