"""The commands, and how they end: 0 for good, 1 for a refusal, 2 for bad input."""

from __future__ import annotations

import logging
import platform
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer

from deputize.cli.doctor import doctor
from deputize.cli.explain import explain
from deputize.cli.fmt import fmt
from deputize.cli.inputs import refuse_input
from deputize.cli.policy_commands import policy_commands
from deputize.cli.policy_test import run_tests
from deputize.cli.token_inspect import token_commands
from deputize.cli.validation import check_config, check_policies
from deputize.config.lints.table import Lint
from deputize.config.problems import ConfigError

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Decides whether an AI agent may do this, now, on behalf of that person.",
    epilog="Every command has `--help` with examples; `--install-completion` adds completion.",
)


def _show_version(is_asked: bool) -> None:
    if is_asked:
        version()
        raise typer.Exit


@app.callback()
def options(
    *,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version and exit.", callback=_show_version, is_eager=True
        ),
    ] = False,
) -> None:
    """What every command has before its name."""


app.command()(doctor)
app.command()(explain)
app.command()(fmt)
app.command("test")(run_tests)
app.add_typer(policy_commands, name="policy")
app.add_typer(token_commands, name="token")

ConfigOption = Annotated[
    Path,
    typer.Option(
        "--config",
        "-c",
        help="The service configuration (kind ServiceConfig).",
        envvar="DEPUTIZE_CONFIG",
        show_default=False,
    ),
]


@app.command()
def serve(
    config: ConfigOption,
    log_level: Annotated[
        str, typer.Option(help="debug, info, warning or error.", envvar="DEPUTIZE_LOG_LEVEL")
    ] = "info",
) -> None:
    """Answer authorization checks until SIGTERM.

    Example: `deputize serve --config /etc/deputize/config.yaml`
    """
    if log_level.upper() not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
        raise typer.BadParameter(f"`{log_level}` is not debug, info, warning or error")
    logging.basicConfig(
        level=log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    # What libraries say of each request or file event is not for an operator.
    for library in ("httpx2", "uvicorn", "watchfiles"):
        logging.getLogger(library).setLevel(logging.WARNING)
    from deputize.server.app import App  # noqa: PLC0415 - other commands need no server

    try:
        service = App(config)
    except ConfigError as error:
        refuse_input(str(error))
    except OSError as error:
        at = f"{error.filename}: " if error.filename else ""
        refuse_input(f"cannot start: {at}{error.strerror or error}")
    except (RuntimeError, ValueError, ImportError) as error:
        refuse_input(f"cannot start: {error}")
    service.run()


@app.command()
def validate(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            "-c",
            help="The service configuration (kind ServiceConfig).",
            envvar="DEPUTIZE_CONFIG",
            show_default=False,
        ),
    ] = None,
    policies: Annotated[
        Path | None,
        typer.Option(
            help="Instead: a policy file, or a folder of them, without the service that uses it.",
            show_default=False,
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Lint the policies too; ends with 1 if one fires.")
    ] = False,
    ignore: Annotated[
        list[Lint] | None,
        typer.Option(help="A lint to leave out; may be given several times.", show_default=False),
    ] = None,
) -> None:
    """Check the configuration, all policies and deny lists, and say everything that is wrong.

    With `--policies` only what can be known without the service: not whether it knows the issuers,
    trust domains and approval services that are named.

    Example: `deputize validate --config config.yaml --strict`
    """
    source = context.get_parameter_source("config")
    if policies is not None and source is not None and source.name == "COMMANDLINE":
        raise typer.BadParameter("give `--config` or `--policies`, not both")
    try:
        if policies is not None:
            checked = check_policies(policies, ignore or (), is_strict=strict)
        elif config is not None:
            checked = check_config(config, ignore or (), is_strict=strict)
        else:
            raise typer.BadParameter("give `--config` or `--policies`")
    except ConfigError as error:
        refuse_input(str(error))
    for warning in checked.warnings:
        typer.echo(f"warning: {warning}", err=True)
    for problem in checked.findings:
        typer.echo(str(problem), err=True)
    if checked.findings:
        # It can be used, yet is not as its author should leave it.
        typer.echo(f"loads: {checked.summary}, findings {len(checked.findings)}")
        raise typer.Exit(1)
    typer.echo(f"valid: {checked.summary}")


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(f"deputize {metadata.version('deputize')} (Python {platform.python_version()})")


def main() -> None:
    """The console script."""
    app()


if __name__ == "__main__":
    main()
