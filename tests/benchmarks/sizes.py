"""How large the service is: memory, time to start and to reload, audit events in bytes."""

from __future__ import annotations

import gzip
import lzma
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from deputize._proto.envoy.service.auth.v3.external_auth_pb2 import CheckRequest
from tests.benchmarks.probe import mebibytes, take_change
from tests.benchmarks.scenario import ISSUER, make_check, make_config, write_world
from tests.harness.grpc_client import check_method, open_channel
from tests.harness.issuer import Issuer
from tests.harness.loopback import free_port
from tests.harness.service import DeputizeProcess

TOKENS, WARM_UP = 10_000, 500
CALLS_PER_TOKEN = 100
CONNECTIONS, ENTRIES = 500, 50_000


@dataclass(frozen=True)
class Standing:
    """A service under one number of rules. Memory in MiB, times in seconds.

    `memory` once it is ready; `peak` of memory, and the `slowest` check, over a reload.
    """

    ready: float
    ready_cpu: float
    memory: float
    reload: float
    slowest: float
    peak: float


@dataclass(frozen=True)
class Sizes:
    """Bytes: of memory per remembered token and per open connection, of audit events by effect.

    `revoked` are two for each entry of a deny list: while it is in use, and while it is read.
    `packed` has the share of its size that is left of a file of allows, by the program and by how
    many calls came with each token.
    """

    token: float
    connection: float
    revoked: tuple[float, float]
    events: dict[str, float]
    packed: dict[tuple[str, int], float]


def measure_standing(folder: Path, issuer: Issuer, rules: int) -> Standing:
    """Starts a service and changes its policy once."""
    config = make_config("grpcio", free_port(), free_port(), TOKENS)
    folder.mkdir()
    write_world(folder, issuer, rules)
    started = time.monotonic()
    with DeputizeProcess(config, folder) as service:
        ready, cpu = time.monotonic() - started, service.cpu_seconds
        memory = mebibytes(service, "VmRSS")
        new = _changed(folder / "policy.yaml")
        with open_channel(service.grpc_addresses[0]) as channel:
            reload, slowest = take_change(
                service,
                channel,
                make_check(issuer),
                lambda: new.rename(folder / "policy.yaml"),
            )
        peak = mebibytes(service, "VmHWM")
    return Standing(ready, cpu, memory, reload, slowest, peak)


