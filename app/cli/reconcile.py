"""`tieline reconcile`: compare CLM, Tieline and ERP now, show what differs, and preview its repair."""

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Final

import typer

from app.cli.refusals import Exit, Refusal
from app.cli.table import draw, table
from app.cli.work import NAMED, AsJson, Limit, Work, contracts_named, print_page, text, work

if TYPE_CHECKING:
    from sync_core.reads.drift import DriftFilter

_EVERY_S: Final = 0.5


def reconcile(
    entity: Annotated[str, typer.Option(help="Only of this legal entity.")] = "",
    contract: Annotated[list[str] | None, typer.Option("--contract", help=f"{NAMED} Repeat for more.")] = None,
    last: Annotated[bool, typer.Option("--last", help="Show what is known, without a new comparison.")] = False,
    wait_s: Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait for the workers.")] = 300.0,
    repair: Annotated[
        bool, typer.Option("--repair", help="Then make a replay of what is ours to repair, to be confirmed.")
    ] = False,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """Compare contracts with their CLM and ERP, by the workers, and show where they differ.

    Exit code 24: something of ours differs, or waits for its owner. 25: not all could be compared in time.
    """
    from sync_core.reads.drift import DriftFilter

    one = work("reconcile")
    chosen = contracts_named(one, contract or ()) or None
    left = 0 if last else _compared(one, chosen, entity, wait_s)
    wanted = DriftFilter(legal_entity=entity, contracts=tuple(chosen or ()))
    open_ones = _show(one, wanted, limit, as_json=as_json)
    if repair and open_ones:
        made = one.commands.drift.repair(one.actor, chosen, entity=entity)
        typer.echo(f"replay {made.replay_id} previews the repair of {made.items:,} contracts: `tieline replay show "
                   f"{made.replay_id}`, then `tieline replay confirm {made.replay_id}`", err=as_json)  # fmt: skip
    if left:
        raise Refusal(f"{left:,} contracts are not compared yet; workers must be running.", Exit.NOT_KNOWN)
    if open_ones:
        raise Refusal(f"{open_ones:,} differences are to be mended.", Exit.DIFFERS)


def _compared(one: Work, chosen: list[int] | None, entity: str, wait_s: float) -> int:
    """Ask for it, and wait; how many are left."""
    one.commands.drift.compare(one.actor, chosen, entity=entity)
    until = time.monotonic() + wait_s
    while True:
        state = one.reads.drift_watch()
        if state.asked <= state.held_up or time.monotonic() >= until:
            return max(0, state.asked - state.held_up)
        time.sleep(_EVERY_S)


def _show(one: Work, wanted: "DriftFilter", limit: int, *, as_json: bool) -> int:
    """How many of them are to be mended."""
    from app.api.drift import DriftView
    from sync_core.money_words import said
    from sync_core.reads.paging import MAX_PAGE_SIZE, Window
    from sync_core.watch.drift import Stands

    page = one.reads.drift(wanted, window=Window(MAX_PAGE_SIZE if as_json else limit))
    mended = sum(one.reads.drift(replace(wanted, stands=each)).total for each in (Stands.OURS, Stands.OWNER))
    if as_json:
        print_page(page, DriftView.model_validate)
        return mended
    if page.rows:
        drawn = table("contract", "entity", "in", "what", "the contract says", "it holds", "stands")
        for row in page.rows:
            what = f"{row.kind} {row.business_key} {row.field}".replace("_", " ")
            drawn.add_row(
                text(row.external_id), text(row.legal_entity), text(row.system), text(what),
                text(said(row.field, row.ours, row.currency) or "-"),
                text(said(row.field, row.theirs, row.currency) or "-"), row.stands.value,
            )  # fmt: skip
        draw(drawn)
    if page.total > len(page.rows):
        typer.echo(f"{page.total - len(page.rows):,} more; use --limit or --json")
    state = one.reads.drift_watch()
    since = f"the oldest comparison is of {state.oldest_at:%Y-%m-%d %H:%M} UTC" if state.oldest_at else "none is old"
    typer.echo(f"{page.total_text} differences; {state.watched:,} contracts are watched, {since}")
    return mended
