"""A snapshot's content as flat tables: what every file holds, and what the hashes of the data are made of."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Final

from metrics.kpi import Column, Span, Unit
from metrics.snapshot import wording
from metrics.snapshot.content import Content, KpiTaken
from metrics.snapshot.table import Cell, Field, Kind, Table
from metrics.snapshot.tables_restated import moved, restated, stated
from metrics.snapshot.wording import exact
from metrics.targets import judged


def tables_of(content: Content) -> list[Table]:
    """In the order of the workbook's sheets."""
    return [
        _kpis(content), _trend(content), _entities(content), _figures(content), _excluded(content),
        _definitions(content), restated(content), moved(content), stated(content), _rates(content),
        *(_rows(one, content) for one in content.kpis if one.drill is not None),
    ]  # fmt: skip


_SLUG: Final = Field("kpi", "KPI", Kind.TEXT)
_N: Final = (
    Field("n", "Cases", Kind.INTEGER),
    Field("n_open", "Open", Kind.INTEGER),
)


_AT: Final = Field("at", "A state is as of", Kind.MOMENT)
_FACTS_AT: Final = Field("data_as_of", "Data as of, where older", Kind.MOMENT)


def _table(
    name: str, title: str, fields: Sequence[Field], rows: Iterable[tuple[Cell, ...]],
    units: Iterable[tuple[Unit, str]] = (),
) -> Table:  # fmt: skip
    made = tuple(rows)
    return Table(name, title, tuple(fields), made, len(made), tuple(units))


def _kpis(content: Content) -> Table:
    currency = content.reporting
    fields = (
        _SLUG, Field("title", "Measure", Kind.TEXT), Field("unit", "Unit", Kind.TEXT),
        Field("of", "Value is of", Kind.TEXT), Field("value", "Value", Kind.NUMBER, by_row=True),
        Field("previous", "Before", Kind.NUMBER, by_row=True),
        Field("thirteen_weeks", "13 weeks", Kind.NUMBER, by_row=True),
        Field("target", "Target", Kind.NUMBER, by_row=True), Field("better", "Better is", Kind.TEXT), *_N,
        Field("status", "Against the target", Kind.TEXT),
        Field("n_week", "Cases of the week alone", Kind.INTEGER), Field("excluded", "Not counted", Kind.INTEGER),
        Field("error", "Error of the value", Kind.NUMBER, by_row=True), Field("why_none", "Why no value", Kind.TEXT),
        Field("definition_version", "Definition", Kind.INTEGER), _AT, _FACTS_AT,
    )  # fmt: skip

    def row(one: KpiTaken) -> tuple[Cell, ...]:
        known, answer = one.definition, one.headline
        previous = None if one.previous is None else exact(one.previous.value, known.unit, currency)
        return (
            known.slug, known.title, wording.unit_text(known.unit, currency), one.of,
            exact(answer.value, known.unit, currency), previous, exact(one.quarter.value, known.unit, currency),
            wording.decimal_of(known.target), known.better.value, answer.n, answer.n_open,
            judged(known, answer), one.answer.n, sum(answer.excluded.values()), wording.decimal_of(answer.error),
            wording.why_none(answer), known.version, one.at, one.facts_at,
        )  # fmt: skip

    units = ((one.definition.unit, currency) for one in content.kpis)
    return _table("kpis", "Measures", fields, map(row, content.kpis), units)


def _trend(content: Content) -> Table:
    fields = (_SLUG, Field("week", "Week", Kind.TEXT), Field("begins", "Begins", Kind.DAY),
              Field("value", "Value", Kind.NUMBER, by_row=True), *_N, Field("of", "Value is of", Kind.TEXT),
              _AT)  # fmt: skip
    points = [(one, point) for one in content.kpis for point in one.trend]
    return _table("trend", "Thirteen weeks", fields, (
        (one.definition.slug, one.label(point), point.week,
         exact(point.value, one.definition.unit, content.reporting), point.n, point.n_open, _of_point(one), point.at)
        for one, point in points
    ), ((one.definition.unit, content.reporting) for one, _ in points))  # fmt: skip


def _of_point(one: KpiTaken) -> str:
    if one.pooled_trend:
        return wording.FOUR_WEEKS
    return "month" if one.span is Span.QUARTER else one.span.value


def _entities(content: Content) -> Table:
    fields = (_SLUG, Field("legal_entity", "Legal entity", Kind.TEXT),
              Field("value", "Value", Kind.NUMBER, by_row=True), *_N, Field("why_none", "Why no value", Kind.TEXT),
              Field("of", "Value is of", Kind.TEXT), _AT)  # fmt: skip
    parts = [(one, name, answer) for one in content.kpis for name, answer in sorted(one.entities.items())]
    return _table("entities", "By legal entity", fields, (
        (one.definition.slug, name, exact(answer.value, one.definition.unit, content.reporting), answer.n,
         answer.n_open, wording.why_none(answer), one.of, one.at)
        for one, name, answer in parts
    ), ((one.definition.unit, content.reporting) for one, _, _ in parts))  # fmt: skip


