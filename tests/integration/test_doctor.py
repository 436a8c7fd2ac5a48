"""`deputize doctor` against a running service: silent about a sound one, and each fault told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from deputize.cli.main import app
from deputize.doctor.findings import Code, Report
from deputize.doctor.live_grpc import ask_port
from tests.harness.check_message import make_check
from tests.harness.config_files import changed, replace_file
from tests.harness.grpc_client import ask, health, open_channel
from tests.harness.issuer import Issuer
from tests.harness.jwks_endpoint import running_jwks_endpoint
from tests.harness.live import SECONDS, Live, UnreadyProcess, running_live
from tests.harness.loopback import HOST, free_port
from tests.harness.polling import wait_until
from tests.harness.spiffe_ca import SpiffeCa
from tests.harness.world import ISSUER_URL, PROXY, TRUST_DOMAIN

Arguments = list[str | Path]
Spec = dict[str, Any]

MANIFESTS = Path(__file__).parents[1] / "unit" / "doctor" / "healthy"
KINDS = ("agentgateway", "envoy", "gateways", "istio")
ONE_REPLICA = {
    "gateways": ("kind: DaemonSet", "kind: Deployment"),
    "istio": ("replicas: 2", "replicas: 1"),
}
"""Budgets are kept in memory here: what is changed so that they are counted in one place."""


def found(arguments: Arguments) -> list[dict[str, str]]:
    """The findings, as a program reads them."""
    result = CliRunner().invoke(app, ["doctor", *map(str, arguments), "--format", "json"])
    findings: list[dict[str, str]] = json.loads(result.stdout)["findings"]
    assert result.exit_code == (1 if findings else 0)
    return findings


def everything(live: Live) -> Arguments:
    return ["--config", live.process.config_file, *at(live), "--grpc", live.address]


def at(live: Live) -> Arguments:
    return ["--url", live.process.http_url]


def with_tls(folder: Path, **settings: object) -> Callable[[Spec], None]:
    """A certificate of its own for the service."""
    (folder / "tls").mkdir(parents=True)
    authority = SpiffeCa(TRUST_DOMAIN, folder / "tls")
    authority.issue("own", dns=["deputize.example"])
    files = {"certificateFile": "tls/own.pem", "privateKeyFile": "tls/own.key"}

    def change(spec: Spec) -> None:
        spec["server"]["grpc"]["tls"] = {**files, **settings}

    return change


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """Plain, on loopback, with its keys at a URL."""
    issuer = Issuer(ISSUER_URL)
    with running_jwks_endpoint(issuer.jwks) as url:
        folder = tmp_path_factory.mktemp("doctor")
        with running_live(folder, keys={"url": url}, issuer=issuer) as running:
            # It says so a moment after `/readyz`.
            with open_channel(running.address) as channel:
                wait_until(lambda: health(channel) == "SERVING", SECONDS)
            yield running


def test_a_sound_service_is_silent(live: Live) -> None:
    assert found(everything(live)) == []


def test_a_sound_service_with_tls_is_silent_beside_manifests_of_each_kind(tmp_path: Path) -> None:
    tls = with_tls(tmp_path, clientCaFile="tls/ca.pem", allowedCallers=[PROXY])

    def change(spec: Spec) -> None:
        tls(spec)
        spec["server"]["decisionTimeoutMillis"] = 150

    with running_live(tmp_path, change=change) as live:
        for kind in KINDS:
            file = tmp_path / f"{kind}.yaml"
            text = (MANIFESTS / file.name).read_text()
            one_replica = ONE_REPLICA.get(kind)
            file.write_text(changed(text, *one_replica) if one_replica else text)
            assert found([*everything(live), "--manifests", file]) == []


def test_it_asks_what_can_only_be_refused(live: Live) -> None:
    before = len(live.process.audit_events())
    found(["--grpc", live.address])
    wait_until(lambda: len(live.process.audit_events()) > before, SECONDS)
    (event,) = live.process.audit_events()[before:]
    assert (event["effect"], event["http"]["host"]) == ("deny", "doctor.invalid")
    assert event["asserted_principal"] == ""


def nobody(_folder: Path) -> Iterator[Arguments]:
    yield ["--url", f"http://{HOST}:{free_port()}"]


def nobody_at_the_port(_folder: Path) -> Iterator[Arguments]:
    yield ["--grpc", f"{HOST}:{free_port()}"]


def somebody_else(_folder: Path) -> Iterator[Arguments]:
    with running_jwks_endpoint(lambda: b"[1]") as url:
        yield ["--url", url.rpartition("/")[0]]


@contextmanager
def without_keys(folder: Path) -> Iterator[Live]:
    nowhere = {"url": f"http://{HOST}:{free_port()}/keys"}
    with running_live(folder, keys=nowhere, process=UnreadyProcess) as live:
        yield live


def not_ready(folder: Path) -> Iterator[Arguments]:
    with without_keys(folder) as live:
        wait_until(lambda: live.readiness()["waiting_for"], SECONDS)
        yield at(live)


def not_serving(folder: Path) -> Iterator[Arguments]:
    with without_keys(folder) as live:
        yield ["--grpc", live.address]


def needs_a_restart(folder: Path) -> Iterator[Arguments]:
    with running_live(folder) as live:
        live.change_config(lambda spec: spec["server"].update(decisionTimeoutMillis=1000))
        wait_until(lambda: live.readiness()["warnings"], SECONDS)
        yield at(live)


def failed_before(folder: Path) -> Iterator[Arguments]:
    with running_live(folder) as live:
        good = live.policy_file.read_text()
        replace_file(live.policy_file, "no policy")
        wait_until(lambda: live.readiness()["warnings"], SECONDS)
        replace_file(live.policy_file, good)
        wait_until(lambda: not live.readiness()["warnings"], SECONDS)
        yield at(live)


def observing(folder: Path) -> Iterator[Arguments]:
    with running_live(folder, change=lambda spec: spec.update(policyMode="observe")) as live:
        yield at(live)


def other_files(folder: Path) -> Iterator[Arguments]:
    with running_live(folder) as live:
        other = folder / "other.yaml"
        document = yaml.safe_load(live.process.config_file.read_text())
        document["spec"]["delegation"] = {"maxChainDepth": 1}
        other.write_text(yaml.safe_dump(document))
        yield ["--config", other, *at(live)]


@contextmanager
def only_refusing(folder: Path) -> Iterator[Live]:
    """It has refused a hundred calls, and no rule decided any of them."""
    with running_live(folder) as live:
        octets = make_check().SerializeToString()
        with open_channel(live.address) as channel:
            assert not any(ask(channel, octets).allowed for _ in range(100))
        wait_until(lambda: len(live.process.audit_events()) >= 100, SECONDS)
        yield live


def unused_by_metrics(folder: Path) -> Iterator[Arguments]:
    with only_refusing(folder) as live:
        yield ["--config", live.process.config_file, *at(live)]


def unused_by_audit(folder: Path) -> Iterator[Arguments]:
    with only_refusing(folder) as live:
        yield ["--config", live.process.config_file, "--audit", live.process.audit_file]


FAULTS: dict[Callable[[Path], Iterator[Arguments]], Code] = {
    nobody: Code.NO_ANSWER,
    nobody_at_the_port: Code.NO_ANSWER,
    somebody_else: Code.NO_ANSWER,
    not_ready: Code.NOT_READY,
    not_serving: Code.NOT_SERVING,
    needs_a_restart: Code.SERVICE_WARNS,
    failed_before: Code.RELOADS_FAILED,
    observing: Code.OBSERVE_MODE,
    other_files: Code.OTHER_CONFIG,
    unused_by_metrics: Code.POLICY_UNUSED,
    unused_by_audit: Code.POLICY_UNUSED,
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_fault_gives_its_code_and_no_other(
    fault: Callable[[Path], Iterator[Arguments]], tmp_path: Path
) -> None:
    with contextmanager(fault)(tmp_path) as arguments:
        assert {each["code"] for each in found(arguments)} == {FAULTS[fault]}


def codes_from_afar(address: str) -> set[Code]:
    """What the port shows to somebody who is not on its host."""
    report = Report()
    ask_port(address, report, is_local=False)
    return {each.code for each in report.findings}


OPEN = Code.CHECK_OPEN


def test_plain_text_that_answers_strangers_is_open(live: Live) -> None:
    assert codes_from_afar(live.address) == {OPEN}


@pytest.mark.parametrize(
    ("settings", "codes"),
    [
        ({}, {OPEN}),
        ({"clientCaFile": "tls/ca.pem"}, set()),
    ],
)
def test_tls_is_open_where_it_asks_for_no_certificate(
    settings: dict[str, str], codes: set[Code], tmp_path: Path
) -> None:
    with running_live(tmp_path, change=with_tls(tmp_path, **settings)) as live:
        assert codes_from_afar(live.address) == codes
