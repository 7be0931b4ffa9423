"""The workbook: a summary with sparklines, native charts, and every table with typed cells.

No text becomes a formula or a link, whatever it looks like. All that Excel would stamp with the present is the as-of.
"""

import io
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

import xlsxwriter

from metrics import weeks
from metrics.kpi import Unit
from metrics.snapshot import wording
from metrics.snapshot.content import Content, KpiTaken
from metrics.snapshot.table import Cell, Field, Kind, Table
from metrics.targets import judged

INK, MUTED, BLUE, AMBER, LINE = "#0F1B2D", "#566377", "#2F66E0", "#C9770B", "#DFE5EE"
_LONGEST: Final = 32_767  # characters of a cell
_MOST_WIDE: Final = 60
_OPTIONS: Final = {
    "in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False,
    "remove_timezone": True, "default_date_format": "yyyy-mm-dd",
}  # fmt: skip
_FONT: Final = {"font_name": "Calibri", "font_size": 11, "font_color": INK, "valign": "top"}


def workbook(content: Content, tables: Sequence[Table]) -> bytes:
    """The file's bytes; the same content gives the same."""
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, _OPTIONS)
    created = content.as_of.astimezone(UTC).replace(tzinfo=None)
    book.set_properties({"title": _title(content), "author": "Tieline", "company": content.group, "created": created})
    forms = _Forms(book, content.reporting)
    by_name = {table.name: table for table in tables}
    summary = book.add_worksheet("Summary")
    charts = book.add_worksheet("Charts")
    places: dict[str, str] = {}
    for table in tables:
        if table.rows or not table.name.startswith("rows_"):
            places[table.name] = _sheet(book, forms, table, by_name)
    _summary(summary, forms, content, by_name["trend"], places["trend"])
    _charts(book, charts, forms, content, by_name, places)
    book.close()
    return out.getvalue()


def _title(content: Content) -> str:
    return f"{content.group}: week {weeks.week_name(content.week)}"


class _Forms:
    """Cell formats, each made once."""

    def __init__(self, book: Any, currency: str) -> None:
        made = book.add_format
        self.head = made({**_FONT, "bold": True, "bg_color": "#EEF3FC", "bottom": 1, "bottom_color": LINE})
        self.title = made({**_FONT, "bold": True, "font_size": 18})
        self.sub = made({**_FONT, "font_color": MUTED})
        self.text = made({**_FONT})
        self.wrapped = made({**_FONT, "text_wrap": True})
        self.strong = made({**_FONT, "bold": True})
        self.right = made({**_FONT, "align": "right"})
        self.day = made({**_FONT, "num_format": "yyyy-mm-dd"})
        self.moment = made({**_FONT, "num_format": "yyyy-mm-dd hh:mm:ss"})
        self.integer = made({**_FONT, "num_format": "#,##0"})
        self.general = made({**_FONT, "num_format": "#,##0.######"})
        self._made, self._currency = made, currency
        self._money: dict[tuple[Unit, str], Any] = {}
        self.units = {
            Unit.MONEY: self.money(Unit.MONEY, currency),
            Unit.MONEY_DAYS: self.money(Unit.MONEY_DAYS, currency),
            Unit.SHARE: made({**_FONT, "num_format": "0.0%"}),
            Unit.COUNT: self.integer,
            Unit.WORKING_HOURS: made({**_FONT, "num_format": '#,##0.00 "working h"'}),
            Unit.HOURS: made({**_FONT, "num_format": '#,##0.00 "h"'}),
            Unit.WORKING_DAYS: made({**_FONT, "num_format": '#,##0.00 "working d"'}),
            Unit.DAYS: made({**_FONT, "num_format": '#,##0.00 "d"'}),
            Unit.SECONDS: made({**_FONT, "num_format": '#,##0.000 "s"'}),
            Unit.RATIO: made({**_FONT, "num_format": "#,##0.00"}),
        }

    def money(self, unit: Unit, currency: str) -> Any:
        """With the decimals of its currency."""
        if (unit, currency) not in self._money:
            minor = wording.amount_of(0, currency)
            zeros = "0" * -int(minor.as_tuple().exponent) if minor is not None else ""
            shown = f"{currency} × d" if unit is Unit.MONEY_DAYS else currency
            number = f"#,##0.{zeros}" if zeros else "#,##0"
            self._money[unit, currency] = self._made({**_FONT, "num_format": f'{number} "{shown}"'})
        return self._money[unit, currency]

    def of(self, field: Field, row: tuple[Unit, str] | None) -> Any:
        """`row`: unit and currency of its row."""
        if field.by_row and row is not None:
            return self.money(*row) if wording.is_money(row[0]) else self.units[row[0]]
        if field.kind is Kind.NUMBER:
            return self.units[field.unit] if field.unit else self.general
        return {Kind.INTEGER: self.integer, Kind.DAY: self.day, Kind.MOMENT: self.moment, Kind.TEXT: self.text}[
            field.kind
        ]


