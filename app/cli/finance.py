"""`tieline rates`, `disputes`, `baseline` and `assumptions`: what finance states, from files."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.refusals import Exit, Refusal
from app.cli.table import draw, table
from app.cli.work import AsJson, Limit, of_all, plain, print_json, print_page, text, work
from sync_core.finance import Stated

if TYPE_CHECKING:
    from sync_core.commands.files import Form
    from sync_core.commands.finance import Imported

rates = typer.Typer(help="Exchange rates: import, list.", no_args_is_help=True)
disputes = typer.Typer(help="Billing disputes of ERPs that report none: import.", no_args_is_help=True)
baseline = typer.Typer(help="Numbers from before go-live: import, show.", no_args_is_help=True)
assumptions = typer.Typer(help="What differences are worth: import, show.", no_args_is_help=True)

File = Annotated[Path, typer.Argument(help="A .csv or .json file; docs/finance_data.md has the columns.")]
AsOf = Annotated[str | None, typer.Option(help="As recorded by a moment, e.g. 2026-11-23T06:00:00Z.")]
_SUFFIXES = {".csv": "csv", ".json": "json"}


@rates.command(name="import")
def import_rates(file: File) -> None:
    """Take in rates: currency, valid_on, rate. All rows or none."""
    body, form = _read(file)
    one = work("rates")
    _report(one.commands.finance.import_rates(one.actor, body, form))


@disputes.command(name="import")
def import_disputes(file: File) -> None:
    """Take in disputes: dispute, invoice, raised_on, status, amount, currency[, erp, cause]. All rows or none."""
    body, form = _read(file)
    one = work("disputes")
    _report(one.commands.finance.import_disputes(one.actor, body, form))


@baseline.command(name="import")
def import_baseline(file: File) -> None:
    """Take in numbers: name, value, reason. All rows or none."""
    body, form = _read(file)
    one = work("baseline")
    _report(one.commands.finance.import_baseline(one.actor, body, form))


@assumptions.command(name="import")
def import_assumptions(file: File) -> None:
    """State assumptions anew: name, value, reason. All rows or none; what they were stays known."""
    body, form = _read(file)
    one = work("assumptions")
    _report(one.commands.finance.import_assumptions(one.actor, body, form))


@rates.command(name="list")
def list_rates(
    currency: Annotated[str | None, typer.Option(help="Of one currency only.")] = None,
    as_of: AsOf = None,
    replaced: Annotated[bool, typer.Option("--replaced", help="Earlier versions of a day, too.")] = False,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """Show rates, recorded last first."""
    from sync_core.reads.finance import RateFilter
    from sync_core.reads.paging import Window

    wanted = RateFilter(currency.upper() if currency else None, _moment(as_of), replaced)
    page = work("rates").reads.exchange_rates(wanted, window=Window(limit))
    if as_json:
        from app.api.finance import RateView

        print_page(page, RateView.model_validate)
        return
    drawn = table("currency", "valid on", "rate", "in", "recorded", "by")
    for row in page.rows:
        drawn.add_row(
            text(row.currency), str(row.valid_on), f"{row.rate:f}", row.reporting,
            f"{row.recorded_at:%Y-%m-%d %H:%M}", text(row.recorded_by),
        )  # fmt: skip
    draw(drawn)
    of_all(page)


@baseline.command(name="show")
def show_baseline(as_of: AsOf = None, as_json: AsJson = False) -> None:
    """Show the numbers from before go-live, and which are not stated."""
    _show(Stated.BASELINE, as_of, as_json=as_json)


@assumptions.command(name="show")
def show_assumptions(as_of: AsOf = None, as_json: AsJson = False) -> None:
    """Show what is assumed, and what is not stated."""
    _show(Stated.ASSUMPTION, as_of, as_json=as_json)


def _show(kind: Stated, as_of: str | None, *, as_json: bool) -> None:
    found = work(kind.value).reads.stated(kind, as_of=_moment(as_of))
    if as_json:
        from app.api.finance import StatedView

        print_json([StatedView.model_validate(one) for one in found])
        return
    drawn = table("name", "value", "recorded", "by", "reason")
    for one in found:
        recorded = "" if one.recorded_at is None else f"{one.recorded_at:%Y-%m-%d %H:%M}"
        value = "not stated" if one.value is None else f"{one.value:f}"
        drawn.add_row(one.name, value, recorded, text(one.recorded_by), text(one.reason))
    draw(drawn)


def _read(file: Path) -> "tuple[bytes, Form]":
    from sync_core.commands.files import Form

    suffix = _SUFFIXES.get(file.suffix.lower())
    if suffix is None:
        raise Refusal(f"{file.name!r} is no .csv and no .json file", Exit.USAGE)
    if not file.is_file():
        raise Refusal(f"there is no file {file}", Exit.USAGE)
    return file.read_bytes(), Form(suffix)


def _moment(given: str | None) -> datetime | None:
    if given is None:
        return None
    try:
        moment = datetime.fromisoformat(given)
    except ValueError as wrong:
        raise Refusal(f"--as-of: {given!r} is no moment; e.g. 2026-11-23T06:00:00Z", Exit.USAGE) from wrong
    if moment.tzinfo is None:
        raise Refusal(f"--as-of: {given!r} has no time zone; e.g. 2026-11-23T06:00:00Z", Exit.USAGE)
    return moment


def _report(done: "Imported") -> None:
    if done.repeated:
        typer.echo(f"these {done.rows:,} rows of {plain(done.kind)} were imported before; nothing was stored")
    else:
        typer.echo(f"{done.stored:,} of {done.rows:,} rows of {plain(done.kind)} said something new and were stored")
    for warning in done.warnings:
        typer.echo(f"warning: {plain(warning)}; import it again if it is wrong", err=True)
