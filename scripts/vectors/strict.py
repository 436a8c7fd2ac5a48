"""The strictest world: each call lacks one of the things that are required there.

They are a certificate by the trust domain's own authority, a bound token in a status list, and
the planner in the chain.
"""

from __future__ import annotations

from collections.abc import Iterable

from deputize.core.reasons import Reason
from scripts.vectors.cast import COURIER, IDP, IDP_ES384, NOW, PARTNER, PLANNER, RESEARCH, issue
from scripts.vectors.certificates import certificate, thumbprint
from scripts.vectors.rows import Request, Row, check, group
from scripts.vectors.status import VALID, status
from tests.harness.issuer import Issuer
from tests.harness.vector_files import Vector

_OTHER = "other-authority"
_OWN = certificate()


def _strict(reason: Reason, source: str, *rows: Row, rule: str | None = None) -> Iterable[Vector]:
    return group(reason, source, *rows, rule=rule, world="world-strict", importance="critical")


def _asked(
    shown: str = _OWN,
    *actors: str,
    issuer: Issuer = IDP,
    peer: str = RESEARCH,
    omit: tuple[str, ...] = (),
) -> Request:
    """A call whose token is bound to the certificate that is shown."""
    chain = actors or (peer, PLANNER)
    listed = {"status": status(VALID)} if issuer is IDP else {}
    claims = {"cnf": {"x5t#S256": thumbprint(shown)}, **listed}
    token = issue(issuer, *chain, claims=claims, omit=omit)
    return check(token, peer=peer, certificate=shown)


def _issued(name: str, title: str, shown: str) -> Row:
    return f"authority-{name}", title, _asked(shown)


VECTORS = (
    *_strict(
        Reason.POLICY_ALLOWED,
        "SPIFFE_Trust_Domain_and_Bundle section 4",
        ("authority-own", "a certificate of the domain's own authority", _asked()),
        (
            "authority-own-other-domain",
            "another trust domain, and its own authority",
            _asked(certificate((COURIER,), authority=_OTHER), issuer=PARTNER, peer=COURIER),
        ),
        rule="orders/read-orders",
    ),
    *_strict(
        Reason.PEER_SVID_INVALID,
        "SPIFFE_Trust_Domain_and_Bundle section 4; X509-SVID section 5.1",
        _issued(
            "of-other-domain",
            "a certificate of another trust domain's authority",
            certificate(authority=_OTHER),
        ),
        _issued(
            "unknown",
            "a certificate of an authority nobody knows",
            certificate(authority="stranger"),
        ),
        (
            "authority-other-way-round",
            "our authority names a peer of the other trust domain",
            _asked(certificate((COURIER,)), issuer=PARTNER, peer=COURIER),
        ),
        (
            "certificate-required",
            "no certificate where the authority is checked",
            check(issue(IDP, RESEARCH, PLANNER, cnf={"x5t#S256": thumbprint(_OWN)})),
        ),
        _issued("own-expired", "its time is over", certificate(valid=(NOW - 3600, NOW - 1))),
    ),
    *_strict(
        Reason.TOKEN_ALGORITHM_REFUSED,
        "RFC 8725 section 3.1; own; `algorithms` of an issuer",
        (
            "alg-of-further-key",
            "a key of the issuer, by an algorithm that is not allowed here",
            _asked(issuer=IDP_ES384),
        ),
    ),
    *_strict(
        Reason.TOKEN_WRONG_BINDING,
        "RFC 8705 section 3; own; `binding.required`",
        ("binding-absent", "a token bound to nothing", _asked(omit=("cnf",))),
    ),
    *_strict(
        Reason.TOKEN_CLAIM_MISSING,
        "draft-ietf-oauth-status-list section 6.1; own; `statusLists.required`",
        ("status-absent", "a token in no status list", _asked(omit=("status",))),
    ),
    *_strict(
        Reason.DELEGATION_MEMBER_REFUSED,
        "own; `delegation.requiredActors`",
        ("chain-without-required", "not handed on by the planner", _asked(_OWN, RESEARCH)),
    ),
    *_strict(
        Reason.DELEGATION_ACTOR_UNMAPPED,
        "SPIFFE_Trust_Domain_and_Bundle; own; `agentTrustDomains` of an issuer",
        (
            "act-of-other-domain",
            "an issuer names an agent of a domain that is not its own",
            _asked(certificate((COURIER,), authority=_OTHER), peer=COURIER),
        ),
    ),
)