def _sheet(book: Any, forms: _Forms, table: Table, by_name: Mapping[str, Table]) -> str:
    """One table: a head that stays, a filter, typed cells, columns as wide as what is in them. Its sheet's name."""
    name = _name(table, by_name)
    sheet = book.add_worksheet(name)
    sheet.freeze_panes(1, 1)
    sheet.hide_gridlines(2)
    for place, field in enumerate(table.fields):
        sheet.write_string(0, place, field.label, forms.head)
        sheet.set_column(place, place, _width(table, place))
    for line, row in enumerate(table.rows, 1):
        unit = table.units[line - 1] if table.units else None
        for place, (cell, field) in enumerate(zip(row, table.fields, strict=True)):
            _write(sheet, line, place, cell, forms.of(field, unit))
    sheet.autofilter(0, 0, max(len(table.rows), 1), len(table.fields) - 1)
    if table.total > len(table.rows):
        many = f"{len(table.rows):,} of {table.total:,} rows, the largest first"
        sheet.write_string(len(table.rows) + 1, 0, many, forms.sub)
    sheet.set_landscape()
    sheet.set_paper(9)
    sheet.fit_to_pages(1, 0)
    sheet.repeat_rows(0)
    return name


def _name(table: Table, by_name: Mapping[str, Table]) -> str:
    """At most 31 characters, of which none is special to Excel, and no two alike."""
    if not table.name.startswith("rows_"):
        return table.title
    place = [name for name in by_name if name.startswith("rows_")].index(table.name) + 1
    return f"Rows {place} {table.name.removeprefix('rows_').replace('_', '-')}"[:31]


def _write(sheet: Any, line: int, place: int, cell: Cell, form: Any) -> None:
    if cell is None:
        return
    if isinstance(cell, datetime):
        sheet.write_datetime(line, place, cell.astimezone(UTC).replace(tzinfo=None), form)
    elif isinstance(cell, date):
        sheet.write_datetime(line, place, datetime(cell.year, cell.month, cell.day), form)  # noqa: DTZ001
    elif isinstance(cell, int | Decimal):
        sheet.write_number(line, place, float(cell), form)
    else:
        sheet.write_string(line, place, cell[:_LONGEST], form)


def _width(table: Table, place: int) -> float:
    field = table.fields[place]
    if field.kind is Kind.MOMENT:
        return 20
    texts = [str(row[place]) for row in table.rows[:500] if row[place] is not None]
    longest = max((len(text) for text in texts), default=0)
    shown = min(longest, 16) if field.kind is Kind.NUMBER else longest
    return min(max(len(field.label) + 3, shown + 4), _MOST_WIDE)


# ---- summary ---------------------------------------------------------------------------------------------------

_HEADS: Final = ("Measure", "Value", "Before", "Change", "13 weeks", "Target", "Trend", "Cases", "Open", "Value is of",
                 "A state is as of, UTC", "Against the target", "Data as of, where older, UTC")  # fmt: skip


def _summary(sheet: Any, forms: _Forms, content: Content, trend: Table, trend_sheet: str) -> None:
    sheet.hide_gridlines(2)
    sheet.set_column(0, 0, 44)
    sheet.set_column(1, 5, 18)
    sheet.set_column(6, 6, 26)
    sheet.set_column(7, 8, 9)
    sheet.set_column(9, 9, 32)
    sheet.set_column(10, 12, 20)
    sheet.set_row(0, 28)
    sheet.write_string(0, 0, _title(content), forms.title)
    for line, words in enumerate(_about(content), 1):
        sheet.write_string(line, 0, words, forms.sub)
    first = 2 + len(_about(content))
    for place, head in enumerate(_HEADS):
        sheet.write_string(first, place, head, forms.head)
    for line, one in enumerate(content.kpis, first + 1):
        _summary_row(sheet, forms, line, one, content.reporting)
        lines = _lines_of(trend, one.definition.slug)
        if lines is not None:
            style = {"range": f"'{trend_sheet}'!D{lines[0] + 1}:D{lines[1] + 1}", "series_color": BLUE,
                     "last_point": True, "weight": 1.5, "show_hidden": True}  # fmt: skip
            sheet.add_sparkline(line, 6, style)
        sheet.set_row(line, 24)
    sheet.freeze_panes(first + 1, 1)
    sheet.set_landscape()
    sheet.set_paper(9)
    sheet.fit_to_pages(1, 0)


def _about(content: Content) -> list[str]:
    since = content.restatement.since
    week = "The week is over." if content.over else "The week is not over yet: these are the numbers so far."
    return [
        f"As of {wording.moment(content.as_of, content.zone)}. {week}",
        f"Money in {content.reporting}. Rules {content.policy}.",
        "The first report of this week." if since is None else
        f"First reported as of {wording.moment(since, content.zone)}; what came to be known of it since: sheet What "
        "moved them.",
        "States are as of the end of the week, as it was known then." if content.over else
        "States are as of the moment of this snapshot.",
    ]  # fmt: skip


