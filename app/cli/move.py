"""`tieline move`: contracts go from one ERP to another. What moves share with replays is the same command."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli import replay
from app.cli.replay_watch import previewed, told
from app.cli.table import draw, table
from app.cli.work import (
    NAMED,
    AsJson,
    Limit,
    Work,
    contracts_named,
    money,
    of_all,
    plain,
    print_json,
    print_page,
    text,
    work,
)

if TYPE_CHECKING:
    from sync_core.commands.replays import ReplayMade
    from sync_core.reads.moves import ReconciledRow, Reconciliation, Sums

move = typer.Typer(help="Moves of contracts between ERPs; docs/moves.md.", no_args_is_help=True)

Id = Annotated[int, typer.Argument(help="As `tieline move list` shows it.")]
Wait = Annotated[bool, typer.Option("--wait", help="Until all are previewed; then show what it would do.")]


@move.command()
def preview(
    source: Annotated[str, typer.Option("--from", help="The ERP that they leave.")],
    target: Annotated[str, typer.Option("--to", help="The ERP that they come to.")],
    entity: Annotated[str, typer.Option(help="All of this legal entity.")] = "",
    customer: Annotated[str, typer.Option(help="All of the customer with this code.")] = "",
    contract: Annotated[list[str] | None, typer.Option("--contract", help=f"{NAMED} Repeat for more.")] = None,
    title: Annotated[str, typer.Option(help="A name for it.")] = "",
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Freeze a list of contracts and let the workers find out what moving each would do in both ERPs."""
    from sync_core.commands.moves import Leaving

    if bool(contract) is bool(entity or customer):
        raise typer.BadParameter("give --contract, or else --entity or --customer", param_hint="--contract")
    one = work("move")
    leaving = Leaving(tuple(contracts_named(one, contract or ())), entity, customer)
    made = one.commands.moves.preview(one.actor, leaving, move_from=source, move_to=target, title=title)
    _say(one, made, wait=wait, as_json=as_json)


@move.command()
def undo(move_id: Id, wait: Wait = False, as_json: AsJson = False) -> None:
    """Make a move back of what is not billed in the new ERP; it is previewed and confirmed as any."""
    one = work("move")
    _say(one, one.commands.moves.undo(one.actor, move_id), wait=wait, as_json=as_json)


@move.command(name="list")
def list_moves(limit: Limit = 50, as_json: AsJson = False) -> None:
    """Show moves, newest first."""
    from sync_core.reads.paging import Window

    page = work("move").reads.replays(moves=True, window=Window(limit))
    if as_json:
        from app.api.replay_views import ReplayView

        print_page(page, ReplayView.model_validate)
        return
    drawn = table("id", "made", "by", "from", "to", "title", "state", "contracts")
    for row in page.rows:
        drawn.add_row(
            str(row.replay_id), f"{row.created_at:%Y-%m-%d %H:%M}", text(row.created_by), text(row.move_from),
            text(row.move_to), text(row.title), row.state.replace("_", " "), f"{row.items:,}",
        )  # fmt: skip
    draw(drawn)
    of_all(page)


@move.command()
def reconcile(
    move_id: Id,
    csv: Annotated[Path | None, typer.Option("--csv", help="Write all contracts of it to this file.")] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """Show what was signed against what both ERPs billed and are to bill, currency by currency."""
    from sync_core.commands.desk import NotFound
    from sync_core.reads.paging import Window

    reads = work("move").reads
    found = reads.reconciliation(move_id)
    if found is None:
        raise NotFound(f"there is no move {move_id}; `tieline move list` lists them")
    if csv is not None:
        csv.write_bytes(_csv(reads.all_reconciled(move_id)))
    if as_json:
        from app.api.moves import ReconciliationView

        print_json(ReconciliationView.model_validate(found))
        return
    heads = ("signed", f"billed in {text(found.move_from)}", "to bill there", f"billed in {text(found.move_to)}",
             "to bill there", "difference")  # fmt: skip
    drawn = table("contracts", *heads)
    for total in found.totals:
        drawn.add_row(f"{total.contracts:,}", *_amounts(total.sums))
    draw(drawn)
    _age(found)
    page = reads.reconciled(move_id, window=Window(limit))
    drawn = table("contract", "stands", *heads, "because")
    for row in page.rows:
        drawn.add_row(text(row.external_id), row.stands.value, *_amounts(row.sums), row.why.value if row.why else "")
    draw(drawn)
    of_all(page)
    if csv is not None:
        typer.echo(f"all contracts of it are in {plain(csv)}")


for shared in (
    replay.show, replay.items, replay.confirm, replay.approve, replay.refuse, replay.watch,
    replay.pause, replay.resume, replay.cancel,
):  # fmt: skip
    move.command()(shared)


def _say(one: Work, made: "ReplayMade", *, wait: bool, as_json: bool) -> None:
    if as_json:
        from app.api.replay_views import ReplayMadeView

        print_json(ReplayMadeView.model_validate(made))
        return
    typer.echo(f"move {made.replay_id}: {made.items:,} contracts, {made.to_preview:,} of them are previewed now")
    if wait:
        told(one.reads, previewed(one.reads, made.replay_id))


def _age(found: "Reconciliation") -> None:
    """What the differences are made of, and how old all of it is."""
    for one in (part for total in found.totals for part in total.parts):
        typer.echo(f"of the difference {money(one.amount)} of {one.contracts:,} contracts: {one.why.value}")
    if not found.whole:
        typer.echo("of contracts within your reach; the move has others")
    if found.read_at is not None:
        typer.echo(f"as the ERPs were read back, the oldest {found.read_at:%Y-%m-%d %H:%M} UTC")


def _amounts(sums: "Sums") -> list[str]:
    from sync_core.reads.moves import AMOUNTS

    return [money(getattr(sums, name)) for name in AMOUNTS]


def _csv(rows: "Sequence[ReconciledRow]") -> bytes:
    import pandas as pd

    from sync_core.reads.export import safe_csv
    from sync_core.reads.moves import FILE_COLUMNS, listed

    return safe_csv(pd.DataFrame(listed(rows), columns=list(FILE_COLUMNS)))
