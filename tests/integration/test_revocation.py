"""What is revoked is refused within its bound, though the token is remembered."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from deputize.core.reasons import Reason
from tests.harness.check_message import make_check
from tests.harness.deny_lists import deny_list
from tests.harness.grpc_client import ask, open_channel
from tests.harness.identity_provider import (
    DENIED,
    KEYS,
    STATUSES,
    IdentityProvider,
    running_identity_provider,
)
from tests.harness.introspection_endpoint import CLIENT_SECRET
from tests.harness.issuer import Issuer
from tests.harness.live import Live, Load, UnreadyProcess, running_live
from tests.harness.polling import wait_until
from tests.harness.service import DeputizeProcess
from tests.harness.world import AGENT, ISSUER_URL

SECONDS = 15


@contextmanager
def revoking(
    folder: Path,
    change: Callable[[dict[str, Any], IdentityProvider], None],
    process: type[DeputizeProcess] = DeputizeProcess,
) -> Iterator[tuple[Live, IdentityProvider]]:
    """A service whose issuer can revoke; `change` edits the `spec` of the configuration."""
    issuer = Issuer(ISSUER_URL)
    with running_identity_provider(issuer) as provider:
        (folder / "secret").write_text(CLIENT_SECRET, encoding="utf-8")
        with running_live(
            folder,
            keys=provider.keys,
            issuer=issuer,
            change=lambda spec: change(spec, provider),
            process=process,
        ) as live:
            yield live, provider


def with_deny_file(spec: dict[str, Any], _provider: IdentityProvider) -> None:
    spec["denyLists"] = [{"file": "deny.yaml"}]


def with_deny_url(spec: dict[str, Any], provider: IdentityProvider) -> None:
    url = f"{provider.url}{DENIED}"
    spec["denyLists"] = [{"url": url, "refreshSeconds": 1, "staleAfterSeconds": 10}]


def with_statuses(spec: dict[str, Any], provider: IdentityProvider) -> None:
    spec["issuers"][0]["statusLists"] = provider.status_lists


def with_introspection(spec: dict[str, Any], provider: IdentityProvider) -> None:
    spec["issuers"][0]["introspection"] = provider.introspected("secret")


def check_of(live: Live, **claims: object) -> bytes:
    """A check with one token, for asking again and again."""
    return make_check(live.issuer.issue(now=time.time(), claims=claims)).SerializeToString()


def wait_for(live: Live, octets: bytes, reason: Reason) -> None:
    wait_until(lambda: live.ask(octets).reason == reason, SECONDS, reason)


DENIALS: list[tuple[dict[str, object], Reason]] = [
    ({"tokens": [{"issuer": ISSUER_URL, "id": "t-1"}]}, Reason.TOKEN_REVOKED),
    ({"principals": [{"issuer": ISSUER_URL, "subject": "alice"}]}, Reason.TOKEN_REVOKED),
    ({"issuers": [ISSUER_URL]}, Reason.TOKEN_REVOKED),
    (
        {"issuedBefore": [{"issuer": ISSUER_URL, "time": "2100-01-01T00:00:00Z"}]},
        Reason.TOKEN_REVOKED,
    ),
    (
        {"issuedBefore": [{"agent": AGENT, "time": "2100-01-01T00:00:00Z"}]},
        Reason.TOKEN_REVOKED,
    ),
    ({"agents": [AGENT]}, Reason.PEER_SUSPENDED),
]


def test_a_deny_list_in_a_file_is_followed(tmp_path: Path) -> None:
    file = tmp_path / "deny.yaml"
    file.write_text(deny_list())
    with revoking(tmp_path, with_deny_file) as (live, _provider):
        octets = check_of(live, jti="t-1")
        for spec, reason in DENIALS:
            assert live.ask(octets).allowed
            replace_file(file, deny_list(**spec))
            wait_for(live, octets, reason)
            replace_file(file, deny_list())
            wait_for(live, octets, Reason.POLICY_ALLOWED)


def test_a_broken_deny_list_leaves_the_last_good_one_and_a_warning(tmp_path: Path) -> None:
    file = tmp_path / "deny.yaml"
    file.write_text(deny_list(agents=[AGENT]))
    with revoking(tmp_path, with_deny_file) as (live, _provider):
        assert live.ask().reason == Reason.PEER_SUSPENDED
        replace_file(file, deny_list(agents=["not a SPIFFE ID"]))
        wait_until(lambda: "deny.yaml" in str(live.readiness()["warnings"]), SECONDS)
        assert live.ask().reason == Reason.PEER_SUSPENDED


def test_a_deny_list_that_is_not_there_refuses_every_call(tmp_path: Path) -> None:
    with revoking(tmp_path, with_deny_file, UnreadyProcess) as (live, _provider):
        wait_until(lambda: live.ask().reason == Reason.SYSTEM_STATUS_UNAVAILABLE, SECONDS)
        assert "deny.yaml" in str(live.readiness()["waiting_for"])
        (tmp_path / "deny.yaml").write_text(deny_list())
        live.wait_for_reason(Reason.POLICY_ALLOWED)


def test_a_deny_list_at_a_url_is_followed_until_it_is_too_old(tmp_path: Path) -> None:
    with revoking(tmp_path, with_deny_url) as (live, provider):
        octets = check_of(live, jti="t-1")
        assert live.ask(octets).allowed
        provider.denied = {"tokens": [{"issuer": ISSUER_URL, "id": "t-1"}]}
        wait_for(live, octets, Reason.TOKEN_REVOKED)
        provider.denied = {}
        wait_for(live, octets, Reason.POLICY_ALLOWED)
        provider.is_down.set()
        wait_until(lambda: "deny.json" in str(live.readiness()["warnings"]), SECONDS)
        assert live.ask(octets).allowed
        wait_for(live, octets, Reason.SYSTEM_STATUS_UNAVAILABLE)


def test_a_status_list_is_fetched_when_a_token_asks_and_followed(tmp_path: Path) -> None:
    with revoking(tmp_path, with_statuses) as (live, provider):
        assert provider.asked[STATUSES] == 0
        first, second = (check_of(live, **provider.statuses.claim(index)) for index in (3, 4))
        assert live.ask(first).allowed
        assert live.ask(second).allowed
        assert provider.asked[STATUSES] == 1
        provider.statuses.revoke(3)
        wait_for(live, first, Reason.TOKEN_REVOKED)
        assert live.ask(second).allowed
        provider.statuses.restore(3)
        wait_for(live, first, Reason.POLICY_ALLOWED)
        assert live.ask(check_of(live)).allowed


def test_a_status_list_follows_the_keys_of_its_issuer(tmp_path: Path) -> None:
    with revoking(tmp_path, with_statuses) as (live, provider):
        live.issuer.rotate("k2")
        assert live.ask(check_of(live, **provider.statuses.claim(3))).allowed
        assert provider.asked[KEYS] == 2


def test_a_status_list_elsewhere_is_not_fetched(tmp_path: Path) -> None:
    with revoking(tmp_path, with_statuses) as (live, provider):
        for uri in (f"{provider.url}{DENIED}", f"{provider.url}/status/../deny.json"):
            status = {"status_list": {"idx": 0, "uri": uri}}
            assert live.ask(check_of(live, status=status)).reason == (
                Reason.SYSTEM_STATUS_UNAVAILABLE
            )
        assert provider.asked[DENIED] == 0


def test_an_issuer_is_asked_about_its_tokens(tmp_path: Path) -> None:
    with revoking(tmp_path, with_introspection) as (live, provider):
        token = live.issuer.issue(now=time.time())
        octets = make_check(token).SerializeToString()
        assert live.ask(octets).allowed
        provider.introspection.revoke(token)
        wait_for(live, octets, Reason.TOKEN_REVOKED)
        assert live.ask().allowed
        provider.introspection.secret = "another"
        wait_until(
            lambda: live.ask(live.check()).reason == Reason.SYSTEM_STATUS_UNAVAILABLE, SECONDS
        )


def test_a_new_deny_list_comes_with_its_configuration(tmp_path: Path) -> None:
    """There is no moment in which its tokens are let in, or in which all are refused."""
    (tmp_path / "deny.yaml").write_text(
        deny_list(tokens=[{"issuer": ISSUER_URL, "id": "t-1"}], agents=[f"{AGENT}-other"])
    )
    with revoking(tmp_path, lambda _spec, _provider: None) as (live, _provider):
        revoked = check_of(live, jti="t-1")
        config = tmp_path / "deputize.yaml"
        document = yaml.safe_load(config.read_text())
        with open_channel(live.address) as channel:
            seen: list[str] = []

            def ask_both() -> str:
                seen.append(ask(channel, revoked).reason)
                return ask(channel, live.check()).reason

            with Load(ask_both, callers=2) as load:
                load.wait_for_more(20)
                document["spec"]["denyLists"] = [{"file": "deny.yaml"}]
                replace_file(config, yaml.safe_dump(document))
                wait_until(lambda: seen[-1] == Reason.TOKEN_REVOKED, SECONDS)
                load.wait_for_more(50)
        assert set(load.outcomes) == {Reason.POLICY_ALLOWED}
        first = seen.index(Reason.TOKEN_REVOKED)
        assert set(seen[:first]) == {Reason.POLICY_ALLOWED}
        # Two callers: an answer from before the change may be noted just behind it.
        assert set(seen[first + 2 :]) == {Reason.TOKEN_REVOKED}


def replace_file(file: Path, text: str) -> None:
    draft = file.with_suffix(".draft")
    draft.write_text(text)
    draft.replace(file)
