"""`tieline replay`: what the pages and the API do with replays, for a shell."""

from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.refusals import Exit, Refusal
from app.cli.replay_watch import follow, previewed, told
from app.cli.table import draw, table
from app.cli.work import (
    NAMED,
    AsJson,
    Limit,
    Reason,
    Work,
    contracts_named,
    of_all,
    plain,
    print_json,
    print_page,
    text,
    work,
)

if TYPE_CHECKING:
    from sync_core.commands.replays import ReplayConfirmed, ReplayMade
    from sync_core.replay.selection import Selection, StuckFilter

replay = typer.Typer(help="Replays: preview, confirm, watch, pause, cancel.", no_args_is_help=True)

Id = Annotated[int, typer.Argument(help="As `tieline replay list` shows it.")]
Contracts = Annotated[list[str] | None, typer.Option("--contract", help=f"{NAMED} Repeat for more.")]
Stuck = Annotated[bool, typer.Option("--stuck", help="All that does not get on, narrowed by the options below.")]
Missed = Annotated[str | None, typer.Option("--missed", help="All that this ERP may have missed; with --since.")]
Since = Annotated[str | None, typer.Option(help="A moment, e.g. 2026-11-23T06:00:00Z.")]
Function = Annotated[str, typer.Option(help="Stuck with this business function.")]
Cause = Annotated[str, typer.Option(help="Stuck for this cause.")]
Entity = Annotated[str, typer.Option(help="Stuck, of this legal entity.")]
Lane = Annotated[str, typer.Option(help="Stuck on the way to this ERP.")]
Customer = Annotated[str, typer.Option(help="Stuck, of the customer with this code.")]
MinMoney = Annotated[str | None, typer.Option(help="Stuck, from this value in the reporting currency on.")]
Original = Annotated[bool, typer.Option("--original", help="Release from quarantine first, and parse all bodies anew.")]
Title = Annotated[str, typer.Option(help="A name for it.")]
Ticket = Annotated[str, typer.Option(help="The change's number elsewhere; the estate may require it.")]
PerMinute = Annotated[int | None, typer.Option(help="Contracts a minute; the estate's rate without it.")]


@replay.command()
def preview(
    contract: Contracts = None,
    stuck: Stuck = False,
    missed: Missed = None,
    since: Since = None,
    function: Function = "",
    cause: Cause = "",
    entity: Entity = "",
    lane: Lane = "",
    customer: Customer = "",
    min_money: MinMoney = None,
    original: Original = False,
    title: Title = "",
    wait: Annotated[bool, typer.Option("--wait", help="Until all are previewed; then show what it would do.")] = False,
    as_json: AsJson = False,
) -> None:
    """Freeze a list of contracts and let the workers find out what replaying each would change."""
    narrowed, one = _stuck(function, cause, entity, lane, customer, min_money), work("replay")
    made = _preview(one, _selection(one, contract, stuck, missed, since, narrowed), original=original, title=title)
    if as_json:
        from app.api.replay_views import ReplayMadeView

        print_json(ReplayMadeView.model_validate(made))
        return
    typer.echo(f"replay {made.replay_id}: {made.items:,} contracts, {made.to_preview:,} of them are previewed now")
    if wait:
        told(one.reads, previewed(one.reads, made.replay_id))


@replay.command()
def run(
    reason: Reason,
    contract: Contracts = None,
    stuck: Stuck = False,
    missed: Missed = None,
    since: Since = None,
    function: Function = "",
    cause: Cause = "",
    entity: Entity = "",
    lane: Lane = "",
    customer: Customer = "",
    min_money: MinMoney = None,
    original: Original = False,
    title: Title = "",
    ticket: Ticket = "",
    per_minute: PerMinute = None,
    yes: Annotated[bool, typer.Option("--yes", help="Confirm whatever the preview says.")] = False,
) -> None:
    """Preview, ask, confirm, and watch until it is over."""
    narrowed, one = _stuck(function, cause, entity, lane, customer, min_money), work("replay")
    number = ticket_of(one, ticket)  # before anything waits for it
    made = _preview(one, _selection(one, contract, stuck, missed, since, narrowed), original=original, title=title)
    typer.echo(f"replay {made.replay_id}: {made.items:,} contracts")
    found = previewed(one.reads, made.replay_id)
    told(one.reads, found)
    if not yes and not typer.confirm("Carry this out?"):
        raise Refusal(f"Nothing was confirmed; replay {made.replay_id} is kept as previewed.", Exit.REFUSED)
    done = one.commands.replays.confirm(
        one.actor, made.replay_id, reason=reason, ticket=number, per_minute=per_minute, version=found.replay.version
    )
    _say(done)
    if done.approval_why:
        raise Refusal(f"Replay {made.replay_id} waits for another person's approval.", Exit.NOT_VERIFIED)
    follow(one.reads, made.replay_id)


@replay.command(name="list")
def list_replays(limit: Limit = 50, as_json: AsJson = False) -> None:
    """Show replays, newest first."""
    from sync_core.reads.paging import Window

    page = work("replay").reads.replays(window=Window(limit))
    if as_json:
        from app.api.replay_views import ReplayView

        print_page(page, ReplayView.model_validate)
        return
    drawn = table("id", "made", "by", "title", "state", "contracts")
    for row in page.rows:
        drawn.add_row(
            str(row.replay_id), f"{row.created_at:%Y-%m-%d %H:%M}", text(row.created_by), text(row.title),
            row.state.replace("_", " "), f"{row.items:,}",
        )  # fmt: skip
    draw(drawn)
    of_all(page)