def _figures(content: Content) -> Table:
    fields = (_SLUG, Field("figure", "Figure", Kind.TEXT), Field("label", "What", Kind.TEXT),
              Field("value", "Value", Kind.NUMBER, by_row=True), Field("unit", "Unit", Kind.TEXT),
              Field("note", "Note", Kind.TEXT), Field("of", "Value is of", Kind.TEXT), _AT)  # fmt: skip
    listed = [
        (one, figure, figure.currency or content.reporting) for one in content.kpis for figure in one.headline.figures
    ]
    return _table("figures", "Beside the measures", fields, (
        (one.definition.slug, figure.key, figure.label, exact(figure.value, figure.unit, currency),
         wording.unit_text(figure.unit, currency), figure.note, one.of, one.at)
        for one, figure, currency in listed
    ), ((figure.unit, currency) for _, figure, currency in listed))  # fmt: skip


def _excluded(content: Content) -> Table:
    fields = (_SLUG, Field("reason", "Why not counted", Kind.TEXT), Field("n", "Cases", Kind.INTEGER))
    return _table("excluded", "Not counted", fields, (
        (one.definition.slug, reason, n)
        for one in content.kpis for reason, n in sorted(one.headline.excluded.items())
    ))  # fmt: skip


def _definitions(content: Content) -> Table:
    fields = (
        _SLUG, Field("title", "Measure", Kind.TEXT), Field("version", "Version", Kind.INTEGER),
        Field("unit", "Unit", Kind.TEXT), Field("says", "What it says", Kind.TEXT),
        Field("formula", "How it is worked out", Kind.TEXT), Field("target", "Target", Kind.NUMBER, by_row=True),
        Field("target_says", "About the target", Kind.TEXT),
    )  # fmt: skip
    return _table("definitions", "Definitions", fields, (
        (known.slug, known.title, known.version, wording.unit_text(known.unit, content.reporting), known.says,
         known.formula, wording.decimal_of(known.target), known.target_says)
        for known in (one.definition for one in content.kpis)
    ), ((one.definition.unit, content.reporting) for one in content.kpis))  # fmt: skip


def _rates(content: Content) -> Table:
    fields = (Field("currency", "Currency", Kind.TEXT), Field("rate", f"In {content.reporting}", Kind.NUMBER),
              Field("valid_from", "Valid from", Kind.DAY), Field("used_for", "Used for", Kind.TEXT))  # fmt: skip
    return _table("rates", "Exchange rates", fields, (
        (one.currency, wording.finest(one.rate), one.valid_from, "; ".join(one.uses)) for one in content.rates
    ))  # fmt: skip


# ---- the rows behind a number --------------------------------------------------------------------------------

# Read from the contract as it is now, not as of then: they would make a snapshot of the past another one.
_ROWS_OF: Final = Field("rows_of", "Rows are of", Kind.TEXT)
_OF_NOW: Final = frozenset({"title", "customer", "customer_name", "customer_code"})


def _rows(one: KpiTaken, content: Content) -> Table:
    """The last column says of which weeks they are: those of the headline."""
    drill, currency = one.drill, content.reporting
    if drill is None:
        raise ValueError(f"{one.definition.slug} has no rows")
    columns = [column for column in drill.columns if column.key not in _OF_NOW]
    fields = tuple(_field(column, [row.get(column.key) for row in drill.rows]) for column in columns)
    owns = next((column.currency for column in columns if column.currency), "")
    currencies = [str(row.get(owns) or currency) for row in drill.rows]
    of = wording.window_name(one.of, content.week)
    rows = tuple(
        (*(_cell(row.get(field.key), field, own if field.by_row else currency) for field in fields), of)
        for row, own in zip(drill.rows, currencies, strict=True)
    )  # fmt: skip
    name = f"rows_{one.definition.slug.replace('-', '_')}"
    units = tuple((Unit.MONEY, own) for own in currencies) if owns else ()
    return Table(name, one.definition.title, (*fields, _ROWS_OF), rows, drill.count, units)


def _field(column: Column, values: Sequence[object]) -> Field:
    known = [value for value in values if value is not None]
    kind = Kind.TEXT if not known else _kind(known)
    typed = column.unit is not None or bool(column.currency)
    return Field(column.key, column.label, Kind.NUMBER if typed else kind, column.unit, by_row=bool(column.currency))


def _kind(known: Sequence[object]) -> Kind:
    """One kind for a column: text where they differ."""
    for kind, types in (
        (Kind.MOMENT, datetime), (Kind.DAY, date), (Kind.INTEGER, int), (Kind.NUMBER, int | float | Decimal),
    ):  # fmt: skip
        if all(isinstance(value, types) and not isinstance(value, bool) for value in known):
            return kind
    return Kind.TEXT


def _cell(value: object, field: Field, currency: str) -> Cell:
    if value is None:
        return None
    if field.kind is Kind.NUMBER and isinstance(value, int | float | Decimal):
        return exact(value, field.unit or (Unit.MONEY if field.by_row else Unit.RATIO), currency)
    if field.kind is Kind.INTEGER and isinstance(value, int):
        return value
    if field.kind in (Kind.MOMENT, Kind.DAY) and isinstance(value, date):
        return value
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
