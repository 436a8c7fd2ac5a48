"""The whole decision, top to bottom.

Like a court with a lawyer: who are you, whom do you represent, show the mandate, is it good for
this case? Each question has its file beside this one; here is only their order.

Rules of this file:
- Pure and total: it never raises, never waits, never looks at a clock.
- An allow is a `Permit`, and a `Permit` needs the proof of every question.
- A fault in our own code denies like everything else (`system.internal`).
"""

from __future__ import annotations

from deputize.core import delegation, peer, policy, request, request_calls, token, token_use
from deputize.core.model import AccessRequest
from deputize.core.reasons import Reason
from deputize.core.snapshot import Snapshot
from deputize.core.verdict import Decision, Denial, Denied, Permit, Proven


def decide(asked: AccessRequest, snapshot: Snapshot, now: float, recall: token.Recall) -> Decision:
    """Decides one request.

    `now` is in seconds since the epoch. `recall` returns a token that was verified earlier for
    exactly the given text, or None; what can have changed since is checked again.
    """
    proven = Proven()
    verdict: Permit | Denial
    try:
        # 0. What is asked? One reading of the request and at most one credential, or a refusal.
        proven.action = request.read_action(asked)
        proven.resource = request_calls.find_resource(proven.action, snapshot.policies.resources)
        credential = request.read_credential(asked, snapshot.request_rules)

        # 1. Who are you?
        proven.peer = peer.identify(asked, snapshot.peer_rules, snapshot.revocations.agents, now)

        # 2. Whom do you represent? A token that verifies, is not revoked, and is its sender's.
        proven.token = token.verify(credential, snapshot.issuers, snapshot.key_rings, now, recall)
        trusted = snapshot.issuers[proven.token.issuer]
        revocations, status_lists = snapshot.revocations, snapshot.status_lists
        token_use.check_not_revoked(proven.token, trusted, revocations, status_lists, now)
        proof = token_use.check_possession(
            proven.token, trusted, credential, proven.peer, asked, now
        )

        # 3. Show the mandate.
        proven.delegation = delegation.bind(
            proven.token, proven.peer, snapshot.chain_rules, revocations.agents
        )

        # 4. Is it good for this case? Only now is the body read, where calls stand in it.
        proven.action = request_calls.read_calls(proven.action, asked, proven.resource)
        shown = (asked, proven.peer, proven.token, proven.delegation, proven.action)
        proven.grant, observed = policy.evaluate(*shown, snapshot.policies, snapshot.key_rings, now)

        # What must be done with it: ask the issuer, count, use once what may be used once.
        owed = token_use.find_obligations(proven.token, trusted, proof, proven.grant)
        verdict = Permit(*shown[1:], proven.grant, owed, observed)
    except Denied as denied:
        verdict = denied.denial
    except Exception as error:  # noqa: BLE001 - fail closed, whatever it is
        verdict = Denial(reason=Reason.SYSTEM_INTERNAL, detail=locate(error))
    return Decision(asked.decision_id, verdict, proven, snapshot.digest, now)


def locate(error: Exception) -> str:
    """The kind of an error and where it was raised: what a report needs, and nothing it said."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = "" if trace is None else f" in {trace.tb_frame.f_code.co_name}, line {trace.tb_lineno}"
    return f"{type(error).__name__}{place}"


def overrule(decision: Decision, denial: Denial) -> Decision:
    """The same decision, refused after all: an obligation that goes with it could not be met."""
    return _answer_anew(decision, denial)


def mark(decision: Decision, permit: Permit, observed: Denial) -> Decision:
    """The same allow, with what would have refused it were its policy enforced."""
    proofs = (permit.peer, permit.token, permit.delegation, permit.action, permit.grant)
    noted = permit.observed or observed
    return _answer_anew(decision, Permit(*proofs, permit.obligations, noted))


def _answer_anew(decision: Decision, verdict: Permit | Denial) -> Decision:
    decision_id, _verdict, proven, digest, decided_at = decision
    return Decision(decision_id, verdict, proven, digest, decided_at)


def refuse(decision_id: str, denial: Denial, now: float, policy_digest: str) -> Decision:
    """A refusal where nothing was decided; the digest is empty where there is no configuration."""
    return Decision(decision_id, denial, Proven(), policy_digest, now)
