"""Test files read: each with its cases as supposed calls, and the court they come before.

Rules of this file:
- All problems of all files are collected, each with its line; nothing is tested before.
- Test files that name the same policies share a court.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from deputize.cli.case_calls import absent_part, merge_calls, suppose
from deputize.cli.court import Court
from deputize.cli.supposed_call import SupposedCall
from deputize.config.files import is_test_file, is_there, read_file
from deputize.config.loader import load
from deputize.config.policy_compiler import SourcedPolicies
from deputize.config.policy_loader import compile_sources, is_service, read_policies
from deputize.config.policy_test_schema import Expectation, PolicyTest, PolicyTestCase
from deputize.config.problems import ConfigError, Problem, nearest
from deputize.config.strict_yaml import Document, Location, parse_documents
from deputize.config.validation import validate
from deputize.core.model import RuleRef


class RulePlace(NamedTuple):
    """Where a rule stands; the same rule whichever way its file was found."""

    file: str
    line: int
    name: str


@dataclass(frozen=True, slots=True)
class Bench:
    """A court with the places of its rules."""

    court: Court
    rules: Mapping[RuleRef, RulePlace]


@dataclass(frozen=True, slots=True)
class Case:
    """One case: `place` is for problems that only show when it is decided."""

    name: str
    line: int
    call: SupposedCall
    expect: Expectation
    document: Document
    place: Location


@dataclass(frozen=True, slots=True)
class Suite:
    """The cases of one test file."""

    file: Path
    bench: Bench
    cases: tuple[Case, ...]


def load_suites(paths: Iterable[Path]) -> list[Suite]:
    """Everything in these test files and folders.

    Raises:
        ConfigError: with every problem in every file, policies included.
    """
    problems: list[Problem] = []
    suites: list[Suite] = []
    benches: dict[tuple[Path, ...], Bench | None] = {}
    for file in _test_files(paths, problems):
        try:
            for document in _documents(file):
                suite = _load(file, document, benches, problems)
                if suite is not None:
                    suites.append(suite)
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    return suites


def _test_files(paths: Iterable[Path], problems: list[Problem]) -> list[Path]:
    found: dict[Path, Path] = {}
    for path in paths:
        if path.is_dir():
            inside = sorted(file for file in path.rglob("*") if is_test_file(file))
            shown = [file for file in inside if not _is_hidden(file.relative_to(path))]
            if not shown:
                problems.append(Problem(str(path), 0, "", "no test file (*.test.yaml) in it"))
            found |= {file.resolve(): file for file in shown}
        elif not is_test_file(path):
            problems.append(Problem(str(path), 0, "", "the name of a test file ends `.test.yaml`"))
        else:
            found[path.resolve()] = path
    return list(found.values())


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _documents(file: Path) -> list[Document]:
    octets, _ = read_file(file)
    documents = parse_documents(octets, str(file))
    if not documents:
        raise ConfigError([Problem(str(file), 0, "", "no cases in this file")])
    return documents


def _load(
    file: Path,
    document: Document,
    benches: dict[tuple[Path, ...], Bench | None],
    problems: list[Problem],
) -> Suite | None:
    spec = validate(PolicyTest, document).spec
    named = [file.parent / text for text in spec.policies or ()]
    nowhere = [position for position, path in enumerate(named) if not is_there(path)]
    for position in nowhere:
        message = f"no file or folder `{(spec.policies or [])[position]}`"
        problems.append(document.problem(("spec", "policies", position), message))
    key = tuple(sorted(path.resolve() for path in named or (file.parent,)))
    if key not in benches and not nowhere:
        benches[key] = None
        try:
            benches[key] = _open_bench(named or [file.parent])
        except ConfigError as error:
            problems += error.problems
    bench = benches.get(key)
    cases: list[Case] = []
    lacking: dict[str, list[Location]] = {}
    seen: set[str] = set()
    for position, case in enumerate(spec.cases):
        place: Location = ("spec", "cases", position)
        if case.name in seen:
            problems.append(document.problem((*place, "name"), f"case `{case.name}` stands twice"))
        seen.add(case.name)
        if bench is not None:
            problems += _check_rule(case, bench, document, place)
        call = merge_calls(spec.defaults, case.call)
        absent = absent_part(call)
        if absent:
            lacking.setdefault(absent, []).append((*place, "call"))
        else:
            line = document.lines.get((*place, "name"), 0)
            cases.append(Case(case.name, line, suppose(call), case.expect, document, place))
    problems += [_absent(part, document, places) for part, places in lacking.items()]
    return None if bench is None else Suite(file, bench, tuple(cases))


def _absent(part: str, document: Document, places: list[Location]) -> Problem:
    """A part that calls must have; told once where many have it not."""
    if len(places) > 1:
        message = f"`{part}` is given neither here nor in {len(places)} of the cases"
        return document.problem(("spec", "defaults", *part.split(".")), message)
    message = f"`{part}` is not given, neither here nor in `defaults`"
    return document.problem((*places[0], *part.split(".")), message)


def _open_bench(paths: list[Path]) -> Bench:
    services = [path for path in paths if is_service(path)]
    if services and len(paths) > 1:
        message = "a service configuration names its policies; give nothing beside it"
        raise ConfigError([Problem(str(services[0]), 0, "", message)])
    delegation: dict[str, object] | None = None
    is_observed = False
    if services:
        service = load(services[0]).service
        delegation = service.delegation.model_dump(mode="json", by_alias=True)
        is_observed = service.policy_mode == "observe"
        paths = [Path(text) for text in service.policies]
    sources: SourcedPolicies = []
    problems: list[Problem] = []
    for path in paths:
        try:
            sources += read_policies(path)
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    court = Court(compile_sources(sources), delegation=delegation, is_observed=is_observed)
    return Bench(court, _places(sources))


def _places(sources: SourcedPolicies) -> dict[RuleRef, RulePlace]:
    return {
        ref: RulePlace(
            str(Path(document.file).resolve()),
            document.lines.get(("spec", "rules", position), 0),
            str(ref),
        )
        for policy, document in sources
        for position, rule in enumerate(policy.spec.rules)
        for ref in [RuleRef(policy.metadata.name, rule.name)]
    }


def _check_rule(
    case: PolicyTestCase, bench: Bench, document: Document, place: Location
) -> list[Problem]:
    known = {str(ref) for ref in bench.rules}
    named = case.expect.rule
    if named is None or named in known:
        return []
    message = f"no rule `{named}`{nearest(named, known) if known else ''}"
    return [document.problem((*place, "expect", "rule"), message)]