@replay.command()
def show(replay_id: Id, as_json: AsJson = False) -> None:
    """Show one replay with its totals, and what stops contracts of it."""
    from app.cli.replay_watch import found as one_replay

    reads = work("replay").reads
    found = one_replay(reads, replay_id)
    if as_json:
        from app.api.replay_views import ReplayDetailView

        print_json(ReplayDetailView.model_validate(found))
        return
    told(reads, found)


@replay.command()
def items(
    replay_id: Id,
    state: Annotated[list[str] | None, typer.Option(help="verified, failed, skipped, ... Repeat for more.")] = None,
    contract: Annotated[str | None, typer.Option(help=f"One, with its plan field by field. {NAMED}")] = None,
    sort: Annotated[str, typer.Option(help="dispatch or trouble; trouble first once it is over.")] = "",
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """Show the contracts of a replay, once it is over those that went wrong first; or the plan of one."""
    from app.cli.replay_items import listed, plan_of

    if contract is not None:
        plan_of(work("replay"), replay_id, contract, as_json=as_json)
    else:
        listed(work("replay"), replay_id, state or [], sort, limit, as_json=as_json)


@replay.command()
def confirm(
    replay_id: Id,
    reason: Reason,
    ticket: Ticket = "",
    per_minute: PerMinute = None,
    only: Annotated[list[str] | None, typer.Option(help=f"Only this contract of it. {NAMED} Repeat for more.")] = None,
) -> None:
    """Carry out what was previewed."""
    one = work("replay")
    chosen = contracts_named(one, only) if only else None
    _say(one.commands.replays.confirm(
        one.actor, replay_id, reason=reason, ticket=ticket, per_minute=per_minute, only=chosen
    ))  # fmt: skip


@replay.command()
def approve(replay_id: Id, reason: Reason) -> None:
    """Approve it as the second person: not who made it, not who confirmed it."""
    one = work("replay")
    one.commands.replays.approve(one.actor, replay_id, reason=reason)
    typer.echo(f"replay {replay_id} is approved and runs")


@replay.command()
def refuse(replay_id: Id, reason: Reason) -> None:
    """Refuse it; nothing of it is done."""
    one = work("replay")
    one.commands.replays.refuse(one.actor, replay_id, reason=reason)
    typer.echo(f"replay {replay_id} is refused")


@replay.command()
def watch(replay_id: Id) -> None:
    """Show how it goes until it is over. Exit code 0 only if every contract is verified or had nothing to do."""
    follow(work("replay").reads, replay_id)


@replay.command()
def pause(replay_id: Id) -> None:
    """Dispatch nothing more for now."""
    one = work("replay")
    one.commands.replays.pause(one.actor, replay_id)
    typer.echo(f"replay {replay_id} is paused; `tieline replay resume {replay_id}` lets it go on")


@replay.command()
def resume(replay_id: Id) -> None:
    """Go on after a pause."""
    one = work("replay")
    one.commands.replays.resume(one.actor, replay_id)
    typer.echo(f"replay {replay_id} goes on")


@replay.command()
def cancel(replay_id: Id, reason: Reason) -> None:
    """Do nothing more of it; what a worker has in hand is finished."""
    one = work("replay")
    one.commands.replays.cancel(one.actor, replay_id, reason=reason)
    typer.echo(f"replay {replay_id} is cancelled")


def _preview(one: Work, selection: "Selection", *, original: bool, title: str) -> "ReplayMade":
    from sync_core.replay.replay import Origin

    origin = Origin.ORIGINAL if original else Origin.CURRENT
    return one.commands.replays.preview(one.actor, selection, origin=origin, title=title)


def _say(done: "ReplayConfirmed") -> None:
    typer.echo(f"confirmed: {done.items:,} contracts, {done.skipped:,} skipped")
    if done.approval_why:
        typer.echo(f"another person must approve it: {plain(done.approval_why)}")


def ticket_of(one: Work, given: str) -> str:
    """Raises InvalidInput, as the confirmation would."""
    from sync_core.commands.replay_deciding import ticket_of as checked

    return checked(given, required=one.commands.desk.estate.replay.ticket_required)


def _selection(
    one: Work, contracts: list[str] | None, stuck: bool, missed: str | None, since: str | None, narrowed: "StuckFilter"
) -> "Selection":
    from sync_core.replay.selection import Missed, Selection, StuckFilter

    if (missed is None) != (since is None):
        raise typer.BadParameter("--missed and --since go together", param_hint="--missed")
    if narrowed != StuckFilter() and not stuck:
        raise typer.BadParameter("what narrows the selection goes with --stuck", param_hint="--stuck")
    missing = Missed(missed, _moment(since)) if missed is not None and since is not None else None
    return Selection(tuple(contracts_named(one, contracts or ())), narrowed if stuck else None, missing)


def _stuck(function: str, cause: str, entity: str, lane: str, customer: str, min_money: str | None) -> "StuckFilter":
    from sync_core.replay.selection import StuckFilter

    try:
        least = None if min_money is None else Decimal(min_money)
    except InvalidOperation as wrong:
        raise typer.BadParameter(f"{min_money!r} is no amount", param_hint="--min-money") from wrong
    return StuckFilter(
        function=function, cause=cause, legal_entity=entity, lane=lane, customer=customer, min_money=least
    )


def _moment(given: str) -> datetime:
    try:
        return datetime.fromisoformat(given)
    except ValueError as wrong:
        raise typer.BadParameter(f"{given!r} is no moment; e.g. 2026-11-23T06:00:00Z", param_hint="--since") from wrong
