"""The command line: `tieline up` starts everything; each part can also be run alone, as production does.

A command is imported when it is called, and it imports what it needs when it runs, so that `tieline --help` and
`tieline link` need not load a web server.
"""

import logging
import sys
from typing import Annotated

import typer
from typer.core import TyperGroup

from app.cli.catalogue import COMMANDS
from app.cli.refusals import MEANINGS, Exit

_CODES = " ".join(f"{code.value}: {meaning}." for code, meaning in MEANINGS.items())

_root = typer.Typer(
    name="tieline",
    help="Keeps ERPs equal to signed contracts, and shows how well that goes.",
    epilog=f"Settings come from the environment (docs/estate.md lists them). Exit codes: {_CODES}",
    no_args_is_help=True,
    add_completion=False,
)


def _release(asked: bool) -> None:
    if asked:
        from app.cli.installation import version

        version()
        raise typer.Exit


@_root.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_release, is_eager=True, help="Print the release, and exit.")
    ] = False,
) -> None:
    """What can be said before a command."""


def command() -> TyperGroup:
    """The whole command line."""
    group = typer.main.get_group(_root)
    for one in COMMANDS:
        group.add_command(one)
    return group


def main() -> None:
    """Entry point: what an operator can mend is one sentence on stderr and an exit code, never a traceback."""
    try:
        command()()
    except BaseException as wrong:
        if isinstance(wrong, SystemExit | KeyboardInterrupt):
            raise
        sys.exit(_report(wrong))


def _report(wrong: BaseException) -> Exit:
    from app.cli.explaining import explain
    from app.telemetry import logs

    if isinstance(wrong, BaseExceptionGroup) and len(wrong.exceptions) == 1:
        return _report(wrong.exceptions[0])
    refusal = explain(wrong)
    if refusal is not None:
        print(f"tieline: {logs.without_secrets(refusal.message)}", file=sys.stderr)
        return refusal.exit_code
    logging.getLogger(__name__).critical("a fault of Tieline's own: %s", wrong, exc_info=wrong)
    return Exit.FAULT


if __name__ == "__main__":
    main()
