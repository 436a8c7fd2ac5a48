"""What a real deputize with the configuration of an example answers to that gateway's checks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from deputize.core.model import Assurance
from deputize.core.reasons import Reason
from tests.harness.agent_stage import tool_call
from tests.harness.gateway_checks import Body, Sent, agentgateway_check, envoy_check
from tests.harness.gateway_service import (
    AGENT,
    OTHER_AGENT,
    TRUST_DOMAIN,
    GatewayService,
    running_example,
)

TRACK = tool_call("track_order", {"order": "17"})
CANCEL = tool_call("cancel_order", {"order": "17"})
SHOUT = tool_call("track_order", {"order": "17!"})
PATH_ID = f"spiffe://{TRUST_DOMAIN}/agents/research"
MEGABYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Form:
    """How a gateway writes a check, and which configuration reads it."""

    config: str
    body: Body
    assurance: Assurance
    write: Callable[[Sent], bytes]

    @property
    def source(self) -> str:
        return "metadata" if self.config.startswith("agentgateway") else "principal"


def named(sent: Sent) -> dict[str, Any]:
    """What the expression of the examples gives."""
    return {"sans": list(sent.sans), "cert": sent.certificate}


AGENTGATEWAY = {
    "agentgateway": Form(
        "agentgateway/config.yaml",
        Body.OCTETS,
        Assurance.CERTIFICATE_CHECKED,
        lambda sent: agentgateway_check(sent, body=Body.OCTETS, peer=named(sent)),
    ),
    "agentgateway in Kubernetes": Form(
        "agentgateway/values.yaml",
        Body.TEXT,
        Assurance.CERTIFICATE_CHECKED,
        lambda sent: agentgateway_check(sent, body=Body.TEXT, peer=named(sent), cut_at=MEGABYTE),
    ),
    # The filter of Gateway API, as agentgateway translates it.
    "ExternalAuth": Form(
        "gateway-api/values.yaml",
        Body.TEXT,
        Assurance.ASSERTED_BY_PROXY,
        lambda sent: agentgateway_check(sent, body=Body.TEXT, peer=None),
    ),
}
ENVOY = {
    "Envoy Gateway": Form(
        "envoy-gateway/values.yaml",
        Body.TEXT,
        Assurance.ASSERTED_BY_PROXY,
        lambda sent: envoy_check(sent, body=Body.TEXT),
    ),
    "Envoy Gateway with the patch": Form(
        "envoy-gateway/values.yaml",
        Body.OCTETS,
        Assurance.CERTIFICATE_CHECKED,
        lambda sent: envoy_check(sent, body=Body.OCTETS, with_certificate=True),
    ),
    "kgateway": Form(
        "kgateway/values.yaml",
        Body.OCTETS,
        Assurance.ASSERTED_BY_PROXY,
        lambda sent: envoy_check(sent, body=Body.OCTETS),
    ),
}
FORMS = AGENTGATEWAY | ENVOY


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway before the running example."""

    service: GatewayService
    form: Form

    def ask(self, sent: Sent) -> str:
        """The reason of the answer."""
        return self.service.ask(self.form.write(sent)).reason


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, GatewayService]]:
    """Each example, running."""
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(running_example(name, tmp_path_factory.mktemp("gateway")))
            for name in sorted({form.config for form in FORMS.values()})
        }


@pytest.fixture(params=FORMS)
def gateway(request: pytest.FixtureRequest, services: dict[str, GatewayService]) -> Gateway:
    form = FORMS[request.param]
    return Gateway(services[form.config], form)


def test_a_read_and_a_tool_are_let_in_and_recorded(gateway: Gateway) -> None:
    service = gateway.service
    for sent, rule in ((service.sent(), "read-orders"), (service.sent(TRACK), "track-order")):
        verdict = service.ask(gateway.form.write(sent))
        event = service.event(verdict)
        assert (verdict.reason, event["rule"]) == (Reason.POLICY_ALLOWED, f"orders/{rule}")
        assert event["peer"]["spiffe_id"] == AGENT
        assert event["peer"]["source"] == gateway.form.source
        assert event["peer"]["assurance"] == gateway.form.assurance
        assert verdict.upstream_headers["x-deputize-agent"] == AGENT


def test_another_tool_is_refused_and_named_in_the_event(gateway: Gateway) -> None:
    verdict = gateway.service.ask(gateway.form.write(gateway.service.sent(CANCEL)))
    assert verdict.reason == Reason.POLICY_NO_MATCH
    (call,) = gateway.service.event(verdict)["calls"]
    assert (call["method"], call["name"]) == ("tools/call", "cancel_order")


def test_a_token_in_other_hands_is_refused(gateway: Gateway) -> None:
    stolen = gateway.service.sent(sans=(OTHER_AGENT,))
    assert gateway.ask(stolen) == Reason.DELEGATION_ACTOR_MISMATCH


