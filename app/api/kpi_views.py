"""What the API says of a KPI: definitions, answers, and the rows behind a number. The command line prints the same."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Final

from pydantic import ConfigDict, Field

from app.api.answers import Moment, MoneyView, View
from metrics.asking import By, Window
from metrics.kpi import Answer, Better, Definition, Drill, Figure, Result, Span, Unit, Value
from metrics.snapshot.wording import amount_of, decimal_of, is_money
from metrics.weeks import week_name

Number = Annotated[
    MoneyView | int | float | None,
    Field(description="In the unit: money with its currency, a share from 0 to 1, other numbers as they are"),
]
Cell = MoneyView | int | float | bool | str | None
_SPAN: Final = (
    "`state`: how things stand as of `as_of`, whatever the window; `week` and `13 weeks`: of the window, and what "
    "snapshots tell it of"
)
_NO_CASE: Final = "there is no case of it"
_FROM: Final = ConfigDict(serialize_by_alias=True)


class DefinitionView(View):
    """What a KPI means and how it is worked out."""

    slug: str
    title: str
    unit: Unit
    better: Better
    span: Annotated[Span, Field(description=_SPAN)]
    version: Annotated[int, Field(description="Rises when the same facts would give another value")]
    says: str
    formula: str
    splits: Annotated[list[By], Field(description="What `by` it takes")]
    target: float | None
    target_says: str
    drill: Annotated[str, Field(description='What a row behind it is; "" where it has none')]


class WindowView(View):
    """Whole ISO weeks in the group's zone: Mondays, the second one not in it."""

    model_config = _FROM

    start: Annotated[date, Field(serialization_alias="from")]
    end: Annotated[date, Field(serialization_alias="to")]
    first_week: Annotated[str, Field(examples=["2026-W35"])]
    last_week: Annotated[str, Field(examples=["2026-W47"])]


class FigureView(View):
    """A number beside the value: a bound, a percentile, the naive value."""

    key: str
    label: str
    unit: Unit
    value: Number
    note: Annotated[str, Field(description="What it is of, the rates it was converted at, or why it is null")]


class AnswerView(View):
    """`value` is null where there are no cases, or too few; `why_none` says so."""

    value: Number
    why_none: str
    error: Annotated[float | None, Field(description="In the unit, of a value read from buckets; null: it is exact")]
    n: int
    n_open: int
    excluded: Annotated[dict[str, int], Field(description="Cases that are not counted, by reason")]
    rate_dates: Annotated[dict[str, date], Field(description="By currency, the day of the rate it was converted at")]
    figures: list[FigureView]


class PartView(AnswerView):
    """Of one group of `by`; a week is named by its Monday."""

    group: str


class KpiView(AnswerView):
    """One KPI of a window, as of a moment."""

    slug: str
    title: str
    unit: Unit
    better: Better
    span: Annotated[Span, Field(description=_SPAN)]
    definition_version: int
    target: float | None
    window: WindowView
    as_of: Annotated[Moment | None, Field(description="What ages are measured against; null: nothing was measured yet")]
    data_as_of: Annotated[Moment | None, Field(description="What was known: the end of a refresh")]
    by: By | None
    parts: list[PartView]


class ColumnView(View):
    key: str
    label: str
    unit: Unit | None


class KpiRowsView(View):
    """Rows behind a number, the largest first. `total`: what the column `adds` comes to over all `count` rows."""

    columns: list[ColumnView]
    items: list[dict[str, Cell]]
    adds: str | None
    total: Number
    count: int
    next: Annotated[str | None, Field(description="`cursor` of the next rows; null: these are the last")]


def number(value: Value, unit: Unit, currency: str) -> MoneyView | int | float | None:
    """Money rounded once, to the minor unit; other numbers to six decimals."""
    if value is None:
        return None
    if is_money(unit):
        amount = amount_of(value, currency)
        return None if amount is None else MoneyView(amount=amount, currency=currency)
    if isinstance(value, int):
        return value
    exact = decimal_of(value)
    return None if exact is None else float(exact)


def kpi_view(result: Result, window: Window, currency: str) -> KpiView:
    known = result.definition
    return KpiView(
        **_answer(result.answer, known, currency),  # type: ignore[arg-type]
        slug=known.slug,
        title=known.title,
        unit=known.unit,
        better=known.better,
        span=known.span,
        definition_version=known.version,
        target=known.target,
        window=window_view(window),
        as_of=result.as_of,
        data_as_of=result.data_as_of,
        by=result.by,
        parts=[
            PartView(group=group, **_answer(answer, known, currency))  # type: ignore[arg-type]
            for group, answer in result.parts.items()
        ],
    )


def window_view(window: Window) -> WindowView:
    mondays = window.mondays
    return WindowView(
        start=window.start, end=window.end, first_week=week_name(mondays[0]), last_week=week_name(mondays[-1])
    )


def _answer(answer: Answer, known: Definition, currency: str) -> Mapping[str, object]:
    error = decimal_of(answer.error)
    return {
        "value": number(answer.value, known.unit, currency),
        "why_none": answer.why_none,
        "error": None if error is None else float(error),
        "n": answer.n,
        "n_open": answer.n_open,
        "excluded": dict(answer.excluded),
        "rate_dates": dict(answer.rate_dates),
        "figures": [_figure(figure, answer, currency) for figure in answer.figures],
    }


def _figure(figure: Figure, answer: Answer, currency: str) -> FigureView:
    note = figure.note if figure.value is not None or figure.note else answer.why_none or _NO_CASE
    return FigureView(
        key=figure.key, label=figure.label, unit=figure.unit,
        value=number(figure.value, figure.unit, figure.currency or currency), note=note,
    )  # fmt: skip


def rows_view(drill: Drill, unit: Unit, currency: str, *, after: str | None) -> KpiRowsView:
    """`unit`: of the KPI, where the column that adds up has none of its own."""
    units = {column.key: Unit.MONEY if column.currency else column.unit for column in drill.columns}
    owns = {column.key: column.currency for column in drill.columns if column.currency}
    added = (units.get(drill.adds) if drill.adds else None) or unit
    return KpiRowsView(
        columns=[ColumnView(key=one.key, label=one.label, unit=units[one.key]) for one in drill.columns],
        items=[
            {name: _cell(value, units.get(name), _own(row, owns.get(name)) or currency) for name, value in row.items()}
            for row in drill.rows
        ],
        adds=drill.adds,
        total=number(drill.total, added, currency),
        count=drill.count,
        next=after,
    )


def _own(row: Mapping[str, object], column: str | None) -> str | None:
    """The currency of the row, where the column's money is in that."""
    return None if column is None or row.get(column) is None else str(row[column])


def _cell(value: object, unit: Unit | None, currency: str) -> Cell:
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int | float | Decimal):
        return number(value, unit or Unit.RATIO, currency)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