def _summary_row(sheet: Any, forms: _Forms, line: int, one: KpiTaken, currency: str) -> None:
    known, answer = one.definition, one.headline
    form = forms.units[known.unit]
    previous = None if one.previous is None else one.previous.value
    sheet.write_string(line, 0, known.title, forms.strong)
    if answer.value is None:
        sheet.write_string(line, 1, wording.why_none(answer), forms.sub)
    else:
        _write(sheet, line, 1, wording.exact(answer.value, known.unit, currency), form)
    _write(sheet, line, 2, wording.exact(previous, known.unit, currency), form)
    told = wording.change(answer.value, previous, known.unit, currency)
    sheet.write_string(line, 3, told, forms.right)
    _write(sheet, line, 4, wording.exact(one.quarter.value, known.unit, currency), form)
    _write(sheet, line, 5, wording.decimal_of(known.target), form)
    sheet.write_number(line, 7, answer.n, forms.integer)
    sheet.write_number(line, 8, answer.n_open, forms.integer)
    sheet.write_string(line, 9, wording.of_what(one.of, one.answer.n), forms.sub)
    _write(sheet, line, 10, one.at, forms.moment)
    _write(sheet, line, 11, judged(known, answer), forms.sub)
    _write(sheet, line, 12, one.facts_at, forms.moment)


# ---- charts ----------------------------------------------------------------------------------------------------


def _charts(
    book: Any, sheet: Any, forms: _Forms, content: Content, by_name: Mapping[str, Table], places: Mapping[str, str]
) -> None:
    """Of each measure its thirteen weeks with the target, and its legal entities; native, over the tables' cells."""
    sheet.hide_gridlines(2)
    sheet.set_row(0, 28)
    sheet.write_string(0, 0, "Charts", forms.title)
    line = 2
    for one in content.kpis:
        known = one.definition
        unit = wording.unit_text(known.unit, content.reporting)
        weekly = _lines_of(by_name["trend"], known.slug)
        if weekly is None or not any(point.value is not None for point in one.trend):
            continue
        trend = book.add_chart({"type": "line"})
        trend.add_series(_series(places["trend"], weekly, "B", "D", unit, BLUE) | {
            "line": {"color": BLUE, "width": 2.25}, "marker": {"type": "circle", "size": 5, "fill": {"color": BLUE},
                                                              "border": {"color": BLUE}}})  # fmt: skip
        _look(trend, known.title, unit, forms.units[known.unit].num_format)
        sheet.insert_chart(line, 0, trend, {"description": f"{known.title} by week"})
        entities = _lines_of(by_name["entities"], known.slug)
        if entities is not None and any(a.value is not None for a in one.entities.values()):
            bars = book.add_chart({"type": "bar"})
            bars.add_series(_series(places["entities"], entities, "B", "C", unit, BLUE))
            _look(bars, f"{known.title}, by legal entity", unit, forms.units[known.unit].num_format)
            sheet.insert_chart(line, 9, bars, {"description": f"{known.title} by legal entity"})
        line += 16


def _series(sheet: str, lines: tuple[int, int], names: str, values: str, unit: str, color: str) -> dict[str, Any]:
    first, last = lines[0] + 1, lines[1] + 1
    return {
        "name": unit, "categories": f"='{sheet}'!${names}${first}:${names}${last}",
        "values": f"='{sheet}'!${values}${first}:${values}${last}", "fill": {"color": color}, "gap": 60,
    }  # fmt: skip


def _look(chart: Any, title: str, unit: str, number: str) -> None:
    font = {"name": "Calibri", "size": 9, "color": MUTED}
    chart.set_title({"name": title, "name_font": {"name": "Calibri", "size": 12, "color": INK, "bold": True},
                     "overlay": False})  # fmt: skip
    chart.set_legend({"none": True})
    chart.set_x_axis({"num_font": font, "line": {"color": LINE}, "major_gridlines": {"visible": False}})
    chart.set_y_axis({"num_font": font, "line": {"none": True}, "name": unit, "name_font": font, "num_format": number,
                      "major_gridlines": {"visible": True, "line": {"color": LINE, "width": 0.75}}})  # fmt: skip
    chart.set_chartarea({"border": {"color": LINE}})
    chart.set_size({"width": 560, "height": 300})
    chart.show_blanks_as("gap")


def _lines_of(table: Table, slug: str) -> tuple[int, int] | None:
    """First and last row of a KPI on the table's sheet, from 0; they stand together."""
    found = [line for line, row in enumerate(table.rows, 1) if row[0] == slug]
    return (found[0], found[-1]) if found else None