def test_a_client_without_a_certificate_is_nobody(gateway: Gateway) -> None:
    assert gateway.ask(gateway.service.sent(sans=())) == Reason.PEER_MISSING


def test_two_tokens_are_none(gateway: Gateway) -> None:
    token = f"Bearer {gateway.service.token()}"
    twice = gateway.service.sent(headers=(("authorization", token), ("authorization", token)))
    assert gateway.ask(twice) == Reason.REQUEST_DUPLICATE_CREDENTIAL


def test_text_that_may_have_been_changed_is_refused(gateway: Gateway) -> None:
    expected = {
        Body.OCTETS: Reason.POLICY_ALLOWED,
        Body.TEXT: Reason.REQUEST_BODY_UNREADABLE,
    }
    assert gateway.ask(gateway.service.sent(SHOUT)) == expected[gateway.form.body]


@pytest.mark.parametrize("name", FORMS)
def test_who_says_that_its_body_was_cut_does_not_help_itself(
    name: str, services: dict[str, GatewayService]
) -> None:
    gateway = Gateway(services[FORMS[name].config], FORMS[name])
    said = gateway.service.sent(TRACK, headers=(("x-envoy-auth-partial-body", "true"),))
    # Envoy writes its own in its place; agentgateway sends what the client said.
    expected = Reason.POLICY_ALLOWED if name in ENVOY else Reason.REQUEST_BODY_TRUNCATED
    assert gateway.ask(said) == expected


def test_another_proxy_may_not_ask(gateway: Gateway) -> None:
    service = gateway.service
    other = service.authority.issue("other", uris=[AGENT])
    answer = service.ask(gateway.form.write(service.sent()), other)
    assert answer.reason == Reason.PEER_UNTRUSTED_SOURCE


@pytest.fixture(scope="module")
def standalone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayService]:
    """Behind agentgateway's `jwt` policy: the token is in a header of its own."""

    def change(spec: dict[str, Any]) -> None:
        spec["token"]["header"] = "x-obo-token"

    with running_example(
        "agentgateway/config.yaml", tmp_path_factory.mktemp("jwt"), change
    ) as service:
        yield service


def ask_agentgateway(
    service: GatewayService, sent: Sent, peer: dict[str, Any] | None, body: Body = Body.OCTETS
) -> str:
    check = agentgateway_check(sent, body=body, peer=peer, cut_at=MEGABYTE)
    return service.ask(check).reason


def obo(service: GatewayService, body: bytes = b"", sans: tuple[str, ...] = (AGENT,)) -> Sent:
    """A call with the token in its own header, and another for the gateway."""
    headers = (("authorization", "Bearer for-the-gateway"), ("x-obo-token", service.token()))
    return service.sent(body, headers=headers, sans=sans)


def test_the_token_may_be_in_a_header_of_its_own(standalone: GatewayService) -> None:
    sent = obo(standalone)
    assert ask_agentgateway(standalone, sent, named(sent)) == Reason.POLICY_ALLOWED
    sent = standalone.sent()
    assert ask_agentgateway(standalone, sent, named(sent)) == Reason.TOKEN_MISSING


def test_an_expression_that_gives_no_map_names_nobody(standalone: GatewayService) -> None:
    assert ask_agentgateway(standalone, obo(standalone), None) == Reason.PEER_MISSING


def test_names_without_the_certificate_are_not_enough(standalone: GatewayService) -> None:
    reason = ask_agentgateway(standalone, obo(standalone), {"sans": [AGENT]})
    assert reason == Reason.PEER_SVID_INVALID


def test_an_identity_that_agentgateway_does_not_name_comes_by_metadata(
    standalone: GatewayService,
) -> None:
    # Its principal is empty for this one, so without metadata there would be no peer.
    sent = obo(standalone, sans=(PATH_ID,))
    assert ask_agentgateway(standalone, sent, named(sent)) == Reason.DELEGATION_ACTOR_MISMATCH


def test_two_identities_are_none(standalone: GatewayService) -> None:
    sent = obo(standalone, sans=(AGENT, OTHER_AGENT))
    assert ask_agentgateway(standalone, sent, named(sent)) == Reason.PEER_SVID_INVALID


@pytest.mark.parametrize("body", [Body.TEXT, Body.OCTETS])
def test_a_body_that_was_cut_is_refused(standalone: GatewayService, body: Body) -> None:
    sent = obo(standalone, TRACK.ljust(MEGABYTE + 1))
    assert ask_agentgateway(standalone, sent, named(sent), body) == Reason.REQUEST_BODY_TRUNCATED


def test_a_body_that_is_not_sent_is_refused(standalone: GatewayService) -> None:
    sent = obo(standalone, TRACK)
    reason = ask_agentgateway(standalone, sent, named(sent), Body.NONE)
    assert reason == Reason.REQUEST_BODY_TRUNCATED
