"""The command line: `tieline up` starts everything; each part can also be run alone, as production does.

Commands import what they need when they run, so that `tieline --help` and `tieline link` need not load a web server.
"""

import asyncio
import json
import logging
import sys
from enum import StrEnum
from importlib.metadata import version as installed_version
from typing import Annotated

import typer
from rich.console import Console

from app import until_signal
from app.cli import (
    adopt,
    audit,
    clients,
    conflicts,
    delivery,
    finance,
    import_files,
    kpi,
    move,
    policy,
    quarantine,
    reconcile,
    renewals,
    replay,
    schedules,
    schemas,
    snapshot,
    validate,
    verify,
)
from app.cli.begin import begin as _begin
from app.cli.refusals import MEANINGS, Exit, Refusal, explain
from app.telemetry import logs

Port = Annotated[
    int | None, typer.Option(help="Listen here; TIELINE_PORT otherwise, 8080 without it. 0: any free one.")
]


class Beside(StrEnum):
    """Real ERPs that can run beside the demo."""

    TRYTON = "tryton"


_CODES = " ".join(f"{code.value}: {meaning}." for code, meaning in MEANINGS.items())

cli = typer.Typer(
    name="tieline",
    help="Keeps ERPs equal to signed contracts, and shows how well that goes.",
    epilog=f"Settings come from the environment (docs/estate.md lists them). Exit codes: {_CODES}",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
cli.add_typer(clients.client, name="client")
cli.add_typer(clients.session, name="session")
audit.add_to(cli)
delivery.add_to(cli)
finance.add_to(cli)
cli.add_typer(conflicts.exceptions, name="exceptions")
cli.add_typer(import_files.imports, name="import")
cli.add_typer(move.move, name="move")
cli.add_typer(policy.policy, name="policy")
cli.add_typer(quarantine.quarantine, name="quarantine")
cli.add_typer(replay.replay, name="replay")
schedules.add_to(cli)
cli.add_typer(schemas.schemas, name="schemas")
cli.add_typer(snapshot.snapshot, name="snapshot")
cli.command()(adopt.adopt)
cli.command()(kpi.kpi)
cli.command()(renewals.renewals)
cli.command()(reconcile.reconcile)
cli.command()(validate.validate)
cli.command()(verify.verify)


@cli.command()
def up(
    port: Port = None,
    no_demo: Annotated[bool, typer.Option("--no-demo", help="No made-up contracts: systems start empty.")] = False,
    beside: Annotated[
        Beside | None, typer.Option("--with", help="Also run a real Tryton, as the ERP of one more legal entity.")
    ] = None,
) -> None:
    """Start everything on this machine and print a link to the dashboard. Ctrl-C stops it; all data is kept."""
    from app.progress import Progress
    from app.up import Up

    settings = _begin("up", port=port, beside=beside and beside.value)
    one = Up(settings, Progress(Console()), demo=settings.estate is None and not no_demo)

    async def run(stop: asyncio.Event) -> None:
        one.stop = stop
        await one.run()

    def hurry() -> None:
        if one.supervisor is not None:
            one.supervisor.hurry()

    until_signal.run(run, again=hurry)


@cli.command()
def web(port: Port = None) -> None:
    """Run the dashboard and the intake of events, on one port."""
    _serve("web", port, with_dashboard=True, with_intake=True)


@cli.command()
def api(port: Port = None) -> None:
    """Run the intake of events alone, so that no page that is drawn keeps a CLM waiting."""
    _serve("api", port, with_dashboard=False, with_intake=True)


@cli.command()
def dashboard(port: Port = None) -> None:
    """Run the dashboard alone; TIELINE_READ_DATABASE_URL lets it read a replica."""
    _serve("dashboard", port, with_dashboard=True, with_intake=False)


@cli.command()
def worker() -> None:
    """Run one worker: it provisions contracts, reports to the CLM, polls, and collects financial status."""
    from app.ruled import Ruled
    from app.telemetry import telemetry
    from app.wiring import Wiring
    from app.worker import WorkerProcess

    wiring = Wiring(_begin("worker"), "worker")
    with Ruled(wiring) as ruled, telemetry.running(wiring):
        process = WorkerProcess(wiring, policy_id=ruled.policy_id)
        until_signal.run(lambda stop: ruled.run(process.run, stop))
    _begins_again(ruled.another)


@cli.command()
def sandbox(
    webhook_url: Annotated[str | None, typer.Option(help="Where the sandbox CLM sends its events.")] = None,
    lively: Annotated[
        bool, typer.Option("--lively/--empty", help="With a made-up history and new contracts, or with nothing.")
    ] = True,
) -> None:
    """Run the sandbox CLM and ERP of the estate; sandbox.json in the home says where they answer."""
    from app.demo import demo
    from app.wiring import Wiring

    settings = _begin("sandbox")
    wiring = Wiring(settings, "sandbox")
    wiring.home.prepare()
    wiring.home.make_secrets()
    target = webhook_url or f"http://{settings.host}:{settings.port}/v1/events"
    until_signal.run(lambda stop: demo.run(wiring, stop, webhook_url=target, lively=lively))


@cli.command(hidden=True)
def tryton() -> None:
    """Run Tryton beside the demo; a part of `tieline up --with tryton`, which tells it where."""
    from app.demo import tryton_beside
    from app.wiring import Wiring

    tryton_beside.run(Wiring(_begin("tryton"), "tryton"))


@cli.command()
def status(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False,
) -> None:
    """Show how many contracts are in which state, what waits, and what runs."""
    from app.cli import status as cli_status
    from app.wiring import Wiring

    shown = cli_status.read(Wiring(_begin("status"), "status"))
    if as_json:
        print(json.dumps(shown, indent=2))
    else:
        cli_status.draw(shown, Console())


@cli.command(name="database-url")
def database_url(
    owner: Annotated[bool, typer.Option("--owner", help="With the owner's rights; embedded PostgreSQL only.")] = False,
) -> None:
    """Print the URL of the database in use, password included, for psql and pg_dump."""
    from app.postgres.urls import in_use

    urls = in_use(_begin("database-url"))
    if owner and not urls.embedded:
        raise Refusal("The owner of an external database is not Tieline's to tell; ask whoever runs it.", Exit.NOT_OURS)
    print(urls.owner if owner else urls.app)


@cli.command()
def link(
    grants: Annotated[
        list[str] | None,
        typer.Option("--as", help="A role, such as operator:tax@MA-UK+MA-DE or auditor. Repeat for more; all if none."),
    ] = None,
    name: Annotated[str, typer.Option(help="The e-mail address to act under.")] = "operator@localhost",
) -> None:
    """Print a link that opens the dashboard once, within an hour. Not with an identity provider in the estate."""
    from app.cli import link_printing
    from app.wiring import Wiring

    settings = _begin("link")
    wiring = Wiring(settings, "link")
    person = link_printing.person_for(wiring.estate, name, grants)
    running = wiring.home.running().get("url")
    base_url = settings.public_url or running or f"http://{settings.host}:{settings.port}"
    print(link_printing.new_link(wiring, base_url, person))


@cli.command()
def migrate() -> None:
    """Bring the database to the tables of this release; safe to repeat, and from several hosts at once."""
    from app.postgres.urls import migrate_now

    print(migrate_now(_begin("migrate")))


@cli.command()
def version() -> None:
    """Print the release."""
    print(installed_version("tieline"))


def _serve(part: str, port: int | None, *, with_dashboard: bool, with_intake: bool) -> None:
    from app.web.serving import listen_or_adopt, serve

    settings = _begin(part, port=port)
    door = listen_or_adopt("web", settings.host, settings.port, listen_fds=settings.listen_fds)

    from app import wiring_web
    from app.ruled import Ruled
    from app.telemetry import telemetry
    from app.web.warm import warm
    from app.wiring import Wiring

    wiring = Wiring(settings, part)

    async def run(stop: asyncio.Event) -> None:
        app = wiring_web.web(wiring, with_intake=with_intake) if with_dashboard else wiring_web.api(wiring)
        logs.take_over()
        warming = asyncio.create_task(asyncio.to_thread(warm, "pages")) if with_dashboard else None
        await serve(app, door, stop)
        if warming is not None:
            await warming

    with Ruled(wiring) as ruled, telemetry.running(wiring):
        until_signal.run(lambda stop: ruled.run(run, stop))
    _begins_again(ruled.another)


def _begins_again(another_policy: bool) -> None:
    if another_policy:
        raise typer.Exit(Exit.BEGIN_AGAIN)


def main() -> None:
    """Entry point: what an operator can mend is one sentence on stderr and an exit code, never a traceback."""
    try:
        cli()
    except BaseException as wrong:
        if isinstance(wrong, SystemExit | KeyboardInterrupt):
            raise
        sys.exit(_report(wrong))


def _report(wrong: BaseException) -> Exit:
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
