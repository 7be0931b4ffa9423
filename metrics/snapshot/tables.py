"""A snapshot's content as flat tables: what every file holds, and what the hashes of the data are made of.

Values are text, whole numbers, exact decimals, days and moments in UTC; the hash of a table is over its names, kinds
and values in a form of its own, so it depends neither on a file's format nor on the release that wrote it.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final

import orjson

from metrics.kpi import Column, Span, Unit, Value
from metrics.snapshot import wording
from metrics.snapshot.content import Content, KpiTaken

Cell = str | int | Decimal | date | datetime | None


class Kind(StrEnum):
    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"  # exact; measured values have six decimals at most, rates twelve
    DAY = "day"
    MOMENT = "moment"  # UTC


@dataclass(frozen=True, slots=True)
class Field:
    key: str
    label: str
    kind: Kind
    unit: Unit | None = None  # of all values of the column, where they have one
    by_row: bool = False  # its values have the unit and the currency of their row


@dataclass(frozen=True, slots=True)
class Table:
    """`total`: how many rows there are, where not all are in it."""

    name: str  # a-z, 0-9 and `_`
    title: str
    fields: tuple[Field, ...]
    rows: tuple[tuple[Cell, ...], ...]
    total: int
    units: tuple[tuple[Unit, str], ...] = ()  # of each row, with the currency of its money; () without `by_row`

    @property
    def sha256(self) -> str:
        """Of its data alone."""
        hashed = hashlib.sha256(orjson.dumps([self.name, [[f.key, f.kind] for f in self.fields], self.total]))
        for row in self.rows:
            hashed.update(orjson.dumps([None if cell is None else plain(cell) for cell in row]))
        return hashed.hexdigest()


def plain(cell: Cell) -> str:
    """The one text of a value: a decimal without an exponent, a moment to the microsecond in UTC."""
    if isinstance(cell, Decimal):
        return format(cell, "f")
    if isinstance(cell, datetime):
        return cell.astimezone(UTC).isoformat(timespec="microseconds")
    return cell.isoformat() if isinstance(cell, date) else str(cell)


def tables_of(content: Content) -> list[Table]:
    """In the order of the workbook's sheets."""
    return [
        _kpis(content), _trend(content), _entities(content), _figures(content), _excluded(content),
        _definitions(content), _restated(content), _moved(content), _rates(content),
        *(_rows(one, content.reporting) for one in content.kpis if one.drill is not None),
    ]  # fmt: skip


_SLUG: Final = Field("kpi", "KPI", Kind.TEXT)
_N: Final = (
    Field("n", "Cases", Kind.INTEGER),
    Field("n_open", "Open", Kind.INTEGER),
)


_AT: Final = Field("at", "A state is as of", Kind.MOMENT)


def _table(
    name: str, title: str, fields: Sequence[Field], rows: Iterable[tuple[Cell, ...]],
    units: Iterable[tuple[Unit, str]] = (),
) -> Table:  # fmt: skip
    made = tuple(rows)
    return Table(name, title, tuple(fields), made, len(made), tuple(units))


def _value(value: Value, unit: Unit, currency: str) -> Decimal | None:
    return wording.amount_of(value, currency) if wording.is_money(unit) else wording.decimal_of(value)


def _kpis(content: Content) -> Table:
    currency = content.reporting
    fields = (
        _SLUG, Field("title", "Measure", Kind.TEXT), Field("unit", "Unit", Kind.TEXT),
        Field("of", "Value is of", Kind.TEXT), Field("value", "Value", Kind.NUMBER, by_row=True),
        Field("previous", "Before", Kind.NUMBER, by_row=True),
        Field("thirteen_weeks", "13 weeks", Kind.NUMBER, by_row=True),
        Field("target", "Target", Kind.NUMBER, by_row=True), Field("better", "Better is", Kind.TEXT), *_N,
        Field("n_week", "Cases of the week alone", Kind.INTEGER), Field("excluded", "Not counted", Kind.INTEGER),
        Field("error", "Error of the value", Kind.NUMBER, by_row=True), Field("why_none", "Why no value", Kind.TEXT),
        Field("definition_version", "Definition", Kind.INTEGER), _AT,
    )  # fmt: skip

    def row(one: KpiTaken) -> tuple[Cell, ...]:
        known, answer = one.definition, one.headline
        previous = None if one.previous is None else _value(one.previous.value, known.unit, currency)
        return (
            known.slug, known.title, wording.unit_text(known.unit, currency), one.of,
            _value(answer.value, known.unit, currency), previous, _value(one.quarter.value, known.unit, currency),
            wording.decimal_of(known.target), known.better.value, answer.n, answer.n_open, one.answer.n,
            sum(answer.excluded.values()), wording.decimal_of(answer.error), answer.why_none, known.version, one.at,
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
         _value(point.value, one.definition.unit, content.reporting), point.n, point.n_open, _of_point(one), point.at)
        for one, point in points
    ), ((one.definition.unit, content.reporting) for one, _ in points))  # fmt: skip


