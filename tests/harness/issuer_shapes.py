"""How real issuers write their tokens: for each a good one, and others that are like it.

The values are made up; names, types and nesting are those of the sources that the profile of the
issuer lists. A case changes one thing in the good token and says what must come of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from deputize.core.model import DelegationStyle, Json
from deputize.core.reasons import Reason

ISSUED_AT = 1_800_000_000
AGENT = "spiffe://prod.example.org/ns/agents/sa/research"
PLANNER = "spiffe://prod.example.org/ns/agents/sa/planner"
ACCOUNT_TEMPLATE = "system:serviceaccount:<ns>:<sa>"
ISTIO_TEMPLATE = "spiffe://prod.example.org/ns/<ns>/sa/<sa>"
CLUSTER = "https://kubernetes.default.svc.cluster.local"


@dataclass(frozen=True, slots=True)
class Case:
    """The good token with claims or header members put in place or left out.

    `reason` is None where it is still accepted; `peer` is who sends it, if not the agent.
    """

    name: str
    reason: Reason | None
    claims: Mapping[str, Json] = field(default_factory=dict)
    omit: tuple[str, ...] = ()
    header: Mapping[str, Json] = field(default_factory=dict)
    peer: str = ""


@dataclass(frozen=True, slots=True)
class IssuerShape:
    """One kind of issuer; `header` has no `alg` and `kid`, which the signer knows.

    `exact` and `templates` are the identities to configure. `principal`, `scopes` and `style` are
    what must be read from the good token, which the workload `peer` sends.
    """

    name: str
    profile: str
    algorithm: str
    audience: str
    header: Mapping[str, Json]
    claims: Mapping[str, Json]
    peer: str
    principal: str
    scopes: frozenset[str]
    style: DelegationStyle
    cases: tuple[Case, ...]
    exact: Mapping[str, str] = field(default_factory=dict)
    templates: Mapping[str, str] = field(default_factory=dict)

    @property
    def issuer(self) -> str:
        """The `iss` of its tokens."""
        return str(self.claims["iss"])


def token_parts(
    shape: IssuerShape, case: Case | None = None
) -> tuple[dict[str, Json], dict[str, Json]]:
    """Header and claims of the good token, or of a case."""
    changed = case or Case("good", None)
    header = {**shape.header, **changed.header}
    claims = {**shape.claims, **changed.claims}
    return _without(header, changed.omit), _without(claims, changed.omit)


def _without(members: Mapping[str, Json], names: tuple[str, ...]) -> dict[str, Json]:
    return {name: value for name, value in members.items() if name not in names}


def _times(lifetime: int) -> dict[str, Json]:
    return {"iat": ISSUED_AT, "exp": ISSUED_AT + lifetime}


_KEYCLOAK_USER = "6f0c2a51-0d11-4d1b-9d39-1d6f1a2b3c4d"
_KEYCLOAK_ACCOUNT = "b21e7c10-5a44-4b7e-8f0a-0c9d8e7f6a5b"
_KEYCLOAK_AGENT: dict[str, Json] = {"sub": _KEYCLOAK_ACCOUNT, "client_id": "research-agent"}
_KEYCLOAK_CLAIMS: dict[str, Json] = {
    **_times(300),
    "iss": "https://kc.example/realms/shop",
    "aud": "orders",
    "sub": _KEYCLOAK_USER,
    "typ": "Bearer",
    "azp": "research-agent",
    "acr": "1",
    "scope": "orders:read profile",
    "realm_access": {"roles": ["buyer"]},
    "preferred_username": "samantha",
}
_SERVICE_ACCOUNT = Case(
    "the user is that of a service account",
    Reason.DELEGATION_ABSENT,
    {"preferred_username": "service-account-research-agent", "client_id": "research-agent"},
)
_NAMELESS_USER = Case(
    "nothing says that the user is none of a service account",
    Reason.TOKEN_CLAIM_MISSING,
    omit=("preferred_username",),
)
_KEYCLOAK_ID_TOKEN = Case(
    "an ID token", Reason.TOKEN_WRONG_TYPE, {"typ": "ID", "aud": "research-agent"}
)

KEYCLOAK = IssuerShape(
    name="Keycloak, delegation to a client",
    profile="keycloak",
    algorithm="RS256",
    audience="orders",
    header={"typ": "JWT"},
    claims={
        **_KEYCLOAK_CLAIMS,
        "jti": "trrtte:45dfa700-dfbd-407d-9579-49b0c15a662f",
        "act": _KEYCLOAK_AGENT,
    },
    peer=AGENT,
    principal=_KEYCLOAK_USER,
    scopes=frozenset({"orders:read", "profile"}),
    style=DelegationStyle.DELEGATED,
    exact={"research-agent": AGENT, "planner-agent": PLANNER},
    cases=(
        Case("the access token type of RFC 9068", None, header={"typ": "at+jwt"}),
        Case(
            "earlier hops as the actor's token has them",
            None,
            {"act": {**_KEYCLOAK_AGENT, "act": {"sub": "c0ffee00", "act": {"email": "x"}}}},
        ),
        Case(
            "an administrator impersonates",
            Reason.DELEGATION_ACTOR_NOT_AGENT,
            {
                "azp": "portal",
                "jti": "onrtac:8a1e0000-dfbd-407d-9579-49b0c15a662f",
                "sid": "6a7b",
                "act": {"sub": "c0ffee00", "preferred_username": "helpdesk"},
            },
        ),
        Case(
            "delegation to another person",
            Reason.DELEGATION_ACTOR_NOT_AGENT,
            {"act": {"sub": "c0ffee00", "email": "bob@example.org"}},
        ),
        _SERVICE_ACCOUNT,
        _NAMELESS_USER,
        Case("exchanged without delegation", Reason.DELEGATION_ABSENT, omit=("act",)),
        _KEYCLOAK_ID_TOKEN,
        Case("a refresh token", Reason.TOKEN_WRONG_TYPE, {"typ": "Refresh"}),
        Case("a type that is no text", Reason.TOKEN_WRONG_TYPE, {"typ": ["Bearer"]}),
        Case(
            "a client that is not mapped",
            Reason.DELEGATION_ACTOR_UNMAPPED,
            {"azp": "other", "act": {"sub": _KEYCLOAK_ACCOUNT, "client_id": "other"}},
        ),
        Case("sent by another agent", Reason.DELEGATION_ACTOR_MISMATCH, peer=PLANNER),
    ),
)

KEYCLOAK_EXCHANGE = IssuerShape(
    name="Keycloak, standard exchange",
    profile="keycloak-exchange",
    algorithm="RS256",
    audience="orders",
    header={"typ": "JWT"},
    claims={
        **_KEYCLOAK_CLAIMS,
        "iss": "https://kc.example/realms/store",
        "jti": "onrtte:35d1fb20-31fa-4055-afb8-e902d0dc25d4",
        "sid": "5f0c",
    },
    peer=AGENT,
    principal=_KEYCLOAK_USER,
    scopes=frozenset({"orders:read", "profile"}),
    style=DelegationStyle.IMPERSONATED,
    exact={"research-agent": AGENT, "planner-agent": PLANNER},
    cases=(
        Case(
            "an administrator impersonates",
            Reason.DELEGATION_MALFORMED,
            {"act": {"sub": "c0ffee00", "preferred_username": "helpdesk"}},
        ),
        Case("a delegated token", Reason.DELEGATION_MALFORMED, {"act": _KEYCLOAK_AGENT}),
        _SERVICE_ACCOUNT,
        _NAMELESS_USER,
        _KEYCLOAK_ID_TOKEN,
        Case("not exchanged yet", Reason.TOKEN_WRONG_TYPE, {"aud": "research-agent"}),
        Case("a client that is not mapped", Reason.DELEGATION_ACTOR_UNMAPPED, {"azp": "portal"}),
        Case("another client's", Reason.DELEGATION_ACTOR_MISMATCH, {"azp": "planner-agent"}),
    ),
)

AUTHBRIDGE = IssuerShape(
    name="kagenti AuthBridge",
    profile="authbridge",
    algorithm="RS256",
    audience="weather-tool",
    header={"typ": "JWT"},
    claims={
        **_KEYCLOAK_CLAIMS,
        "iss": "http://keycloak.localtest.me:8080/realms/kagenti",
        "jti": "onrtte:35d1fb20-31fa-4055-afb8-e902d0dc25d4",
        "aud": "weather-tool",
        "azp": AGENT,
        "sid": "5f0c3f9e-7d0b",
        "scope": "weather-tool-aud profile",
        "preferred_username": "alice",
    },
    peer=AGENT,
    principal=_KEYCLOAK_USER,
    scopes=frozenset({"weather-tool-aud", "profile"}),
    style=DelegationStyle.IMPERSONATED,
    cases=(
        Case(
            "the agent started alone",
            Reason.DELEGATION_ABSENT,
            {"preferred_username": f"service-account-{AGENT}", "client_id": AGENT},
        ),
        _NAMELESS_USER,
        Case("not exchanged yet", Reason.TOKEN_WRONG_TYPE, {"aud": AGENT}),
        Case("without SPIFFE", Reason.DELEGATION_ACTOR_UNMAPPED, {"azp": "team1/weather"}),
        Case("with an actor", Reason.DELEGATION_MALFORMED, {"act": {"sub": AGENT}}),
        Case("another agent's", Reason.DELEGATION_ACTOR_MISMATCH, {"azp": PLANNER}),
    ),
)

_AUTH0_CLAIMS: dict[str, Json] = {
    **_times(86400),
    "iss": "https://tenant.eu.auth0.com/",
    "sub": "auth0|66aa01",
    "aud": "https://orders.example",
    "scope": "orders:read",
}
_AUTH0_AGENT: dict[str, Json] = {
    "sub": "agt_1a2b3c",
    "sub_profile": "ai_agent",
    "client_id": "cAgent1",
}
_AUTH0_APP: dict[str, Json] = {"sub": "cSpa", "sub_profile": "browser_app", "client_id": "cSpa"}

AUTH0_AGENT = IssuerShape(
    name="Auth0, agents as principals",
    profile="auth0",
    algorithm="RS256",
    audience="https://orders.example",
    header={"typ": "at+jwt"},
    claims={
        **_AUTH0_CLAIMS,
        "sub_profile": "user",
        "client_id": "cAgent1",
        "client_profile": "service ai_agent",
        "jti": "73WakrfVbNJBaAmhQtEeDv",
        "act": {**_AUTH0_AGENT, "act": _AUTH0_APP},
    },
    peer=AGENT,
    principal="auth0|66aa01",
    scopes=frozenset({"orders:read"}),
    style=DelegationStyle.DELEGATED,
    exact={"agt_1a2b3c": AGENT, "agt_planner": PLANNER},
    cases=(
        Case("logged in with the agent", None, {"act": _AUTH0_AGENT}),
        Case(
            "the agent's own token",
            Reason.DELEGATION_ABSENT,
            {"sub": "agt_1a2b3c", "sub_profile": "ai_agent"},
            omit=("act",),
        ),
        Case("for another agent", Reason.DELEGATION_ABSENT, {"sub_profile": "ai_agent"}),
        Case("for a service", Reason.DELEGATION_ABSENT, {"sub_profile": "service"}),
        Case("for an application", Reason.DELEGATION_ABSENT, {"sub_profile": "native_app"}),
        Case("for a client", Reason.DELEGATION_ABSENT, {"sub": "cAgent2@clients"}),
        Case(
            "a person as the actor",
            Reason.DELEGATION_ACTOR_NOT_AGENT,
            {"act": {"sub": "agt_1a2b3c", "sub_profile": "user"}},
        ),
        Case(
            "a client profile inside act",
            Reason.DELEGATION_MALFORMED,
            {"act": {**_AUTH0_AGENT, "client_profile": "ai_agent"}},
        ),
        Case("no actor", Reason.DELEGATION_ABSENT, omit=("act",)),
        Case("act is null", Reason.DELEGATION_MALFORMED, {"act": None}),
        Case(
            "the issuer without its slash",
            Reason.TOKEN_UNKNOWN_ISSUER,
            {"iss": "https://tenant.eu.auth0.com"},
        ),
        Case(
            "an ID token",
            Reason.TOKEN_WRONG_TYPE,
            {"aud": "cAgent1", "azp": "cAgent1"},
            header={"typ": "JWT"},
        ),
        Case("an ID token with a nonce", Reason.TOKEN_WRONG_TYPE, {"nonce": "n-0S6"}),
    ),
)

AUTH0_PLAIN = IssuerShape(
    name="Auth0, On-Behalf-Of",
    profile="auth0",
    algorithm="RS256",
    audience="https://orders.example",
    header={"typ": "JWT"},
    claims={**_AUTH0_CLAIMS, "azp": "cMcp", "act": {"sub": "cMcp", "act": {"sub": "cSpa"}}},
    peer=AGENT,
    principal="auth0|66aa01",
    scopes=frozenset({"orders:read"}),
    style=DelegationStyle.DELEGATED,
    exact={"cMcp": AGENT},
    cases=(
        Case(
            "with the profile of the user beside it",
            None,
            {"aud": ["https://orders.example", "https://tenant.eu.auth0.com/userinfo"]},
        ),
        Case(
            "only the application acts",
            Reason.DELEGATION_ACTOR_UNMAPPED,
            {"azp": "cSpa", "act": {"sub": "cSpa"}},
        ),
        Case("no actor", Reason.DELEGATION_ABSENT, omit=("act",)),
        Case(
            "client credentials",
            Reason.DELEGATION_ABSENT,
            {"sub": "cMcp@clients", "gty": "client-credentials"},
        ),
        Case("an ID token", Reason.TOKEN_WRONG_TYPE, {"aud": "cMcp"}),
    ),
)

_OKTA_AGENT: dict[str, Json] = {"sub": "wlp9jecfovIcujmca0g7", "sub_profile": "ai_agent"}

OKTA = IssuerShape(
    name="Okta custom authorization server",
    profile="okta",
    algorithm="RS256",
    audience="https://orders.example",
    header={},
    claims={
        **_times(3600),
        "ver": 1,
        "jti": "AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE",
        "iss": "https://acme.okta.com/oauth2/aus9jh",
        "aud": "https://orders.example",
        "sub": "00uzkk8ctx1WtQ8fy1d7",
        "sub_profile": "user",
        "cid": "wlp9jebmx18qWtCeu0g7",
        "uid": "00uzkk8ctx1WtQ8fy1d7",
        "scp": ["chat.read", "chat.history"],
        "act": {
            **_OKTA_AGENT,
            "act": {"sub": "wlp9jebmx18qWtCeu0g7", "sub_profile": "ai_agent"},
        },
    },
    peer=AGENT,
    principal="00uzkk8ctx1WtQ8fy1d7",
    scopes=frozenset({"chat.read", "chat.history"}),
    style=DelegationStyle.DELEGATED,
    exact={"wlp9jecfovIcujmca0g7": AGENT},
    cases=(
        Case("scopes as a text", None, {"scope": "chat.read chat.history"}, omit=("scp",)),
        Case(
            "a chain as it was written first",
            None,
            {
                "act": _OKTA_AGENT,
                "delegated_through": [_OKTA_AGENT],
                "origin": {"sub": "00uzkk8ctx1WtQ8fy1d7", "sub_profile": "user"},
            },
        ),
        Case("no word about the user", None, omit=("sub_profile",)),
        Case("for a service", Reason.DELEGATION_ABSENT, {"sub_profile": "service"}),
        Case("for an agent", Reason.DELEGATION_ABSENT, {"sub_profile": "ai_agent"}),
        Case("for who knows whom", Reason.DELEGATION_ABSENT, {"sub_profile": "device"}),
        Case(
            "a service as the actor",
            Reason.DELEGATION_ACTOR_NOT_AGENT,
            {"act": {"sub": "wlp9jecfovIcujmca0g7", "sub_profile": "service"}},
        ),
        Case(
            "an actor that is not said to be an agent",
            Reason.DELEGATION_ACTOR_NOT_AGENT,
            {"act": {"sub": "wlp9jecfovIcujmca0g7"}},
        ),
        Case("no resource was asked for, so no actor", Reason.DELEGATION_ABSENT, omit=("act",)),
        Case(
            "an identity assertion (ID-JAG)",
            Reason.TOKEN_WRONG_TYPE,
            header={"typ": "oauth-id-jag+jwt"},
        ),
        Case(
            "a token of the org server",
            Reason.TOKEN_WRONG_TYPE,
            header={"typ": "application/okta-internal-at+jwt"},
        ),
        Case("the org server", Reason.TOKEN_UNKNOWN_ISSUER, {"iss": "https://acme.okta.com"}),
        Case("an ID token", Reason.TOKEN_WRONG_TYPE, {"at_hash": "x"}),
    ),
)

_ENTRA_APP = "aaaaaaaa-1111-4222-8333-444444444444"
_ENTRA_USER = "bbbbbbbb-1111-4222-8333-444444444444"
_ENTRA_OTHER = "dddddddd-1111-4222-8333-444444444444"
_ENTRA_CLAIMS: dict[str, Json] = {
    **_times(4500),
    "nbf": ISSUED_AT,
    "aud": "f2510d34-8dca-4ab8-a0bc-aaec4d3a3e36",
    "aio": "AXQAi",
    "idtyp": "user",
    "oid": _ENTRA_USER,
    "rh": "1.A",
    "scp": "Orders.Read Orders.Write",
    "sub": "93m3ed3gY2h-GzDAQ0wyVuqRu1hLfBsDDXdealS9RLQ",
    "tid": "0a1b2c3d-0000-4000-8000-000000000001",
    "uti": "m5RaaRnoFUyp2TbSCAAAAA",
    "xms_act_fct": "3 9 11",
    "xms_idrel": "1 8",
    "xms_sub_fct": "2 3",
    "xms_tnt_fct": "3 8",
    "xms_par_app_azp": "30cf4c22-9985-4ef7-8756-91cc888176bd",
}
_ENTRA_CASES = (
    Case("the facets in another order", None, {"xms_act_fct": "11 3 9 2"}),
    Case(
        "the user account of an agent",
        Reason.DELEGATION_ABSENT,
        {"xms_sub_fct": "2 13", "oid": "cccccccc-1111-4222-8333-444444444444"},
    ),
    Case(
        "an agent on its own",
        Reason.DELEGATION_ABSENT,
        {"idtyp": "app", "xms_sub_fct": "11", "oid": _ENTRA_APP, "scp": "/"},
    ),
    Case("an application on its own", Reason.TOKEN_CLAIM_MISSING, {"idtyp": "app"}, omit=("scp",)),
    Case("an application's own, with scopes", Reason.DELEGATION_ABSENT, {"idtyp": "app"}),
    Case("a client that is no agent", Reason.DELEGATION_ABSENT, {"xms_act_fct": "3 9"}),
    Case("a facet that is like it", Reason.DELEGATION_ABSENT, {"xms_act_fct": "111 1"}),
    Case("nothing about the client", Reason.TOKEN_CLAIM_MISSING, omit=("xms_act_fct",)),
    Case("nothing about the user", Reason.TOKEN_CLAIM_MISSING, omit=("xms_sub_fct",)),
    Case("an ID token", Reason.TOKEN_WRONG_TYPE, {"nonce": "x"}),
    Case("with an actor", Reason.DELEGATION_MALFORMED, {"act": {"sub": AGENT}}),
    Case(
        "for Microsoft Graph",
        Reason.TOKEN_WRONG_AUDIENCE,
        {"aud": "00000003-0000-0000-c000-000000000000"},
    ),
    Case("sent by another agent", Reason.DELEGATION_ACTOR_MISMATCH, peer=PLANNER),
)

ENTRA = IssuerShape(
    name="Microsoft Entra ID, version 2.0",
    profile="entra",
    algorithm="RS256",
    audience="f2510d34-8dca-4ab8-a0bc-aaec4d3a3e36",
    header={"typ": "JWT"},
    claims={
        **_ENTRA_CLAIMS,
        "iss": "https://login.microsoftonline.com/0a1b2c3d-0000-4000-8000-000000000001/v2.0",
        "ver": "2.0",
        "azp": _ENTRA_APP,
        "azpacr": "2",
    },
    peer=AGENT,
    principal=_ENTRA_USER,
    scopes=frozenset({"Orders.Read", "Orders.Write"}),
    style=DelegationStyle.DELEGATED,
    exact={_ENTRA_APP: AGENT},
    cases=(
        *_ENTRA_CASES,
        Case("another version", Reason.TOKEN_WRONG_TYPE, {"ver": "1.0"}),
        Case("another client", Reason.DELEGATION_ACTOR_UNMAPPED, {"azp": _ENTRA_OTHER}),
        Case("a certificate thumbprint", Reason.TOKEN_MALFORMED, header={"x5t": "x"}),
        Case(
            "another tenant",
            Reason.TOKEN_UNKNOWN_ISSUER,
            {"iss": "https://login.microsoftonline.com/0a1b2c3d-0000-4000-8000-000000000002/v2.0"},
        ),
    ),
)

ENTRA_V1 = IssuerShape(
    name="Microsoft Entra ID, version 1.0",
    profile="entra-v1",
    algorithm="RS256",
    audience="api://orders",
    header={"typ": "JWT", "x5t": "i6lGk3FZzxRcUb2C3nEQ7syHJlY"},
    claims={
        **_ENTRA_CLAIMS,
        "iss": "https://sts.windows.net/0a1b2c3d-0000-4000-8000-000000000001/",
        "ver": "1.0",
        "aud": "api://orders",
        "appid": _ENTRA_APP,
        "appidacr": "2",
    },
    peer=AGENT,
    principal=_ENTRA_USER,
    scopes=frozenset({"Orders.Read", "Orders.Write"}),
    style=DelegationStyle.DELEGATED,
    exact={_ENTRA_APP: AGENT},
    cases=(
        *_ENTRA_CASES,
        Case("no thumbprint", None, omit=("x5t",)),
        Case("another version", Reason.TOKEN_WRONG_TYPE, {"ver": "2.0"}),
        Case("another client", Reason.DELEGATION_ACTOR_UNMAPPED, {"appid": _ENTRA_OTHER}),
        Case("a certificate", Reason.TOKEN_MALFORMED, header={"x5c": ["x"]}),
        Case("another thumbprint", Reason.TOKEN_MALFORMED, header={"x5t#S256": "x"}),
        Case(
            "the issuer without its slash",
            Reason.TOKEN_UNKNOWN_ISSUER,
            {"iss": "https://sts.windows.net/0a1b2c3d-0000-4000-8000-000000000001"},
        ),
    ),
)

_WSO2_CLIENT = "jVcW4oLn1Jjb2T94H4gtPV9z5Y0a"
_WSO2_AGENT = "2d931c9d-876e-46c0-9aba-f34501879dfc"
_WSO2_PLANNER = "3e042dae-876e-46c0-9aba-f34501879dfc"

WSO2 = IssuerShape(
    name="WSO2 Identity Server and Asgardeo",
    profile="wso2",
    algorithm="RS256",
    audience=_WSO2_CLIENT,
    header={"typ": "at+jwt", "x5t": "NzU4Y2I0OWExYTkzZGI3Y2I1ZjFjYTIxN2Q3MjQ2NDQ3OGFkYjY3"},
    claims={
        **_times(3600),
        "nbf": ISSUED_AT,
        "sub": "32bc4697-ed0f-4546-8387-dcd6403e7caa",
        "aut": "APPLICATION_USER",
        "iss": "https://api.asgardeo.io/t/acme/oauth2/token",
        "client_id": _WSO2_CLIENT,
        "azp": _WSO2_CLIENT,
        "aud": _WSO2_CLIENT,
        "org_id": "10084a8d-113f-4211-a0d5-efe36b082211",
        "org_name": "acme",
        "org_handle": "acme",
        "scope": "booking:read",
        "jti": "0728d517-7968-474f-bd7d-12537ccbe436",
        "act": {"sub": _WSO2_AGENT, "azp": _WSO2_CLIENT},
    },
    peer=AGENT,
    principal="32bc4697-ed0f-4546-8387-dcd6403e7caa",
    scopes=frozenset({"booking:read"}),
    style=DelegationStyle.DELEGATED,
    exact={_WSO2_AGENT: AGENT, _WSO2_PLANNER: PLANNER},
    cases=(
        Case("older", None, {"act": {"sub": _WSO2_AGENT}}),
        Case("newer", None, omit=("x5t",), header={"x5t#S256": "x"}),
        Case(
            "a chain from token exchange",
            None,
            {"azp": "other", "act": {"sub": _WSO2_AGENT, "act": {"sub": _WSO2_PLANNER}}},
        ),
        Case(
            "the agent's own token",
            Reason.DELEGATION_ABSENT,
            {"aut": "AGENT", "sub": _WSO2_AGENT},
            omit=("act",),
        ),
        Case("for an agent", Reason.DELEGATION_ABSENT, {"aut": "AGENT"}),
        Case("for an application", Reason.DELEGATION_ABSENT, {"aut": "APPLICATION"}),
        Case("no actor", Reason.DELEGATION_ABSENT, omit=("act",)),
        Case(
            "a person impersonates",
            Reason.DELEGATION_MALFORMED,
            {"act": {"SUB": "9a1b0000-876e-46c0-9aba-f34501879dfc"}},
        ),
        Case(
            "the subject token of an impersonation",
            Reason.TOKEN_WRONG_TYPE,
            {"may_act": {"sub": _WSO2_AGENT}},
            header={"typ": "jwt"},
        ),
        Case(
            "a key from elsewhere", Reason.TOKEN_MALFORMED, header={"jku": "https://evil.example"}
        ),
        Case("sent by another agent", Reason.DELEGATION_ACTOR_MISMATCH, peer=PLANNER),
    ),
)

_ACCOUNT = "system:serviceaccount:agents:research"
_ACCOUNT_CASES = (
    Case("the namespace of the account left out", None, {"act": {"sub": _ACCOUNT}}),
    Case("no actor", Reason.DELEGATION_ABSENT, omit=("act",)),
    Case("act is null", Reason.DELEGATION_MALFORMED, {"act": None}),
    Case("no resource was asked for", Reason.TOKEN_CLAIM_MISSING, omit=("aud",)),
    Case(
        "an account of another cluster",
        Reason.DELEGATION_ACTOR_MISMATCH,
        {"act": {"iss": "https://oidc.eks.example/id/1", "sub": _ACCOUNT}},
    ),
    Case(
        "another account",
        Reason.DELEGATION_ACTOR_MISMATCH,
        {"act": {"sub": "system:serviceaccount:agents:planner"}},
    ),
    Case(
        "no account",
        Reason.DELEGATION_ACTOR_UNMAPPED,
        {"act": {"sub": "system:node:worker-1"}},
    ),
    Case(
        "an account that would reach out of its place",
        Reason.DELEGATION_ACTOR_UNMAPPED,
        {"act": {"sub": "system:serviceaccount:..:research"}},
    ),
    Case("an account for itself", Reason.DELEGATION_ABSENT, {"sub": _ACCOUNT}),
)

SOLO = IssuerShape(
    name="Solo Enterprise for agentgateway",
    profile="solo",
    algorithm="RS256",
    audience="mcp-backend",
    header={"typ": "JWT"},
    claims={
        **_times(86400),
        "iss": "enterprise-agentgateway.agentgateway-system.svc.cluster.local:7777",
        "aud": "mcp-backend",
        "sub": _KEYCLOAK_USER,
        "act": {"iss": CLUSTER, "sub": _ACCOUNT},
    },
    peer=AGENT,
    principal=_KEYCLOAK_USER,
    scopes=frozenset(),
    style=DelegationStyle.DELEGATED,
    templates={ACCOUNT_TEMPLATE: ISTIO_TEMPLATE},
    cases=(
        *_ACCOUNT_CASES,
        Case("without the name of the only key", None, omit=("kid",)),
        Case(
            "the issuer as a URL",
            Reason.TOKEN_UNKNOWN_ISSUER,
            {"iss": "http://enterprise-agentgateway.agentgateway-system.svc.cluster.local:7777"},
        ),
    ),
)

KAGENT = IssuerShape(
    name="kagent",
    profile="kagent",
    algorithm="RS256",
    audience="kagent/sre-orchestrator",
    header={"typ": "JWT"},
    claims={
        **_times(86400),
        "nbf": ISSUED_AT,
        "iss": "kagent.kagent",
        "aud": ["kagent/sre-orchestrator"],
        "sub": _KEYCLOAK_USER,
        "act": {"sub": _ACCOUNT},
    },
    peer=AGENT,
    principal=_KEYCLOAK_USER,
    scopes=frozenset(),
    style=DelegationStyle.DELEGATED,
    templates={ACCOUNT_TEMPLATE: ISTIO_TEMPLATE},
    cases=(
        *_ACCOUNT_CASES,
        Case("for another part", Reason.TOKEN_WRONG_AUDIENCE, {"aud": ["demo-ns"]}),
    ),
)

_TOOLHIVE = "https://auth.example"

TOOLHIVE = IssuerShape(
    name="ToolHive",
    profile="toolhive",
    algorithm="ES256",
    audience="https://mcp.example",
    header={},
    claims={
        **_times(900),
        "iss": _TOOLHIVE,
        "sub": "3f9c2eab-1a4e-4b8f-9c11-3a0d2e6f9d21",
        "aud": ["https://mcp.example"],
        "client_id": "coding-agent",
        "scope": "openid mcp:tools",
        "jti": "f0e1d2c3-b4a5-4678-9abc-def012345678",
        "act": {"iss": _TOOLHIVE, "sub": "coding-agent"},
    },
    peer=AGENT,
    principal="3f9c2eab-1a4e-4b8f-9c11-3a0d2e6f9d21",
    scopes=frozenset({"openid", "mcp:tools"}),
    style=DelegationStyle.DELEGATED,
    exact={"coding-agent": AGENT},
    cases=(
        Case("older", None, {"act": {"sub": "coding-agent"}}),
        Case("an agent with a SPIFFE ID", None, {"client_id": AGENT, "act": {"sub": AGENT}}),
        Case("a person known elsewhere", None, {"sub": "https://idp.example#00u1"}),
        Case(
            "an earlier actor known elsewhere",
            None,
            {
                "external_issuer": "https://idp.example",
                "act": {
                    "iss": _TOOLHIVE,
                    "sub": "coding-agent",
                    "act": {"iss": "https://idp.example", "sub": "coding-agent2"},
                },
            },
        ),
        Case("scopes as a list", None, {"scp": ["openid", "mcp:tools"]}, omit=("scope",)),
        Case(
            "an actor known elsewhere",
            Reason.DELEGATION_ACTOR_MISMATCH,
            {"act": {"iss": "https://idp.example", "sub": "coding-agent"}},
        ),
        Case(
            "the same actor twice",
            Reason.DELEGATION_CYCLE,
            {
                "act": {
                    "iss": _TOOLHIVE,
                    "sub": "coding-agent",
                    "act": {"sub": "coding-agent"},
                }
            },
        ),
        Case("logged in only", Reason.DELEGATION_ABSENT, {"tsid": "x"}, omit=("act",)),
        Case(
            "a client made up for an assertion",
            Reason.DELEGATION_ABSENT,
            {"client_id": "synthetic:jwt-bearer-1"},
            omit=("act",),
        ),
        Case("without an identifier", Reason.TOKEN_CLAIM_MISSING, omit=("jti",)),
    ),
)

STANDARD = IssuerShape(
    name="as the RFCs write it",
    profile="rfc9068",
    algorithm="ES256",
    audience="orders",
    header={"typ": "at+jwt"},
    claims={
        **_times(300),
        "iss": "https://issuer.example",
        "aud": "orders",
        "sub": "alice",
        "client_id": AGENT,
        "jti": "token-1",
        "scope": "orders:read",
        "act": {"sub": AGENT, "act": {"sub": PLANNER}},
    },
    peer=AGENT,
    principal="alice",
    scopes=frozenset({"orders:read"}),
    style=DelegationStyle.DELEGATED,
    cases=(
        Case("one hop", None, {"act": {"sub": AGENT}}),
        Case("an ID token", Reason.TOKEN_WRONG_TYPE, header={"typ": "JWT"}),
        Case(
            "a client that may act", Reason.DELEGATION_ABSENT, {"may_act": {"sub": AGENT}}, ("act",)
        ),
        Case("no actor", Reason.DELEGATION_ABSENT, omit=("act",)),
        Case("an earlier actor sends it", Reason.DELEGATION_ACTOR_MISMATCH, peer=PLANNER),
        Case("a client assertion", Reason.TOKEN_WRONG_TYPE, {"sub": "https://issuer.example"}),
        Case("a logout token", Reason.TOKEN_WRONG_TYPE, {"events": {}}),
        Case("a transaction token", Reason.TOKEN_WRONG_TYPE, {"tctx": {}}),
        Case("a DPoP proof", Reason.TOKEN_WRONG_TYPE, {"htm": "GET", "htu": "https://a.example/"}),
    ),
)

SHAPES = (
    STANDARD,
    KEYCLOAK,
    KEYCLOAK_EXCHANGE,
    AUTHBRIDGE,
    AUTH0_AGENT,
    AUTH0_PLAIN,
    OKTA,
    ENTRA,
    ENTRA_V1,
    WSO2,
    SOLO,
    KAGENT,
    TOOLHIVE,
)
