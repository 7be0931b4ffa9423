"""`tieline amendments`: the terms and the schedule of a contract before and after each of its amendments."""

from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.table import draw, table
from app.cli.work import NAMED, AsJson, contracts_named, plain, print_json, text, work
from sync_core.commands.desk import NotFound
from sync_core.money import written

if TYPE_CHECKING:
    from decimal import Decimal

    from sync_core.life.amendments import Comparison, Row
    from sync_core.reads.amendments import AmendmentHistory, AmendmentRow


def amendments(contract: Annotated[str, typer.Argument(help=NAMED)], as_json: AsJson = False) -> None:
    """Show the amendments of a contract, oldest first: terms and schedule before and after each, and when it was in the
    ERP.
    """
    one = work("amendments")
    [contract_id] = contracts_named(one, [contract])
    found = one.reads.amendments(contract_id)
    if found is None:
        raise NotFound(f"there is no contract {plain(contract)}")
    if as_json:
        from app.api.amendments import amendments_view

        print_json(amendments_view(found))
        return
    if found.unreadable:
        typer.echo(f"not all of it can be told: {plain(found.unreadable)}", err=True)
    for each in found.amendments:
        _amendment(each)
    typer.echo(f"{plain(found.external_id)} has {len(found.amendments):,} amendments")
    _published_otherwise(found)
    if found.more_events:
        typer.echo("it has more events than are read here; the newest are left out", err=True)


def _amendment(one: "AmendmentRow") -> None:
    step, made = one.step, one.step.comparison
    told = [f"executed {step.executed_at:%Y-%m-%d %H:%M} UTC", f"received {one.received_at:%Y-%m-%d %H:%M}"]
    if step.signed_by:
        told.insert(1, f"by {plain(step.signed_by)}")
    told += [f"effective {step.effective_on}"] if step.effective_on else []
    waits = f"waits for {one.later_from:%Y-%m-%d %H:%M}" if one.later_from else "not in the ERP yet"
    told.append(f"in the ERP {one.synced_at:%Y-%m-%d %H:%M}" if one.synced_at else waits)
    summary = f": {plain(step.summary)}" if step.summary else ""
    typer.echo(f"amendment {step.number}{summary} ({'; '.join(told)})")
    if made is None:
        typer.echo("  it waits for the amendment before it, and is not applied")
        return
    drawn = table("what", "before", "after", "change")
    for change in made.terms:
        drawn.add_row(text(change.field), text(change.before or "-"), text(change.after or "-"), "")
    for row in made.schedule.rows:
        drawn.add_row(text(row.name), *_sides(row, made), row.fate.value)
    schedule = made.schedule
    drawn.add_row(
        "all", written(schedule.before, made.currency_before), written(schedule.after, made.currency),
        "" if made.delta is None else f"{made.delta:+}",
    )  # fmt: skip
    draw(drawn)


def _sides(row: "Row", made: "Comparison") -> tuple[str, str]:
    def side(amount: "Decimal | None", due: object, currency: str) -> str:
        return "-" if amount is None else written(amount, currency) + (f", {due}" if due else "")

    return side(row.before, row.due_before, made.currency_before), side(row.after, row.due_after, made.currency)


def _published_otherwise(found: "AmendmentHistory") -> None:
    if found.silent:
        drawn = table("published otherwise, not applied", "agreed", "published")
        for one in found.silent:
            drawn.add_row(text(one.what), text(one.held or "-"), text(one.wanted or "-"))
        draw(drawn)
