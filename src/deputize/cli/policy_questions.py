"""`deputize policy who-can`, `what-can` and `diff`: answers over every request there can be.

Rules of this file:
- Exit code 0 for an answer, 1 where `--fail-on-widening` finds one, 2 for bad input, 3 where the
  question could not be decided: then nothing is answered.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NamedTuple, NoReturn, TypeVar

import orjson
import typer

from deputize.analysis.boxes import UndecidedError
from deputize.analysis.policy_set import Asked, PolicySet
from deputize.analysis.questions import Answer, Claims, ask, compare
from deputize.analysis.unnamed import find_unnamed
from deputize.cli.inputs import refuse_input
from deputize.cli.policy_answers import (
    Entry,
    count_text,
    gather,
    observed_policies,
    print_entries,
)
from deputize.cli.policy_asked import (
    read_agents,
    read_call,
    read_claims,
    read_principal,
    read_route,
)
from deputize.cli.visible import make_console, visible
from deputize.config.policy_loader import load_with_mode
from deputize.config.problems import ConfigError, visible_text

UNDECIDED = 3
AnswerT = TypeVar("AnswerT")

PoliciesArgument = Annotated[
    Path, typer.Argument(help="A service configuration, a policy file, or a folder of those.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
AgentOption = Annotated[str, typer.Option(help="A SPIFFE ID, or a pattern as in policies.")]


class Given(NamedTuple):
    """Policies, and whether the service that names them enforces any."""

    policies: PolicySet
    mode: str


def who_can(
    policies: PoliciesArgument,
    route: Annotated[
        str,
        typer.Option(help="`METHOD host/path`, concrete or with patterns as in policies."),
    ],
    tool: Annotated[str, typer.Option(help="A tool of MCP, as `--call 'tools/call NAME'`.")] = "",
    call: Annotated[
        str, typer.Option(help="`METHOD [NAME]` of MCP, an operation of A2A, or a gRPC method.")
    ] = "",
    agent: AgentOption = "",
    as_json: JsonOption = False,
) -> None:
    """Say which agents can be allowed to do something, for whom, and what it takes.

    The answer is complete: who is not in it is refused. What cannot be looked into, such as an
    expression, is told as `depends on`. Policies that are only observed are taken as enforced.
    Where no rule names a part of the question, such as its host, that is said too.

    Example: `deputize policy who-can policies/ --route 'GET orders.example/v1/orders/7'`
    """
    if tool and call:
        refuse_input("give `--tool` or `--call`")
    asked = read_route(route)._replace(
        calls=read_call(f"tools/call {tool}" if tool else call), agents=read_agents(agent)
    )
    _answer(_load(policies), asked, None, as_json=as_json)


def what_can(
    policies: PoliciesArgument,
    agent: AgentOption,
    on_behalf_of: Annotated[str, typer.Option(help="`ISSUER` or `ISSUER SUBJECT`.")] = "",
    claim: Annotated[
        list[str] | None,
        typer.Option(help="`NAME=VALUE`, all that the principal has; may be given repeatedly."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say everything that an agent can be allowed to do, for whom, and what it takes.

    Example: `deputize policy what-can policies/ --agent spiffe://prod.example.org/ns/a/sa/b`
    """
    given = _load(policies)
    principals = read_principal(on_behalf_of, given.policies)
    asked = Asked(agents=read_agents(agent), principals=principals)
    _answer(given, asked, read_claims(claim), as_json=as_json)


def policy_diff(
    old: PoliciesArgument,
    new: PoliciesArgument,
    fail_on_widening: Annotated[
        bool, typer.Option(help="Exit with 1 if anything is allowed that was refused.")
    ] = False,
    ignore_possible: Annotated[
        bool,
        typer.Option(help="With `--fail-on-widening`: not for what is only marked as possible."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Say what a change of policies newly allows and newly refuses, with an example of each.

    Conditions with fixed values, time windows, budgets and approvals are compared exactly. An
    expression or `equalsClaim` that changed is taken as another one that has nothing to do with
    the first: a row that hangs on it is marked as possible, for there may be no such request. So
    is one that hangs on things that are not independent, such as the kind of the principal. Only
    policies are compared, not the rest of a service configuration.

    Example: `deputize policy diff main/policies policies --fail-on-widening`
    """
    before, after = _load(old), _load(new)
    found = _decide(lambda: compare(before.policies, after.policies))
    widened, narrowed = gather(found.widened), gather(found.narrowed)
    renamed = found.space.variables.counts.renamed
    if as_json:
        _print_json(
            {
                "widened": [entry.to_json() for entry in widened],
                "narrowed": [entry.to_json() for entry in narrowed],
                "policy_mode": {"old": before.mode, "new": after.mode},
                "observed_policies": observed_policies(before.policies, after.policies),
                "renamed_budgets": [{"old": str(old), "new": str(new)} for old, new in renamed],
            }
        )
    else:
        console = make_console()
        if before.mode != after.mode:
            console.print(f"policyMode was {before.mode} and is {after.mode}")
        print_entries(console, "newly allowed", "bold red", widened)
        print_entries(console, "newly refused", "bold green", narrowed)
        for old_name, new_name in renamed:
            text = f"the budget of {old_name} is taken to go on as that of {new_name}"
            text += ": the service counts it anew"
            console.print(visible(text))
        console.print(f"{len(widened)} newly allowed, {len(narrowed)} newly refused")
    widens_mode = before.mode == "enforce" and after.mode == "observe"
    counted = [entry for entry in widened if entry.row.is_certain or not ignore_possible]
    raise typer.Exit(1 if fail_on_widening and (counted or widens_mode) else 0)


def _answer(given: Given, asked: Asked, claims: Claims | None, *, as_json: bool) -> None:
    answer: Answer = _decide(lambda: ask(given.policies, asked, claims))
    entries: list[Entry] = gather(answer.rows)
    observed = observed_policies(given.policies)
    unknown = [] if entries else find_unnamed(answer.space, given.policies, asked)
    if as_json:
        _print_json(
            {
                "rows": [entry.to_json() for entry in entries],
                "policy_mode": given.mode,
                "observed_policies": observed,
                "unknown": [each.to_json() for each in unknown],
            }
        )
        return
    console = make_console()
    if given.mode == "observe":
        console.print("policyMode is observe: now nothing of this is enforced")
    if observed:
        console.print(f"only observed, but taken as enforced here: {', '.join(observed)}")
    print_entries(console, "can be allowed", "bold green", entries)
    console.print(count_text(len(entries)))
    for each in unknown:
        typer.echo(visible_text(each.text), err=True)


def _print_json(value: dict[str, object]) -> None:
    typer.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())


def _decide(question: Callable[[], AnswerT]) -> AnswerT:
    try:
        return question()
    except UndecidedError as error:
        _say_undecided(error)


def _say_undecided(error: UndecidedError) -> NoReturn:
    typer.echo(f"not decided: {error}", err=True)
    raise typer.Exit(UNDECIDED)


def _load(path: Path) -> Given:
    try:
        compiled, is_observed = load_with_mode(path)
    except ConfigError as error:
        refuse_input(str(error))
    mode = "observe" if is_observed else "enforce"
    return Given(PolicySet(compiled.rules, compiled.routes, compiled.limits), mode)
