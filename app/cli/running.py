"""What runs until it is stopped: `tieline up`, and each part of it alone, as production runs them."""

import asyncio
from enum import StrEnum
from typing import Annotated

import typer

from app import until_signal
from app.cli.begin import begin
from app.cli.refusals import Exit

Port = Annotated[
    int | None, typer.Option(help="Listen here; TIELINE_PORT otherwise, 8080 without it. 0: any free one.")
]


class Beside(StrEnum):
    """Real ERPs that can run beside the demo."""

    TRYTON = "tryton"


def up(
    port: Port = None,
    no_demo: Annotated[bool, typer.Option("--no-demo", help="No made-up contracts: systems start empty.")] = False,
    beside: Annotated[
        Beside | None, typer.Option("--with", help="Also run a real Tryton, as the ERP of one more legal entity.")
    ] = None,
) -> None:
    """Start everything on this machine and print a link to the dashboard. Ctrl-C stops it; all data is kept."""
    from rich.console import Console

    from app.progress import Progress
    from app.up import Up

    settings = begin("up", port=port, beside=beside and beside.value)
    one = Up(settings, Progress(Console()), demo=settings.estate is None and not no_demo)

    async def run(stop: asyncio.Event) -> None:
        one.stop = stop
        await one.run()

    def hurry() -> None:
        if one.supervisor is not None:
            one.supervisor.hurry()

    until_signal.run(run, again=hurry)


def web(port: Port = None) -> None:
    """Run the dashboard and the intake of events, on one port."""
    _serve("web", port, with_dashboard=True, with_intake=True)


def api(port: Port = None) -> None:
    """Run the intake of events alone, so that no page that is drawn keeps a CLM waiting."""
    _serve("api", port, with_dashboard=False, with_intake=True)


def dashboard(port: Port = None) -> None:
    """Run the dashboard alone; TIELINE_READ_DATABASE_URL lets it read a replica."""
    _serve("dashboard", port, with_dashboard=True, with_intake=False)


def worker() -> None:
    """Run one worker: it provisions contracts, reports to the CLM, polls, and collects financial status."""
    from app.ruled import Ruled
    from app.telemetry import telemetry
    from app.wiring import Wiring
    from app.worker import WorkerProcess

    wiring = Wiring(begin("worker"), "worker")
    with Ruled(wiring) as ruled, telemetry.running(wiring):
        wiring.check_systems()
        process = WorkerProcess(wiring, policy_id=ruled.policy_id)
        until_signal.run(lambda stop: ruled.run(process.run, stop))
    _begins_again(ruled.another)


def sandbox(
    webhook_url: Annotated[str | None, typer.Option(help="Where the sandbox CLM sends its events.")] = None,
    lively: Annotated[
        bool, typer.Option("--lively/--empty", help="With a made-up history and new contracts, or with nothing.")
    ] = True,
) -> None:
    """Run the sandbox CLM and ERP of the estate; sandbox.json in the home says where they answer."""
    from app.demo import demo
    from app.wiring import Wiring

    settings = begin("sandbox")
    wiring = Wiring(settings, "sandbox")
    wiring.check_systems()
    wiring.home.prepare()
    wiring.home.make_secrets()
    target = webhook_url or f"http://{settings.host}:{settings.port}/v1/events"
    until_signal.run(lambda stop: demo.run(wiring, stop, webhook_url=target, lively=lively))


def tryton() -> None:
    """Run Tryton beside the demo; a part of `tieline up --with tryton`, which tells it where."""
    from app.demo import tryton_beside
    from app.wiring import Wiring

    tryton_beside.run(Wiring(begin("tryton"), "tryton"))


def _serve(part: str, port: int | None, *, with_dashboard: bool, with_intake: bool) -> None:
    from app.web.serving import listen_or_adopt, serve

    settings = begin(part, port=port)
    door = listen_or_adopt("web", settings.host, settings.port, listen_fds=settings.listen_fds)

    from app import wiring_web
    from app.ruled import Ruled
    from app.telemetry import logs, telemetry
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
        wiring.check_systems(kinds=False)
        until_signal.run(lambda stop: ruled.run(run, stop))
    _begins_again(ruled.another)


def _begins_again(another_policy: bool) -> None:
    if another_policy:
        raise typer.Exit(Exit.BEGIN_AGAIN)
