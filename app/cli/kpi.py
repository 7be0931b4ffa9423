"""`tieline kpi`: what the pages and the API say of a KPI, for a shell."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.begin import begin
from app.cli.refusals import Exit, Refusal
from app.cli.table import draw, table
from app.cli.work import AsJson, print_json, text

if TYPE_CHECKING:
    from metrics.asking import By, Filters
    from metrics.kpi import Answer, Result
    from metrics.measures import Measures

Only = Annotated[list[str] | None, typer.Option(help="Only of this one; may be repeated.")]


def kpi(
    slug: Annotated[str | None, typer.Argument(help="Such as cycle-time; lists them all without one.")] = None,
    start: Annotated[str | None, typer.Option("--from", help="A week such as 2026-W35, or a Monday.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="The last week, or the Monday after it.")] = None,
    as_of: Annotated[str | None, typer.Option(help="What was known then, e.g. 2026-11-23T06:00Z; now without.")] = None,
    by: Annotated[str | None, typer.Option(help="Also of each week, legal_entity, service_line, ...")] = None,
    entity: Annotated[list[str] | None, typer.Option(help="Only of this legal entity; may be repeated.")] = None,
    service_line: Only = None,
    geography: Only = None,
    billing: Only = None,
    as_json: AsJson = False,
) -> None:
    """Show a KPI: its value, how sure it is, and what is not in it. Thirteen weeks up to now unless said otherwise."""
    from metrics.asking import Filters

    measures = _measures()
    if slug is None:
        _list(measures, as_json=as_json)
        return
    chosen = [frozenset(one) if one else None for one in (entity, service_line, geography, billing)]
    _show(measures, slug, (start, end, moment_of(as_of)), by=_by(by), filters=Filters(*chosen), as_json=as_json)


def moment_of(given: str | None) -> datetime | None:
    """Of --as-of; UTC unless it says otherwise."""
    if given is None:
        return None
    try:
        moment = datetime.fromisoformat(given)
    except ValueError as wrong:
        raise Refusal(f"--as-of: {given!r} is no moment; e.g. 2026-11-23T06:00:00Z", Exit.USAGE) from wrong
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _measures() -> "Measures":
    from app.wiring import Wiring
    from metrics.measures import Measures

    wiring = Wiring(begin("kpi"), "kpi")
    return Measures(wiring.engine(pool_size=1), clock=wiring.clock, estate=wiring.estate)


def _list(measures: "Measures", *, as_json: bool) -> None:
    if as_json:
        from app.api.kpi_views import DefinitionView

        print_json([DefinitionView.model_validate(one) for one in measures.definitions()])
        return
    drawn = table("KPI", "unit", "better is", "what it says")
    for one in measures.definitions():
        drawn.add_row(one.slug, one.unit.replace("_", " "), one.better, text(one.says))
    draw(drawn)


def _show(
    measures: "Measures", slug: str, when: tuple[str | None, str | None, datetime | None], *, by: "By | None",
    filters: "Filters", as_json: bool,
) -> None:  # fmt: skip
    from metrics import weeks
    from metrics.asking import Ask
    from metrics.checking import refuse_moment

    start, end, moment = when
    refuse_moment(moment)
    group = measures.estate.group
    window = weeks.window(start, end, now=moment or measures.clock.now(), zone=group.timezone)
    result = measures.kpi(slug, Ask(window, moment, filters), by)
    if as_json:
        from app.api.kpi_views import kpi_view

        print_json(kpi_view(result, window, group.reporting_currency))
        return
    _print(result, f"{weeks.week_name(window.mondays[0])} to {weeks.week_name(window.mondays[-1])}",
           group.reporting_currency)  # fmt: skip


def _print(result: "Result", window: str, currency: str) -> None:
    from metrics.asking import By
    from metrics.kpi import Span
    from metrics.snapshot.wording import shown

    known, answer = result.definition, result.answer
    of = "nothing was measured yet" if result.as_of is None else f"as of {result.as_of:%Y-%m-%d %H:%M} UTC"
    if known.span is Span.STATE:
        typer.echo(f"{known.title}, a state {of}; no window of weeks narrows it")
    else:
        typer.echo(f"{known.title}, {window}, {of}")
    typer.echo(f"  {_value(result, answer, currency)}   {known.says}")
    typer.echo(f"  n = {answer.n:,}, open {answer.n_open:,}" + _excluded(answer))
    drawn = table("figure", "value", "note")
    for figure in answer.figures:
        value = shown(figure.value, figure.unit, figure.currency or currency)
        drawn.add_row(text(figure.label), value, text(figure.note))
    draw(drawn)
    if result.parts:
        monthly = result.by is By.WEEK and known.span is Span.QUARTER
        parts = table("month" if monthly else str(result.by).replace("_", " "), "value", "n", "open")
        for group, part in result.parts.items():
            parts.add_row(text(group or "not known"), _value(result, part, currency), f"{part.n:,}", f"{part.n_open:,}")
        draw(parts)


def _value(result: "Result", answer: "Answer", currency: str) -> str:
    from metrics.snapshot.wording import shown

    known = shown(answer.value, result.definition.unit, currency)
    return text(answer.why_none or known) if answer.value is None else known


def _excluded(answer: "Answer") -> str:
    return "".join(f"; {n:,} not counted: {reason}" for reason, n in sorted(answer.excluded.items()) if n)


def _by(given: str | None) -> "By | None":
    from metrics.asking import By

    try:
        return None if given is None else By(given)
    except ValueError as wrong:
        raise Refusal(f"--by: {given!r} is none of {', '.join(By)}", Exit.USAGE) from wrong
