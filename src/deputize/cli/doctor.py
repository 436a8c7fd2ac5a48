"""`deputize doctor`: what is wrong with an installation, and with the manifests around it."""

from __future__ import annotations

import json
import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from deputize.cli.audit_files import read_audit
from deputize.cli.inputs import load_config, refuse_input
from deputize.config.loader import Loaded
from deputize.config.problems import ConfigError, visible_text
from deputize.doctor.examination import examine
from deputize.doctor.findings import Code, Finding, Report
from deputize.doctor.installations import find_worlds
from deputize.doctor.live_http import ask_service
from deputize.doctor.live_sources import ask_sources
from deputize.doctor.manifests import read_manifests
from deputize.doctor.settings import read_own
from deputize.doctor.table import MEANINGS
from deputize.doctor.unused import Decided, decided_of_metrics, decided_of_rules, find_unused

_ADDRESS = re.compile(r"unix:/.+|(?:[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\]):(?P<port>[0-9]{1,5})")
_MAX_PORT = 65535
_URL = re.compile(r"https?://[^/?#@\s]+/?")


class Format(StrEnum):
    """How findings are written."""

    TEXT = "text"
    JSON = "json"


def doctor(
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", help="The service configuration.", show_default=False),
    ] = None,
    manifests: Annotated[
        list[Path] | None,
        typer.Option(
            help="Manifests, proxy configurations, or folders of them; `-` is standard input. May "
            "be given several times.",
            show_default=False,
        ),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(help="Ask a running service: `http://host:8080`.", show_default=False),
    ] = None,
    grpc: Annotated[
        str | None,
        typer.Option(
            help="Ask the port for checks: `host:9191` or `unix:/path`.", show_default=False
        ),
    ] = None,
    audit: Annotated[
        list[str] | None,
        typer.Option(
            help="Audit files, to find policies that decide nothing; may be given several times.",
            show_default=False,
        ),
    ] = None,
    ignore: Annotated[
        list[Code] | None,
        typer.Option(
            help="A code to leave out; may be given several times.",
            show_default=False,
            metavar="CODE",
        ),
    ] = None,
    form: Annotated[Format, typer.Option("--format", help="text or json.")] = Format.TEXT,
) -> None:
    """Find what is wrong with a running service, its manifests and the proxies that ask it.

    Exits 0 if nothing is found, 1 if something is, 2 on bad input. No token or secret is sent
    anywhere. With `--config` issuers and stores are asked from here.

    Example: `kubectl get -A -o yaml deploy,svc,gateway | deputize doctor --manifests -`
    """
    if not (config or manifests or url or grpc):
        raise typer.BadParameter("give `--config`, `--manifests`, `--url` or `--grpc`")
    if audit and not config:
        raise typer.BadParameter("`--audit` needs `--config`, which names the policies")
    if url is not None and not _URL.fullmatch(url):
        raise typer.BadParameter("`--url` is like `http://host:8080`")
    if grpc is not None and not _is_address(grpc):
        raise typer.BadParameter("`--grpc` is like `host:9191`, or `unix:/path`")
    loaded = load_config(config) if config else None
    report = Report()
    _examine_files(loaded, manifests or [], report)
    decided = _read_decided(audit, report)
    if loaded is not None:
        ask_sources(loaded, report)
    if url is not None:
        samples = ask_service(url, loaded, report)
        if decided is None and samples is not None:
            decided = decided_of_metrics(url, samples)
    if grpc is not None:
        from deputize.doctor.live_grpc import ask_port  # noqa: PLC0415 - others need no gRPC

        ask_port(grpc, report)
    if loaded is not None and decided is not None:
        report.add(find_unused(decided, loaded))
    _tell(report, frozenset(ignore or ()), form)


def _is_address(text: str) -> bool:
    match = _ADDRESS.fullmatch(text)
    return match is not None and int(match["port"] or 0) <= _MAX_PORT


def _examine_files(loaded: Loaded | None, paths: list[Path], report: Report) -> None:
    try:
        manifests = read_manifests(paths)
        own = read_own(manifests)
        report.add(own.findings)
        examine(find_worlds(manifests, own, loaded, report.unchecked), report)
    except ConfigError as error:
        refuse_input(str(error))


def _read_decided(audit: list[str] | None, report: Report) -> Decided | None:
    if not audit:
        return None
    events = read_audit(audit).events
    report.checked.append(f"{len(events)} audit events")
    named = {event.rule or "" for event in events}
    named |= {event.observed.rule or "" for event in events if event.observed is not None}
    return decided_of_rules(", ".join(audit), len(events), named)


def _tell(report: Report, ignored: frozenset[Code], form: Format) -> None:
    found = [each for each in report.ordered() if each.code not in ignored]
    if form is Format.JSON:
        value = {
            "findings": [_to_json(each) for each in found],
            "checked": report.checked,
            "unchecked": report.unchecked,
        }
        # In ASCII, so that no text of others steers a terminal.
        typer.echo(json.dumps(value, indent=2))
    else:
        for each in found:
            _show(each)
        _show_looked_at(report, is_sound=not found)
    raise typer.Exit(1 if found else 0)


def _show(finding: Finding) -> None:
    meaning = MEANINGS[finding.code]
    lines = [
        f"{meaning.severity}: {finding.where}: [{finding.code}] {finding.cause}",
        f"  fix: {meaning.fix}",
    ]
    # Texts of manifests and answers, which must not steer a terminal.
    typer.echo("\n".join(map(visible_text, lines)))


def _show_looked_at(report: Report, *, is_sound: bool) -> None:
    for text in report.checked:
        typer.echo(visible_text(f"checked: {text}"))
    for text in report.unchecked:
        typer.echo(visible_text(f"not checked: {text}"))
    if is_sound:
        typer.echo("nothing found")


def _to_json(finding: Finding) -> dict[str, str]:
    meaning = MEANINGS[finding.code]
    return {
        "code": finding.code,
        "severity": meaning.severity,
        "where": finding.where,
        "cause": finding.cause,
        "fix": meaning.fix,
    }
