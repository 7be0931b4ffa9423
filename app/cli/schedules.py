"""`tieline schedules`: jobs, how they go, a run now, a pause. `tieline objectives`: how the promises stand."""

from typing import Annotated

import typer

from app.cli.table import draw, table
from app.cli.work import AsJson, Reason, print_json, text, work

schedules = typer.Typer(help="Scheduled jobs: list, run now, pause, resume.", no_args_is_help=True)
Job = Annotated[str, typer.Argument(help="The job's name, as `tieline schedules list` shows it.")]


@schedules.command(name="list")
def list_schedules(as_json: AsJson = False) -> None:
    """Show each job, how often it runs, how it went last, and when it runs next."""
    found = work("schedules").reads.schedules()
    if as_json:
        from app.api.schedules import ScheduleView

        print_json([ScheduleView.model_validate(one) for one in found])
        return
    if not found:
        typer.echo("no worker has reported a job yet: each declares its jobs when it starts (`tieline worker`)")
        return
    shown = table("job", "every", "last run", "outcome", "next run (UTC)", "detail")
    for one in found:
        state = "runs now" if one.running else one.outcome or ""
        last = f"{one.started_at:%Y-%m-%d %H:%M:%S}" if one.started_at else "never"
        coming = f"{one.next_at:%Y-%m-%d %H:%M:%S}" if one.next_at else f"paused by {one.paused_by}"
        coming = "in a moment" if one.wanted_at else coming
        shown.add_row(
            text(one.job), str(one.every), last, f"{state}{', late' if one.late else ''}", text(coming),
            text(one.pause_reason or one.detail),
        )  # fmt: skip
    draw(shown)


@schedules.command(name="run")
def run_now(job: Job, reason: Reason) -> None:
    """Run a job now, besides its timetable. A worker takes it up within seconds; refused while it runs."""
    one = work("schedules")
    one.commands.schedules.run_now(one.actor, job, reason)
    typer.echo(f"{job} was asked for; `tieline schedules list` shows how it went")


@schedules.command()
def pause(job: Job, reason: Reason) -> None:
    """Stop a job's timetable. What runs goes on, and a run can still be asked for."""
    one = work("schedules")
    one.commands.schedules.pause(one.actor, job, reason)
    typer.echo(f"{job} is paused")


@schedules.command()
def resume(job: Job, reason: Reason) -> None:
    """Let a paused job go on by its timetable."""
    one = work("schedules")
    one.commands.schedules.resume(one.actor, job, reason)
    typer.echo(f"{job} goes on")


def objectives(as_json: AsJson = False) -> None:
    """Show the service-level objectives: whether each is kept, and how much of its budget of 30 days is left."""
    from metrics.slo import standings
    from sync_core.reads.snapshot import snapshot

    one = work("objectives")
    with snapshot(one.commands.desk.engine) as conn:
        found = standings(conn)
    if as_json:
        from app.api.telemetry import ObjectiveView

        print_json([ObjectiveView.model_validate(each) for each in found])
        return
    shown = table("objective", "target", "good", "budget left", "state", "")
    for each in found:
        good = "" if each.good_share is None else f"{each.good_share:.2%}"
        left = "" if each.budget_left is None else f"{each.budget_left:.0%}"
        state = f"broken: {each.state}" if each.broken else each.state.value
        shown.add_row(text(each.title), f"{each.objective:.1%}", good, left, state, text(each.says))
    draw(shown)
