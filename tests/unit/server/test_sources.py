from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import generate_latest

from deputize.adapters.telemetry import Telemetry
from deputize.config.loader import Loaded, load
from deputize.core.revocation import Revocations
from deputize.core.token import verify
from deputize.core.verdict import KeyWanted, StatusWanted
from deputize.server.sources import Sources
from deputize.server.state import Fetched, State
from tests.harness.certificates import make_authority, make_bundle
from tests.harness.config_files import SERVICE, write_world
from tests.harness.deny_lists import deny_list
from tests.harness.identity_provider import IdentityProvider, running_identity_provider
from tests.harness.introspection_endpoint import CLIENT_SECRET
from tests.harness.issuer import Issuer
from tests.harness.loopback import HOST, free_port
from tests.harness.polling import wait_until
from tests.harness.world import ISSUER_URL, TRUST_DOMAIN, bearer, make_snapshot, no_recall

SECONDS = 10
URI = "urn:statuses:1"


@dataclass(slots=True)
class World:
    """Everything that can be fetched, in files of `folder` and at a provider."""

    folder: Path
    provider: IdentityProvider
    state: State
    sources: Sources
    telemetry: Telemetry

    def use(self, change: Callable[[dict[str, Any]], None] = lambda _spec: None) -> None:
        document = yaml.safe_load(SERVICE)
        spec = document["spec"]
        spec["peer"]["bundles"] = [{"trustDomain": TRUST_DOMAIN, "file": "bundle.json"}]
        spec["denyLists"] = [{"file": "deny.yaml"}]
        issuer = spec["issuers"][0]
        issuer["statusLists"] = {**self.provider.status_lists, "files": {URI: "list.jwt"}}
        issuer["introspection"] = self.provider.introspected("secret")
        change(spec)
        loaded = load(write_world(self.folder, service=yaml.safe_dump(document)))
        self.sources.use(loaded)

    def write(self, name: str, text: str | bytes) -> None:
        (self.folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
        self.sources.poke_files()

    def write_all(self) -> None:
        self.provider.statuses.uri = URI
        for name, text in self.documents().items():
            self.write(name, text)

    def documents(self) -> Mapping[str, str | bytes]:
        return {
            "jwks.json": self.provider.issuer.jwks(),
            "bundle.json": make_bundle(make_authority()),
            "deny.yaml": deny_list(),
            "list.jwt": self.provider.statuses.token(),
            "secret": CLIENT_SECRET,
        }

    def waiting_for(self, now: float | None = None) -> list[str]:
        report = self.sources.report(time.time() if now is None else now)
        return sorted(line.partition(":")[0].partition(" ")[0] for line in report.waiting_for)

    def warnings(self) -> list[str]:
        return [line.partition(" ")[0] for line in self.sources.report(time.time()).warnings]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    state = State(None)
    telemetry = Telemetry("grpcio")
    sources = Sources(state, telemetry)
    with running_identity_provider(Issuer(ISSUER_URL)) as provider:
        yield World(tmp_path, provider, state, sources, telemetry)
        sources.stop()


def wait(check: Callable[[], object]) -> None:
    wait_until(lambda: bool(check()), SECONDS)


def test_what_is_not_there_keeps_checks_away(world: World) -> None:
    world.use()
    assert world.waiting_for() == ["bundle", "deny", "keys"]


def test_with_everything_there_nothing_is_wrong(world: World) -> None:
    world.write_all()
    world.use()
    wait(lambda: world.waiting_for() == [])
    wait(lambda: world.warnings() == [])
    assert set(world.state.fetched.status_lists) == {(ISSUER_URL, URI)}


def test_what_is_too_old_keeps_checks_away(world: World) -> None:
    world.write_all()
    world.use()
    wait(lambda: world.waiting_for() == [])
    # A deny list in a file is good until there is another.
    assert world.waiting_for(math.inf) == ["bundle", "keys"]


def test_what_breaks_later_is_a_warning(world: World) -> None:
    world.write_all()
    world.use()
    wait(lambda: world.waiting_for() == [])
    for name in ("jwks.json", "bundle.json", "deny.yaml", "list.jwt"):
        world.write(name, "broken")
    wait(lambda: sorted(world.warnings()) == ["bundle", "deny", "keys", "status"])
    assert world.waiting_for() == []


def test_keys_from_elsewhere_are_gone_before_a_configuration_comes_into_use(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.write_all()
    world.use()
    wait(lambda: world.waiting_for() == [])
    seen: list[Fetched] = []
    use = world.state.use

    def seen_use(loaded: Loaded, revocations: Revocations) -> None:
        seen.append(world.state.fetched)
        use(loaded, revocations)

    monkeypatch.setattr(world.state, "use", seen_use)

    def move(spec: dict[str, Any]) -> None:
        spec["issuers"][0]["keys"]["file"] = "other.json"
        spec["peer"]["bundles"][0]["file"] = "other.json"

    world.use(move)
    assert [(len(fetched.key_rings), len(fetched.bundles)) for fetched in seen] == [(0, 0)]
    assert world.waiting_for() == ["bundle", "keys"]


def test_what_is_missing_is_fetched_where_it_belongs(world: World) -> None:
    world.write_all()
    world.use()
    wait(lambda: world.waiting_for() == [])
    world.provider.issuer.rotate("k2")
    (world.folder / "jwks.json").write_bytes(world.provider.issuer.jwks())
    world.sources.refetch(KeyWanted(ISSUER_URL, "k2"), SECONDS)
    assert "k2" in world.state.fetched.key_rings[ISSUER_URL].keys
    uri = f"{world.provider.url}/status/1"
    world.provider.statuses.uri = uri
    world.sources.refetch(StatusWanted(ISSUER_URL, uri), SECONDS)
    assert (ISSUER_URL, uri) in world.state.fetched.status_lists


def test_no_query_of_a_url_is_told(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.write_all()
    (world.folder / "list.jwt").write_text("broken")
    nowhere = f"http://{HOST}:{free_port()}"
    caplog.set_level("DEBUG")

    def with_secrets(spec: dict[str, Any]) -> None:
        issuer = spec["issuers"][0]
        issuer["keys"] = {"url": f"{nowhere}/jwks.json?sig=s3cret"}
        issuer["statusLists"]["files"] = {f"{URI}?s3cret": "list.jwt"}
        issuer["introspection"]["url"] = f"{nowhere}/introspect?sig=s3cret"
        spec["peer"]["bundles"][0] = {
            "trustDomain": TRUST_DOMAIN,
            "url": f"{nowhere}/bundle.json?sig=s3cret",
        }
        spec["denyLists"] = [{"url": f"{nowhere}/deny.json?sig=s3cret{n}"} for n in range(2)]

    world.use(with_secrets)
    client = world.sources.introspection(ISSUER_URL)
    assert client is not None
    compact = world.provider.issuer.issue(now=time.time())
    snapshot = make_snapshot(world.provider.issuer)
    token = verify(bearer(compact), snapshot.issuers, snapshot.key_rings, time.time(), no_recall)
    client.ask(compact, token, SECONDS)
    wait(lambda: sorted(world.warnings()) == ["introspection", "status"])
    wait(lambda: "not fetched yet" not in str(world.sources.report(time.time())))
    report = world.sources.report(time.time())
    metrics = generate_latest(world.telemetry.registry).decode()
    for text in ("\n".join((*report.waiting_for, *report.warnings)), caplog.text, metrics):
        assert "deny.json" in text or "jwks.json" in text
        assert "s3cret" not in text
    # The two lists can be told apart all the same.
    assert len(report.waiting_for) == len(set(report.waiting_for)) == 4
    ages = [line for line in metrics.splitlines() if "age_seconds{" in line and "deny" in line]
    assert len(ages) == 2


def test_an_issuer_is_asked_by_the_same_client_until_its_settings_change(world: World) -> None:
    world.write_all()
    world.use()
    client = world.sources.introspection(ISSUER_URL)
    assert client is not None
    assert world.sources.introspection("https://other.example") is None
    world.use(lambda spec: spec["issuers"][0].update(useOnce=True))
    assert world.sources.introspection(ISSUER_URL) is client
    world.use(lambda spec: spec["issuers"][0]["introspection"].update(cacheSeconds=2))
    assert world.sources.introspection(ISSUER_URL) not in {client, None}
    world.use(lambda spec: spec["issuers"][0].pop("introspection"))
    assert world.sources.introspection(ISSUER_URL) is None
