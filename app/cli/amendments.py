"""`tieline amendments`: the terms and the schedule of a contract before and after each of its amendments."""

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.table import draw, table
from app.cli.work import NAMED, AsJson, contracts_named, plain, print_json, text, work
from sync_core.commands.desk import NotFound
from sync_core.contract import BillingKind
from sync_core.money import written
from sync_core.money_words import said

if TYPE_CHECKING:
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
    count = len(found.amendments)
    typer.echo(f"{plain(found.external_id)} has {count:,} amendment{'' if count == 1 else 's'}")
    _books(found)
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
        drawn.add_row(
            text(change.field), _term(change.field, change.before, made.currency_before),
            _term(change.field, change.after, made.currency), "",
        )  # fmt: skip
    for row in made.schedule.rows:
        drawn.add_row(text(row.name), *_sides(row, made), row.fate.value)
    schedule = made.schedule
    drawn.add_row(
        "all", written(schedule.before, made.currency_before), written(schedule.after, made.currency),
        _delta(made.delta, made.currency),
    )  # fmt: skip
    draw(drawn)


def _sides(row: "Row", made: "Comparison") -> tuple[str, str]:
    def side(amount: Decimal | None, due: object, currency: str) -> str:
        return "-" if amount is None else written(amount, currency) + (f", {due}" if due else "")

    return side(row.before, row.due_before, made.currency_before), side(row.after, row.due_after, made.currency)


def _term(field: str, value: str | None, currency: str) -> str:
    return text(said(field, value, currency) or "-")


def _delta(delta: Decimal | None, currency: str) -> str:
    """Of a value that changed."""
    return f"{'+' if delta > 0 else ''}{written(delta, currency)}" if delta else ""


def _books(found: "AmendmentHistory") -> None:
    """What is invoiced of the contract as it stands, and what is to be."""
    terms = found.contract.terms if found.contract else None
    if found.books is None or terms is None or terms.billing.kind is not BillingKind.MILESTONES:
        return
    currency = terms.currency
    at = found.invoiced_at
    read = f"the ERP as read {at:%Y-%m-%d %H:%M} UTC" if at else "not read from an ERP yet"
    drawn = table(f"milestone ({read})", "invoiced", "to invoice", "to settle", "contract")
    for row in found.books.rows:
        invoiced = "-" if row.invoiced is None else written(row.invoiced, row.invoiced_in or currency)
        drawn.add_row(text(row.name), invoiced, written(row.to_invoice, currency) if row.to_invoice else "-",
                      _delta(row.difference, currency) or "-", "-" if row.after is None else
                      written(row.after, currency))  # fmt: skip
    books = found.books
    sums = [written(books.invoiced, currency), *(written(sum_, other) for other, sum_ in books.invoiced_otherwise)]
    drawn.add_row("all", " and ".join(sums), written(books.to_invoice, currency),
                  _delta(books.difference, currency) or "-", written(books.after, currency))  # fmt: skip
    draw(drawn)


def _published_otherwise(found: "AmendmentHistory") -> None:
    if found.silent:
        drawn = table("published otherwise, not applied", "agreed", "published")
        currency = found.contract.terms.currency if found.contract and found.contract.terms else ""
        for one in found.silent:
            drawn.add_row(text(one.what), _term(one.what, one.held, currency), _term(one.what, one.wanted, currency))
        draw(drawn)
