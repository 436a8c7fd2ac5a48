from __future__ import annotations

import json
import re

from deputize.core.approval import ApprovalNeed, ApprovalService, verify_approval
from deputize.core.approved_call import ApprovalSubject, describe_call
from deputize.core.keys import Algorithm
from deputize.core.model import Action, Call, Protocol
from tests.docs.markdown_files import ROOT, pages
from tests.harness.approvals import ApprovalDesk, make_delegation
from tests.harness.world import make_key_ring, make_request

PAGE = next(page for page in pages() if page.path == ROOT / "docs/approvals.md")
ASKED, SIGNED = (json.loads(block.text) for block in PAGE.blocks if block.language == "json")


def shown_call() -> ApprovalSubject:
    (arguments,) = re.findall(r'`(\{"to".*\})`:', PAGE.text)
    delegation = make_delegation(
        agent=ASKED["agent"], issuer=ASKED["sub_iss"], subject=ASKED["sub"]
    )
    request = make_request(method="POST", host="tools.example.org", path="/mcp")
    call = Call(Protocol.MCP, "tools/call", "pay", json.loads(arguments), 1)
    return describe_call(request, delegation, Action("POST", request.host, ("mcp",)), call)


def test_what_the_page_says_is_asked_for() -> None:
    assert shown_call().to_json() == ASKED


def test_what_the_page_says_is_signed_is_an_approval() -> None:
    desk = ApprovalDesk(SIGNED["iss"])
    approval = desk.approve({}, now=0, claims=SIGNED)
    service = ApprovalService(SIGNED["iss"], (Algorithm.ES256,), 300, 0)
    need = ApprovalNeed(frozenset({service.issuer}), approver_not_principal=True)
    rings = {service.issuer: make_key_ring(desk.issuer)}
    services = {service.issuer: service}
    assert verify_approval(approval, shown_call(), need, services, rings, SIGNED["iat"])
