"""`deputize test`: cases for policies, decided by the very decision the service makes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from deputize.cli.court import Court, Judgement
from deputize.cli.inputs import refuse_input
from deputize.cli.junit import CaseReport, render_junit
from deputize.cli.nearest import find_nearest
from deputize.cli.policy_cases import Case, RulePlace, Suite, load_suites
from deputize.cli.supposed_call import SupposedCallError
from deputize.config.policy_test_schema import NOT_OBSERVED, Expectation
from deputize.config.problems import ConfigError, Problem, visible_text
from deputize.core.model import RuleRef
from deputize.core.verdict import Decision, Denial, Effect, Permit

_FAMILY = "policy"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a case: what was expected and what was decided, in words."""

    case: Case
    judgement: Judgement
    seconds: float
    expected: str
    got: str
    missing: str

    @property
    def passed(self) -> bool:
        """Whether all that is expected was decided."""
        return self.expected == ""


def run_tests(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="Test files, or folders of them; this folder if none is given."),
    ] = None,
    junit: Annotated[
        Path | None, typer.Option(help="Write the results as JUnit XML to this file.")
    ] = None,
    coverage: Annotated[
        bool, typer.Option("--coverage", help="Name the rules that no case exercised.")
    ] = False,
    min_coverage: Annotated[
        int | None,
        typer.Option(
            min=0, max=100, help="Fail when fewer of the rules are exercised, in percent."
        ),
    ] = None,
) -> None:
    """Decide the cases in `*.test.yaml` and compare. Exits 0 if all pass, 1 if not, 2 on bad input.

    Example: `deputize test policies --min-coverage 90 --junit report.xml`
    """
    try:
        suites = load_suites(paths or [Path()])
        results = _run(suites)
    except ConfigError as error:
        refuse_input(str(error))
    failed = [(suite, each) for suite, found in results for each in found if not each.passed]
    for suite, each in failed:
        typer.echo(_describe(suite, each) + "\n")
    if junit is not None:
        _write_junit(junit, results)
    count = sum(len(found) for _suite, found in results)
    files = len({suite.file for suite in suites})
    typer.echo(f"cases {count}, failed {len(failed)}, files {files}")
    is_enough = True
    if coverage or min_coverage is not None:
        is_enough = _tell_coverage(results, min_coverage or 0)
    raise typer.Exit(1 if failed or not is_enough else 0)


def _run(suites: list[Suite]) -> list[tuple[Suite, list[Result]]]:
    """Decides every case; raises ConfigError for calls that nobody can make, all of them."""
    problems: list[Problem] = []
    results = [(suite, list(_run_suite(suite, problems))) for suite in suites]
    if problems:
        raise ConfigError(problems)
    return results


def _run_suite(suite: Suite, problems: list[Problem]) -> Iterator[Result]:
    for case in suite.cases:
        begun = time.perf_counter()
        try:
            judgement = suite.bench.court.decide(case.call)
        except SupposedCallError as error:
            problems.append(case.document.problem((*case.place, "call"), str(error)))
            continue
        seconds = time.perf_counter() - begun
        expected, got = _compare(case.expect, judgement.decision)
        missing = _missing(case.expect, judgement, suite.bench.court) if expected else ""
        yield Result(case, judgement, seconds, expected, got, missing)


def _compare(expect: Expectation, decision: Decision) -> tuple[str, str]:
    """What was expected and what was decided, where they differ in anything; else empty texts."""
    observed = decision.observed
    pairs = [
        ("effect", expect.effect, decision.effect.value),
        ("reason", _reason(expect, decision), decision.reason.value),
        ("rule", expect.rule, "none" if decision.rule is None else str(decision.rule)),
        ("scopes", _scopes(expect.scopes), _granted(decision)),
        ("observed", expect.observed, NOT_OBSERVED if observed is None else observed.reason.value),
    ]
    differing = [
        (name, wanted, found)
        for name, wanted, found in pairs
        if wanted is not None and wanted != found
    ]
    if not differing:
        return "", ""
    # The effect stands first for the eye, and the reason says why it is another.
    shown = {name for name, _wanted, _found in differing} | {"effect"}
    expected = [_say(name, wanted) for name, wanted, _ in pairs if name in shown and wanted]
    got = [_say(name, found) for name, _, found in pairs if name in shown | {"reason"} and found]
    return ", ".join(expected), ", ".join(got)


