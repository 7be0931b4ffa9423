"""`tieline verify`: what the tables say of contracts, held against their events."""

import sys
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.refusals import Exit, Refusal
from app.cli.table import draw, table
from app.cli.work import AsJson, Limit, plain, text, work

if TYPE_CHECKING:
    from sync_core.reads.verify import Verified


def verify(
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="What was recorded by then, e.g. 2026-11-23T06:00:00Z; now without.")
    ] = None,
    entity: Annotated[str, typer.Option(help="Only contracts of this legal entity.")] = "",
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """Rebuild contracts, crosswalk and plans from the events, and compare them with the tables. Writes nothing.

    Exit code 24: something differs. 25: an event cannot be read, so its contract could not be rebuilt. Crosswalk and
    plans of runs under other rules than today's are counted, not compared; they change no exit code.
    """
    moment, one = _moment(as_of), work("verify")
    found = one.reads.verified(as_of=moment, entity=entity, progress=_progress if sys.stderr.isatty() else None)
    if as_json:
        from sync_core.commands.desk import as_json as json_of

        typer.echo(json_of(asdict(found) | {"equal": found.equal}).decode())
    else:
        _draw(found, limit)
    if found.differing:
        words = f"{found.differing:,} differences in {found.different:,} contracts"
        raise Refusal(f"The tables say otherwise than the events: {words}.", Exit.DIFFERS)
    if found.unreadable:
        raise Refusal(f"{found.unreadable:,} contracts have an event that cannot be read.", Exit.NOT_KNOWN)


def _draw(found: "Verified", limit: int) -> None:
    when = f" as of {found.as_of:%Y-%m-%d %H:%M:%S} UTC" if found.as_of else ""
    compared = ", ".join(f"{count:,} {what}s" for what, count in found.compared.items())
    typer.echo(f"{found.contracts:,} contracts rebuilt from their events{when}; compared: {compared}")
    for why, count in sorted(found.not_all.items()):
        typer.echo(f"  {count:,} not in all: {why}")
    if found.other_rules:
        typer.echo(f"  of {found.other_rules:,} the last run was made by other rules (estate or policy): their "
                   "crosswalk, plans, lanes and dates were not compared, and nothing is said of these")  # fmt: skip
    if found.differences:
        drawn = table("contract", "where", "what", "by its events", "in the table")
        for each in found.differences[:limit]:
            drawn.add_row(
                text(each.external_id), each.where, text(each.field), text(each.rebuilt or "-"), text(each.live or "-")
            )
        draw(drawn)
    if found.differing > limit:
        typer.echo(f"{found.differing - limit:,} more; use --limit or --json")


def _progress(contracts: int) -> None:
    typer.echo(f"\r{contracts:,} contracts", nl=False, err=True)


def _moment(given: str | None) -> datetime | None:
    if given is None:
        return None
    try:
        found = datetime.fromisoformat(given)
    except ValueError as wrong:
        said = plain(given)[:40]
        raise typer.BadParameter(f"{said!r} is no moment; e.g. 2026-11-23T06:00:00Z", param_hint="--as-of") from wrong
    if found.tzinfo is None:
        raise typer.BadParameter("say its zone, as in 2026-11-23T06:00:00Z", param_hint="--as-of")
    return found
