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
from deputize.cli.inputs import refuse_input
from deputize.cli.policy_answers import (
    Entry,
    gather,
    make_console,
    observed_policies,
    print_entries,
)
from deputize.config.loader import load
from deputize.config.policy_loader import is_service, load_policies
from deputize.config.problems import ConfigError
from deputize.core.call_patterns import CallPattern, parse_call_text
from deputize.core.matching import (
    AgentPattern,
    PatternError,
    PrincipalPattern,
    parse_agent_pattern,
    parse_host_pattern,
    parse_method,
    parse_path_pattern,
)
from deputize.core.model import Protocol

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

    The answer is complete: who is not in it is refused. What cannot be looked into, such as a
    condition on an argument, is told as `depends on`. Policies that are only observed are taken
    as enforced.

    Example: `deputize policy who-can policies/ --route 'GET orders.example/v1/orders/7'`
    """
    if tool and call:
        refuse_input("give `--tool` or `--call`")
    asked = _read_route(route)._replace(
        calls=_read_call(f"tools/call {tool}" if tool else call), agents=_read_agents(agent)
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
    asked = Asked(agents=_read_agents(agent), principals=_read_principal(on_behalf_of))
    _answer(_load(policies), asked, _read_claims(claim), as_json=as_json)


def policy_diff(
    old: PoliciesArgument,
    new: PoliciesArgument,
    fail_on_widening: Annotated[
        bool, typer.Option(help="Exit with 1 if anything is allowed that was refused.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Say what a change of policies newly allows and newly refuses, with an example of each.

    A condition whose text changed is taken as another one that has nothing to do with the first:
    such a row is marked as possible. Only policies are compared, not the rest of a service
    configuration.

    Example: `deputize policy diff main/policies policies --fail-on-widening`
    """
    before, after = _load(old), _load(new)
    found = _decide(lambda: compare(before.policies, after.policies))
    widened, narrowed = gather(found.widened), gather(found.narrowed)
    widens_mode = before.mode == "enforce" and after.mode == "observe"
    if as_json:
        _print_json(
            {
                "widened": [entry.to_json() for entry in widened],
                "narrowed": [entry.to_json() for entry in narrowed],
                "policyMode": {"old": before.mode, "new": after.mode},
                "observedPolicies": observed_policies(before.policies, after.policies),
            }
        )
    else:
        console = make_console()
        if before.mode != after.mode:
            console.print(f"policyMode was {before.mode} and is {after.mode}")
        print_entries(console, "newly allowed", "bold red", widened)
        print_entries(console, "newly refused", "bold green", narrowed)
        console.print(f"{len(widened)} newly allowed, {len(narrowed)} newly refused")
    raise typer.Exit(1 if fail_on_widening and (widened or widens_mode) else 0)


def _answer(given: Given, asked: Asked, claims: Claims | None, *, as_json: bool) -> None:
    answer: Answer = _decide(lambda: ask(given.policies, asked, claims))
    entries: list[Entry] = gather(answer.rows)
    observed = observed_policies(given.policies)
    if as_json:
        rows = [entry.to_json() for entry in entries]
        _print_json({"rows": rows, "policyMode": given.mode, "observedPolicies": observed})
        return
    console = make_console()
    if given.mode == "observe":
        console.print("policyMode is observe: now nothing of this is enforced")
    if observed:
        console.print(f"only observed, but taken as enforced here: {', '.join(observed)}")
    print_entries(console, "can be allowed", "bold green", entries)
    console.print(f"{len(entries)} answers" if entries else "nobody can be allowed this")


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
        if is_service(path):
            loaded = load(path)
            compiled, mode = loaded.compiled.policies, loaded.service.policy_mode
        else:
            compiled, mode = load_policies(path), "enforce"
    except ConfigError as error:
        refuse_input(str(error))
    return Given(PolicySet(compiled.rules, compiled.routes, compiled.limits), mode)


def _read_route(text: str) -> Asked:
    method, _, target = text.partition(" ")
    host, slash, path = target.strip().partition("/")
    if not slash:
        refuse_input(f"`{text}` is not `METHOD host/path`")
    try:
        return Asked(
            hosts=(parse_host_pattern(host),),
            methods=(parse_method(method),),
            paths=(parse_path_pattern(f"/{path}"),),
        )
    except PatternError as error:
        refuse_input(f"`{text}`: {error}")


def _read_call(text: str) -> tuple[CallPattern, ...]:
    """The call in each protocol: which one is read depends on the route."""
    if not text:
        return ()
    method, _, name = text.partition(" ")
    try:
        methods = (parse_call_text(method),)
        names = (parse_call_text(name.strip()),) if name.strip() else ()
    except PatternError as error:
        refuse_input(f"`{text}`: {error}")
    others = () if names else (Protocol.A2A, Protocol.GRPC)
    patterns = [CallPattern(Protocol.MCP, methods, names)]
    return (*patterns, *(CallPattern(protocol, methods, ()) for protocol in others))


def _read_agents(text: str) -> tuple[AgentPattern, ...]:
    try:
        return (parse_agent_pattern(text),) if text else ()
    except PatternError as error:
        refuse_input(f"`{text}`: {error}")


def _read_principal(text: str) -> tuple[PrincipalPattern, ...]:
    issuer, _, subject = text.partition(" ")
    subjects = frozenset({subject.strip()}) - {""}
    return (PrincipalPattern(issuer, subjects, {}),) if issuer else ()


def _read_claims(texts: list[str] | None) -> Claims | None:
    if texts is None:
        return None
    pairs = [text.partition("=") for text in texts]
    if not all(name and equals for name, equals, _ in pairs):
        refuse_input("a claim is `NAME=VALUE`")
    return tuple((name, value) for name, _, value in pairs)