def _reason(expect: Expectation, decision: Decision) -> str | None:
    """A deny whose reason is not given is one by policies, not one by accident."""
    if expect.reason is not None or expect.effect == "allow" or decision.effect is Effect.ALLOW:
        return expect.reason
    return None if decision.reason.family == _FAMILY else f"{_FAMILY}.*"


def _say(name: str, text: str) -> str:
    return text if name in {"effect", "reason"} else f"{name} {text}"


def _scopes(scopes: list[str] | None) -> str | None:
    return None if scopes is None else " ".join(sorted(scopes)) or "none"


def _granted(decision: Decision) -> str:
    if not isinstance(decision.verdict, Permit):
        return ""
    return _scopes(list(decision.verdict.grant.scopes)) or ""


def _missing(expect: Expectation, judgement: Judgement, court: Court) -> str:
    """What of the expected rule, or else of the nearest one, was not met, or who decided."""
    asked, decision = judgement
    verdict = decision.verdict
    if expect.rule is not None and expect.effect == "allow":
        expected = find_nearest(asked, decision, court.snapshot, frozenset({expect.rule}))
        if expected is not None:
            return expected.told
    nearest = find_nearest(asked, decision, court.snapshot)
    if nearest is not None:
        return str(nearest)
    if not isinstance(verdict, Denial):
        return "" if decision.rule is None else f"granted by rule {decision.rule}"
    return f"{verdict.detail} (rule {verdict.rule})" if verdict.rule else verdict.detail


def _describe(suite: Suite, result: Result) -> str:
    """A failed case for people: no line is broken, so that names stay whole."""
    lines = [
        f"FAILED {suite.file}:{result.case.line}: {result.case.name}",
        f"  expected  {result.expected}",
        f"  got       {result.got}",
    ]
    if result.missing:
        lines.append(f"  because   {result.missing}")
    # Names are texts of a file, and must not steer a terminal.
    return "\n".join(map(visible_text, lines))


def _write_junit(target: Path, results: list[tuple[Suite, list[Result]]]) -> None:
    reports: dict[str, list[CaseReport]] = {}
    for suite, found in results:
        reports.setdefault(str(suite.file), []).extend(
            CaseReport(
                each.case.name,
                str(suite.file),
                each.case.line,
                each.seconds,
                "" if each.passed else f"expected {each.expected}; got {each.got}",
                "" if each.passed else _describe(suite, each),
            )
            for each in found
        )
    try:
        target.write_bytes(render_junit(reports.items()))
    except OSError as error:
        refuse_input(f"{target}: {error}")


def _tell_coverage(results: list[tuple[Suite, list[Result]]], least: int) -> bool:
    """Says how many rules the cases exercise and which they do not; whether they are enough."""
    places: set[RulePlace] = set()
    exercised: set[RulePlace] = set()
    for suite, found in results:
        places |= set(suite.bench.rules.values())
        for each in found:
            named = _named_rules(each.judgement.decision)
            exercised |= {suite.bench.rules[rule] for rule in named}
    share = 100 * len(exercised) / len(places) if places else 100
    typer.echo(f"rules {len(places)}, exercised {len(exercised)} ({share:.0f} %)")
    for place in sorted(places - exercised):
        typer.echo(f"not exercised: {place.name} ({_shown(place.file)}:{place.line})")
    if share < least:
        typer.echo(f"fewer than {least} % of the rules are exercised", err=True)
    return share >= least


def _named_rules(decision: Decision) -> set[RuleRef]:
    """Rules that granted, forbade, or were named by a refusal, observed ones too."""
    observed = decision.observed
    named = {decision.rule, None if observed is None else observed.rule}
    return {rule for rule in named if rule is not None}


def _shown(file: str) -> str:
    """A path below this folder as one would write it."""
    path, here = Path(file), Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else file
