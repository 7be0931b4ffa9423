"""The command line's part about how long records are kept: legal holds, and the deletion of what may go."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import sqlalchemy as sa
import typer

from app.cli.actor import operator_of_this_machine
from app.cli.begin import wiring_of
from app.cli.refusals import Exit, Refusal
from app.cli.work import NAMED, contracts_named, of_all, work

if TYPE_CHECKING:
    from app.wiring import Wiring
    from sync_core.audit.retention import Preview
    from sync_core.commands.holds import Holds

Json = Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it is kept in the audit.")]

hold = typer.Typer(help="Keep contracts' records from retention.", no_args_is_help=True)


@hold.command()
def place(
    contract: Annotated[list[str], typer.Argument(help=f"{NAMED} Several may be given.")], reason: Reason
) -> None:
    """Keep the records of these contracts until the hold is released."""
    one = work("hold")
    done = one.commands.holds.place(one.actor, contracts_named(one, contract), reason)
    typer.echo(f"placed: {', '.join(map(str, done.hold_ids))}")
    if done.held_before:
        typer.echo(f"held already: contract {', '.join(map(str, done.held_before))}")


@hold.command()
def release(
    hold_id: Annotated[list[int], typer.Argument(help="As `tieline hold list` shows them.")], reason: Reason
) -> None:
    """End these holds; retention may delete the contracts' records from then on."""
    done = _holds().release(operator_of_this_machine(), hold_id, reason)
    typer.echo(f"released: {', '.join(map(str, done.hold_ids))}")


@hold.command(name="list")
def list_holds(
    as_json: Json = False,
    everything: Annotated[bool, typer.Option("--all", help="Released ones too.")] = False,
) -> None:
    """Show the holds, newest first, 500 at most."""
    from sync_core.reads.holds import HoldFilter
    from sync_core.reads.paging import Window
    from sync_core.reads.reads import Reads

    wiring = wiring_of("hold")
    reads = Reads(wiring.engine(pool_size=1), clock=wiring.clock, estate=wiring.estate)
    page = reads.holds(HoldFilter(released=everything), window=Window(500))
    if as_json:
        typer.echo(json.dumps([asdict(row) for row in page.rows], default=str))
        if page.total > len(page.rows):
            of_all(page)
        return
    for row in page.rows:
        over = f", released {row.released_at:%Y-%m-%d} by {row.released_by}" if row.released_at else ""
        held = f"contract {row.contract_id} {row.external_id}"
        typer.echo(f"{row.hold_id}  {held}  {row.placed_at:%Y-%m-%d} by {row.placed_by}: {row.reason}{over}")
    typer.echo("1 hold" if page.total_text == "1" else f"{page.total_text} holds")


def retention(
    ended_before: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="The day, UTC.")],
    apply: Annotated[bool, typer.Option("--apply", help="Delete; without it, only show what would go.")] = False,
    reason: Annotated[str, typer.Option(help="The rule that asks for it; needed with --apply.")] = "",
    as_json: Json = False,
) -> None:
    """Delete the records of contracts that ended before a day; legal holds are honoured, the audit stays."""
    from sync_core.audit import retention as core
    from sync_core.reads.snapshot import snapshot

    wiring = wiring_of("retention")
    before = ended_before.replace(tzinfo=UTC)
    if before > wiring.clock.now():
        raise Refusal("--ended-before must be a day that has begun.", Exit.REFUSED)
    if not apply:
        with snapshot(wiring.engine(pool_size=1)) as conn:
            found = core.preview(conn, before=before)
        _show(found, as_json=as_json)
        return
    from sync_core.commands.desk import reason_of

    why = reason_of(reason)
    owner = _owner(wiring)
    done = core.apply(owner, operator_of_this_machine(), before=before, reason=why, clock=wiring.clock)
    owner.dispose()
    if as_json:
        typer.echo(json.dumps(asdict(done)))
    else:
        typer.echo(
            f"{done.contracts:,} contracts deleted in {done.batches} batches, {done.held:,} kept by a legal hold."
        )


def _show(found: "Preview", *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(asdict(found), default=str))
        return
    typer.echo(f"{found.contracts:,} contracts ended before {found.before:%Y-%m-%d} and would go:")
    for table, number in found.rows.items():
        typer.echo(f"  {table:16} {number:>12,}")
    named = f": {', '.join(found.held_ids)}{'…' if found.held > len(found.held_ids) else ''}" if found.held else ""
    typer.echo(f"{found.held:,} are under a legal hold and stay{named}")
    typer.echo("Nothing was deleted; add --apply and --reason to delete.")


def _owner(wiring: "Wiring") -> sa.Engine:
    from app.postgres.urls import sqlalchemy_url

    if not wiring.urls.embedded and wiring.settings.database_owner_url is None:
        words = "Only the tables' owner may delete: set TIELINE_DATABASE_OWNER_URL for this one command."
        raise Refusal(words, Exit.NOT_OURS)
    return sa.create_engine(sqlalchemy_url(wiring.urls.owner), poolclass=sa.NullPool)


def _holds() -> "Holds":
    from sync_core.commands.desk import Desk
    from sync_core.commands.holds import Holds

    wiring = wiring_of("hold")
    return Holds(Desk(wiring.engine(pool_size=1), wiring.clock, wiring.estate))