def _of_point(one: KpiTaken) -> str:
    if one.pooled_trend:
        return wording.FOUR_WEEKS
    return "month" if one.span is Span.QUARTER else one.span.value


def _entities(content: Content) -> Table:
    fields = (_SLUG, Field("legal_entity", "Legal entity", Kind.TEXT),
              Field("value", "Value", Kind.NUMBER, by_row=True), *_N, Field("why_none", "Why no value", Kind.TEXT),
              _AT)  # fmt: skip
    parts = [(one, name, answer) for one in content.kpis for name, answer in sorted(one.entities.items())]
    return _table("entities", "By legal entity", fields, (
        (one.definition.slug, name, _value(answer.value, one.definition.unit, content.reporting), answer.n,
         answer.n_open, answer.why_none, one.at)
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
        (one.definition.slug, figure.key, figure.label, _value(figure.value, figure.unit, currency),
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


def _restated(content: Content) -> Table:
    units = {one.definition.slug: one.definition.unit for one in content.kpis}
    fields = (
        _SLUG, Field("before", "As first made", Kind.NUMBER, by_row=True),
        Field("after", "As known now", Kind.NUMBER, by_row=True),
        Field("n_before", "Cases then", Kind.INTEGER), Field("n_after", "Cases now", Kind.INTEGER),
    )  # fmt: skip
    return _table("restated", "Restated measures", fields, (
        (one.slug, _value(one.before, units[one.slug], content.reporting),
         _value(one.after, units[one.slug], content.reporting), one.n_before, one.n_after)
        for one in content.restatement.kpis
    ), ((units[one.slug], content.reporting) for one in content.restatement.kpis))  # fmt: skip


def _moved(content: Content) -> Table:
    fields = (
        Field("contract", "Contract", Kind.TEXT), Field("contract_id", "Number", Kind.INTEGER),
        Field("legal_entity", "Legal entity", Kind.TEXT), Field("fact", "Fact", Kind.TEXT),
        Field("key", "Of", Kind.TEXT), Field("what", "Field", Kind.TEXT), Field("before", "Was", Kind.TEXT),
        Field("after", "Is", Kind.TEXT), Field("known_from", "Known since", Kind.MOMENT),
        Field("measures", "Moved", Kind.TEXT),
    )  # fmt: skip
    rows = tuple(
        (one.contract, one.contract_id, one.legal_entity, one.fact, one.key, one.what, one.before, one.after,
         one.known_from, ", ".join(one.measures))
        for one in content.restatement.moved
    )  # fmt: skip
    return Table("moved", "What moved them", fields, rows, len(rows))


_FINEST: Final = Decimal("0.000000000001")


def _rates(content: Content) -> Table:
    fields = (Field("currency", "Currency", Kind.TEXT), Field("rate", f"In {content.reporting}", Kind.NUMBER),
              Field("valid_from", "Valid from", Kind.DAY))  # fmt: skip
    return _table("rates", "Exchange rates", fields, (
        (one.currency, one.rate.quantize(_FINEST).normalize() + Decimal(0), one.valid_from) for one in content.rates
    ))  # fmt: skip


# ---- the rows behind a number --------------------------------------------------------------------------------

# Read from the contract as it is now, not as of then: they would make a snapshot of the past another one.
_OF_NOW: Final = frozenset({"title", "customer", "customer_name", "customer_code"})


def _rows(one: KpiTaken, currency: str) -> Table:
    drill = one.drill
    if drill is None:
        raise ValueError(f"{one.definition.slug} has no rows")
    columns = [column for column in drill.columns if column.key not in _OF_NOW]
    fields = tuple(_field(column, [row.get(column.key) for row in drill.rows]) for column in columns)
    owns = next((column.currency for column in columns if column.currency), "")
    currencies = [str(row.get(owns) or currency) for row in drill.rows]
    rows = tuple(
        tuple(_cell(row.get(field.key), field, own if field.by_row else currency) for field in fields)
        for row, own in zip(drill.rows, currencies, strict=True)
    )  # fmt: skip
    name = f"rows_{one.definition.slug.replace('-', '_')}"
    units = tuple((Unit.MONEY, own) for own in currencies) if owns else ()
    return Table(name, one.definition.title, fields, rows, drill.count, units)


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
        return _value(value, field.unit or (Unit.MONEY if field.by_row else Unit.RATIO), currency)
    if field.kind is Kind.INTEGER and isinstance(value, int):
        return value
    if field.kind in (Kind.MOMENT, Kind.DAY) and isinstance(value, date):
        return value
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
