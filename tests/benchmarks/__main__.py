"""`make bench`: what a decision costs, and whether it still keeps its promises.

Absolute figures depend on the machine; the ratios at the end are taken within this one run.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import yaml
from rich.console import Console
from rich.table import Table

from tests.benchmarks.calls import FEW, MANY, CallCost, measure_calls
from tests.benchmarks.guards import GuardCost, measure_guards
from tests.benchmarks.in_process import DecideCost, measure_decide
from tests.benchmarks.load import Cost, measure
from tests.benchmarks.neighbours import measure_neighbours, tell_neighbours
from tests.benchmarks.objects import measure_objects, tell_objects
from tests.benchmarks.scenario import ISSUER, RULE_COUNTS, make_check, make_config, write_world
from tests.benchmarks.sizes import (
    measure_sizes,
    measure_standing,
    tell_sizes,
    tell_standings,
)
from tests.harness.issuer import Issuer
from tests.harness.loopback import free_port
from tests.harness.service import DeputizeProcess

TRANSPORTS = ("grpcio", "native")
CHECKS = {"hot": 30000, "cold": 10000}
ROUNDS = 2
CACHE = {"hot": 10000, "cold": 0}


def main() -> int:
    """Measures, prints one table and the promises; 1 when one is broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--capacity", action="store_true", help="memory, start, reload, events")
    only.add_argument("--in-process", action="store_true", help="without a server, minutes less")
    wanted = parser.parse_args()
    issuer = Issuer(ISSUER)
    message = make_check(issuer)
    with tempfile.TemporaryDirectory() as name:
        if wanted.capacity:
            return _print_capacity(issuer, Path(name))
        folders = {rules: Path(name) / str(rules) for rules in RULE_COUNTS}
        for rules, folder in folders.items():
            folder.mkdir()
            write_world(folder, issuer, rules)
            config = make_config("grpcio", free_port(), free_port(), 10000)
            (folder / "deputize.yaml").write_text(yaml.safe_dump(config))
        configs = {rules: folder / "deputize.yaml" for rules, folder in folders.items()}
        decided = measure_decide(issuer, message, configs)
        guards = measure_guards(issuer, folders[RULE_COUNTS[0]])
        calls = measure_calls(issuer, folders[RULE_COUNTS[0]])
        if wanted.in_process:
            return _print_in_process(decided, guards, calls)
        served = _serve_all(folders, message)
    _print_table(decided, served, guards)
    _print_calls(calls)
    return _judge([*_promises(decided, guards, calls), _transport_promise(served)])


def _print_in_process(decided: DecideCost, guards: GuardCost, calls: CallCost) -> int:
    """Without servers: the part that takes a minute."""
    _print_calls(calls)
    return _judge(_promises(decided, guards, calls))


def _print_capacity(issuer: Issuer, folder: Path) -> int:
    """What docs/scale.md counts with; nothing is promised."""
    standings = {
        rules: measure_standing(folder / str(rules), issuer, rules) for rules in RULE_COUNTS
    }
    lines = [
        *tell_standings(standings),
        *tell_objects(measure_objects(folder / "objects", issuer)),
        *tell_sizes(measure_sizes(folder / "sizes", issuer)),
        *tell_neighbours(measure_neighbours(folder / "neighbours", issuer)),
    ]
    sys.stdout.writelines(f"{line}\n" for line in lines)
    return 0


def _serve_all(folders: dict[int, Path], message: bytes) -> dict[tuple[str, str, int], Cost]:
    """Each in interleaved rounds, the cheapest counts: the machine is never quiet."""
    best: dict[tuple[str, str, int], Cost] = {}
    for _round in range(ROUNDS):
        for rules, folder in folders.items():
            for kind in CHECKS:
                for transport in TRANSPORTS:
                    cost = _serve(transport, kind, folder, message)
                    name = (transport, kind, rules)
                    best[name] = min(cost, best.get(name, cost), key=lambda each: each.cpu_micros)
    return best


def _serve(transport: str, kind: str, folder: Path, message: bytes) -> Cost:
    config = make_config(transport, free_port(), free_port(), CACHE[kind])
    with DeputizeProcess(config, folder) as service:
        return measure(service, message, CHECKS[kind], folder)


def _print_table(
    decided: DecideCost, served: dict[tuple[str, str, int], Cost], guards: GuardCost
) -> None:
    table = Table(title="CPU microseconds per decision", title_justify="left")
    table.add_column("what")
    table.add_column("kind")
    for rules in RULE_COUNTS:
        table.add_column(f"{rules:,} rules", justify="right")
    for kind, costs in (("hot", decided.hot), ("cold", decided.cold)):
        table.add_row("decide, in process", kind, *(f"{costs[r]:.1f}" for r in RULE_COUNTS))
    for transport in TRANSPORTS:
        for kind in CHECKS:
            cells = [served[transport, kind, rules] for rules in RULE_COUNTS]
            table.add_row(
                f"check over gRPC, {transport}",
                kind,
                *(f"{cost.cpu_micros:.0f} ({cost.per_second:,.0f}/s)" for cost in cells),
            )
    table.add_row("check, in process", "hot", f"{guards.plain:.1f}", "", "")
    table.add_row("with profile, lists, single use", "hot", f"{guards.guarded:.1f}", "", "")
    table.add_row("one ES256 verification", "", f"{decided.es256:.1f}", "", "")
    Console(width=110).print(table)


def _print_calls(calls: CallCost) -> None:
    for name, micros in calls.bodies.items():
        sys.stdout.write(f"read a call of 64 kB, {name}: {micros:.0f} us\n")
    for rules, micros in calls.decided.items():
        sys.stdout.write(f"decide a tool call, {rules:,} rules: {micros:.1f} us\n")
    sys.stdout.write(f"load 10,000 rules about tools: {calls.load_seconds:.2f} s\n")


def _promises(
    decided: DecideCost, guards: GuardCost, calls: CallCost
) -> list[tuple[str, float, float]]:
    """Each with its name, what was measured, and the most it may be."""
    few, many = RULE_COUNTS[0], RULE_COUNTS[-1]
    return [
        ("hot decide, 10,000 rules : 10 rules", decided.hot[many] / decided.hot[few], 1.15),
        ("hot decide : one ES256 verification", decided.hot[many] / decided.es256, 1 / 3),
        (
            "hot check with profile, deny list, single use : plain",
            guards.guarded / guards.plain,
            1.15,
        ),
        ("tool call, 10,000 rules : 10 rules", calls.decided[MANY] / calls.decided[FEW], 1.15),
        ("seconds to load 10,000 rules about tools", calls.load_seconds, 2.0),
        *(
            (f"call of 64 kB, {name} : one ES256 verification", micros / decided.es256, 4.0)
            for name, micros in calls.bodies.items()
        ),
    ]


def _transport_promise(served: dict[tuple[str, str, int], Cost]) -> tuple[str, float, float]:
    worst_share = max(
        served["native", "hot", rules].cpu_micros / served["grpcio", "hot", rules].cpu_micros
        for rules in RULE_COUNTS
    )
    return "hot check, native : grpcio (worst of the three)", worst_share, 1 / 3


def _judge(promises: list[tuple[str, float, float]]) -> int:
    """Prints each promise; 1 when one is broken."""
    for name, found, bound in promises:
        mark = "kept  " if found <= bound else "BROKEN"
        sys.stdout.write(f"{mark} {name}: {found:.3f}, at most {bound:.3f}\n")
    return int(any(found > bound for _name, found, bound in promises))


if __name__ == "__main__":
    sys.exit(main())