def measure_sizes(folder: Path, issuer: Issuer) -> Sizes:
    """Sends distinct tokens once each, then few tokens often, then calls that are refused."""
    folder.mkdir()
    write_world(folder, issuer, 10)
    config = make_config("grpcio", free_port(), free_port(), TOKENS)
    with (
        DeputizeProcess(config, folder) as service,
        open_channel(service.grpc_addresses[0]) as channel,
    ):
        ask = check_method(channel)
        checks = [_varied(make_check(issuer, _claims(number)), number) for number in range(TOKENS)]
        for check in checks[:WARM_UP]:
            ask(check)
        before = mebibytes(service, "VmRSS")
        for check in checks[WARM_UP:]:
            ask(check)
        token = (mebibytes(service, "VmRSS") - before) * 2**20 / (TOKENS - WARM_UP)
        few = checks[: TOKENS // CALLS_PER_TOKEN]
        for number in range(TOKENS):
            ask(_varied(few[number % len(few)], number))
        for number in range(TOKENS):
            ask(_refused(checks[number], number))
        connection = _connection(service, checks[0])
    lines = service.audit_file.read_bytes().splitlines(keepends=True)
    once, often, refused = (lines[start : start + TOKENS] for start in range(0, 3 * TOKENS, TOKENS))
    assert len(lines) == 3 * TOKENS + CONNECTIONS
    return Sizes(
        token,
        connection,
        _revoked(folder, config),
        {"allow": _mean(once), "deny": _mean(refused)},
        {
            (program, calls): len(pack(b"".join(part))) / len(b"".join(part))
            for calls, part in ((1, once), (CALLS_PER_TOKEN, often))
            for program, pack in (("gzip", gzip.compress), ("xz", lzma.compress))
        },
    )


def tell_standings(standings: dict[int, Standing]) -> Iterator[str]:
    """One line for each number of rules."""
    for rules, found in standings.items():
        yield (
            f"{rules:,} rules: ready after {found.ready:.2f} s ({found.ready_cpu:.2f} s CPU), "
            f"{found.memory:.0f} MiB; reload {found.reload:.2f} s, "
            f"slowest check meanwhile {found.slowest * 1000:.0f} ms, peak {found.peak:.0f} MiB"
        )


def tell_sizes(sizes: Sizes) -> Iterator[str]:
    """One line for each."""
    yield f"remembered token: {sizes.token:,.0f} bytes"
    yield f"open connection: {sizes.connection:,.0f} bytes"
    used, read = sizes.revoked
    yield f"entry of a deny list: {used:,.0f} bytes, {read:,.0f} while it is read"
    for kind, octets in sizes.events.items():
        yield f"audit event, {kind}: {octets:,.0f} bytes"
    for (program, calls), share in sizes.packed.items():
        yield f"audit events, {calls} calls with each token, {program}: 1 : {1 / share:.1f}"


def _connection(service: DeputizeProcess, check: bytes) -> float:
    """Bytes for each connection on which one check was answered, as long as it is open."""
    before = mebibytes(service, "VmRSS")
    with ExitStack() as stack:
        for _ in range(CONNECTIONS):
            channel = stack.enter_context(open_channel(service.grpc_addresses[0]))
            check_method(channel)(check)
        return (mebibytes(service, "VmRSS") - before) * 2**20 / CONNECTIONS


def _revoked(folder: Path, config: dict[str, Any]) -> tuple[float, float]:
    """Bytes for each entry of a deny list, and at the peak of reading it."""
    found: list[tuple[float, float]] = []
    for entries in (0, ENTRIES):
        spec = {"tokens": [{"issuer": ISSUER, "id": _identifier(n)} for n in range(entries)]}
        document = {"apiVersion": "deputize.dev/v1alpha1", "kind": "DenyList", "spec": spec}
        (folder / "deny.yaml").write_text(yaml.dump(document, Dumper=yaml.CSafeDumper))
        config["spec"]["denyLists"] = [{"file": "deny.yaml"}]
        with DeputizeProcess(config, folder) as service:
            found.append((mebibytes(service, "VmRSS"), mebibytes(service, "VmHWM")))
    (base, base_peak), (full, full_peak) = found
    return (full - base) * 2**20 / ENTRIES, (full_peak - base_peak) * 2**20 / ENTRIES


def _claims(number: int) -> dict[str, object]:
    return {"jti": _identifier(number), "sub": f"person-{number}"}


def _identifier(number: int) -> str:
    return f"0c4f1e9a-7d1b-4c1e-9a55-{number:012x}"


def _varied(octets: bytes, number: int) -> bytes:
    """The same call of another order, under another request id."""
    check = CheckRequest.FromString(octets)
    http = check.attributes.request.http
    http.path = http.headers[":path"] = f"/v1/orders/{number}"
    http.headers["x-request-id"] = f"5f3d0c8e-9a51-4d9e-8f0b-{number * 7919:012x}"
    return check.SerializeToString()


def _refused(octets: bytes, number: int) -> bytes:
    """A call of something that no rule grants."""
    check = CheckRequest.FromString(_varied(octets, number))
    http = check.attributes.request.http
    http.method = http.headers[":method"] = "DELETE"
    return check.SerializeToString()


def _changed(policy: Path) -> Path:
    """A file beside it, with one rule changed."""
    document = yaml.load(policy.read_bytes(), Loader=yaml.CSafeLoader)
    document["spec"]["rules"][-1]["methods"] = ["GET", "HEAD"]
    new = policy.with_suffix(".new")
    new.write_text(yaml.dump(document, Dumper=yaml.CSafeDumper))
    return new


def _mean(lines: list[bytes]) -> float:
    return sum(map(len, lines)) / len(lines)
