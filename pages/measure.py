"""One measure: formula, figures, parts and the rows it is made of. The KPIs of all pages open it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Final

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from metrics.asking import By, InvalidAsk
from metrics.freshness import MEASURED_EVERY
from metrics.kpi import Column, Definition, Drill, Figure, Result, Span, Unit
from metrics.kpis.step_time import STEPS
from metrics.measures import Measures
from pages.kit import asking, filters, frame, kpi
from pages.kit import format as fmt
from pages.kit import measure_words as words
from pages.kit.asking import Asked
from pages.kit.frame import Freshness, Page
from pages.kit.words import words as written
from sync_core.authority import Permission
from sync_core.money import Money, rounded
from sync_core.reads import Reads

PAGE = Page(
    title="Measures",
    icon=":material/functions:",
    path="measure",
    order=45,
    section="More",
    needs=Permission.KPI_READ,
)

_ROWS: Final = 50
_FIT: Final = 10  # columns that are seen at once
# Columns that hold codes of ours, one or several.
_CODES: Final = frozenset({
    "cause", "exceptions", "state", "stage", "outcome", "severity", "function", "waiting_for", "touched_by",
    "explained", "dispute_state", "sync_cause",
})  # fmt: skip
_SPLITS: Final = {
    By.WEEK: "Week", By.LEGAL_ENTITY: "Legal entity", By.SERVICE_LINE: "Service line", By.GEOGRAPHY: "Geography",
    By.BILLING: "Billing", By.LABEL: "Kind",
}  # fmt: skip


def render(reads: Reads, commands: object) -> None:
    measures = frame.measures()
    currency = reads.reporting_currency
    known = {one.slug: one for one in measures.definitions()}
    head = st.container()
    found: _Found | None = None
    with measures.at_once() as together:
        with st.container(border=True, key="card_filters"), frame.contained("The filters"):
            slug = filters.always("kpi", "Measure", {one.slug: one.title for one in known.values()})
            asked = asking.bar(reads, together)
            splits = {split.value: _split(split, known[slug]) for split in known[slug].splits}
            by = filters.always("by", "Split by", splits or {"": "Not split"})
        with frame.contained("The measure"):
            found = _read(together, known[slug], asked, By(by) if by else None)
    if found is None:
        return
    with frame.contained("The measure"):
        result = found.result
        with head:
            as_of = result.data_as_of or reads.now
            frame.header(result.definition.title, f"{_period(result, asked)}, money in {currency}.",
                         Freshness(as_of, reads.now, MEASURED_EVERY))  # fmt: skip
        _definition(result, currency)
        if result.definition.drill:
            with frame.contained("The rows behind it"):
                _rows(found, currency)
        if by:
            _parts(result, By(by), currency)
        _further(result, currency)


@dataclass(frozen=True, slots=True)
class _Found:
    """Read from one snapshot, before anything of it is drawn."""

    result: Result
    rows: Drill | Exception | None = None  # None: it has none; else why they could not be read
    refused: str = ""  # why not the rows that the URL asked for


def _read(measures: Measures, known: Definition, asked: Asked, by: By | None) -> _Found:
    result = measures.kpi(known.slug, asked.ask, by)
    if not known.drill:
        return _Found(result)
    try:
        return _Found(result, *_page_of(measures, known.slug, asked))
    except Exception as failure:  # it is told where the rows would be, and takes nothing else with it
        return _Found(result, failure)


def _page_of(measures: Measures, slug: str, asked: Asked) -> tuple[Drill, str]:
    """The page that the URL asks for; else the first one, and why."""
    try:
        return measures.drill(slug, asked.ask, after=st.query_params.get("after"), limit=_ROWS), ""
    except InvalidAsk as wrong:
        return measures.drill(slug, asked.ask, limit=_ROWS), wrong.message


def _definition(result: Result, currency: str) -> None:
    with frame.card("definition", words.headline(result.answer, result.definition, currency), result.definition.says):
        kpi.formula(result, currency)


def _period(result: Result, asked: Asked) -> str:
    """A state is of one moment, whatever the period."""
    if result.definition.span is not Span.STATE:
        return f"{asked.words[0].upper()}{asked.words[1:]}"
    return f"As of {fmt.moment(result.as_of)}, whatever the period" if result.as_of else "As of now"


def _further(result: Result, currency: str) -> None:
    """Folded: few look for these, and they would stand between the number and its rows."""
    own = [one for one in result.answer.figures if not one.currency]
    others = [one for one in result.answer.figures if one.currency]
    if own:
        with st.expander(f"Further figures ({len(own)})", icon=":material/functions:", key="further"):
            st.table(kpi.figures(own, currency), border="horizontal")
    if others:
        with st.expander("Money in each currency", icon=":material/payments:", key="currencies"):
            st.table(_by_currency(others), border="horizontal")


def _by_currency(listed: Sequence[Figure]) -> pd.DataFrame:
    """A row for each amount, a column for each currency."""
    codes = sorted({one.currency for one in listed})
    amounts: dict[str, dict[str, str]] = {}
    for one in listed:
        name = one.label.removesuffix(f", {one.currency}").removesuffix(f" in {one.currency}")
        amounts.setdefault(fmt.plain(name), {})[one.currency] = fmt.plain(words.figure(one, one.currency))
    rows = [[found.get(code, fmt.DASH) for code in codes] for found in amounts.values()]
    return pd.DataFrame(rows, index=pd.Index([*amounts], name="Amount"), columns=codes)


def _parts(result: Result, by: By, currency: str) -> None:
    young = ", without invoices under 60 days old" if result.definition.slug == "dispute-rate" else ""
    with frame.card("parts", f"By {_split(by, result.definition).lower()}", f"The same measure of each part{young}"):
        if not result.parts:
            frame.empty("Nothing to split.", "Choose a longer period or clear a filter.")
            return
        table = pd.DataFrame(
            {
                _split(by, result.definition): [_group(group, by, result.definition) for group in result.parts],
                "Value": [fmt.plain(words.part(part, result.definition, currency))
                          for part in result.parts.values()],
                **_step(result),
                "Cases": [fmt.count(part.n) for part in result.parts.values()],
                "Open": [fmt.count(part.n_open) for part in result.parts.values()],
            }
        )  # fmt: skip
        st.table(table.set_index(_split(by, result.definition)), border="horizontal")


def _step(result: Result) -> dict[str, list[str]]:
    """Of where the time goes: which step each value is of, and what share the slowest step of all takes there."""
    slowest = next((one for one in result.answer.figures if one.key == "slowest" and one.value is not None), None)
    if slowest is None:
        return {}
    key = next(f"{step}_share" for step, named in STEPS.items() if named == slowest.label)
    parts = result.parts.values()
    return {
        "Its slowest step": [fmt.plain(part.figure("slowest").label) for part in parts],
        fmt.plain(slowest.label): [fmt.plain(words.value(words.known(part, key), Unit.SHARE, "")) for part in parts],
    }


def _split(by: By, known: Definition) -> str:
    """What a week has too few of is told by the month."""
    return "Month" if by is By.WEEK and known.span is Span.QUARTER else _SPLITS[by]


def _group(group: str, by: By, known: Definition) -> str:
    if by is By.WEEK and known.span is Span.QUARTER:
        return fmt.plain(f"{date.fromisoformat(group):%b %Y}")
    if by is By.WEEK:
        return fmt.plain(f"week of {date.fromisoformat(group):%-d %b %Y}")
    return fmt.plain((written(group) if by in (By.SERVICE_LINE, By.BILLING, By.LABEL) else group) or "not known")


def _rows(found: _Found, currency: str) -> None:
    """Raises what the rows could not be read for."""
    if isinstance(found.rows, Exception):
        raise found.rows
    if found.rows is None:
        return
    page, refused, result = found.rows, found.refused, found.result
    noun = result.definition.drill
    added = next((column for column in page.columns if column.key == page.adds), None)
    sums_up = added is not None and added.unit is result.definition.unit
    adds = "Largest first; they add up to the number above" if sums_up else "What the number above is worked out from"
    with frame.card("rows", f"The {noun}s behind it", adds):
        if refused:
            st.info(fmt.plain(refused))
        if not page.rows:
            frame.empty(*_none(result))
            return
        _pager(page, noun, currency)
        st.dataframe(
            _table(page, currency),
            hide_index=True,
            column_config=_right(page),
            alt=f"{noun}s behind {result.definition.title}",
        )


def _none(result: Result) -> tuple[str, str]:
    """Why there are no rows, and what to do."""
    known = result.definition
    if known.slug != "roi":
        return f"No {known.drill} in this period.", "Choose a longer period or clear a filter."
    if any(one.key.endswith("_baseline") and one.value is not None for one in result.answer.figures):
        return "No line can be worked out.", "Each lacks a baseline, an assumption or cases; which, is said above."
    return (
        "The baseline is missing: nobody has stated how it was before go-live.",
        "Import it: `tieline baseline import FILE`; `docs/finance_data.md` says what stands in the file.",
    )


def _pager(page: Drill, noun: str, currency: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="pager"):
        st.button("First", icon=":material/first_page:", disabled="after" not in st.query_params, key="rows_first",
                  on_click=filters.put, args=({"after": ""},))  # fmt: skip
        st.button("Next", icon=":material/chevron_right:", disabled=page.after is None, key="rows_next",
                  on_click=_turn, args=(page.after or "",))  # fmt: skip
        added = next((column for column in page.columns if column.key == page.adds), None)
        total = ""
        if added is not None and added.unit is not None and isinstance(page.total, Decimal | float | int):
            total = f", in all {words.value(page.total, added.unit, currency)}"
        st.markdown(frame.plain_dollars(f"**{fmt.count(page.count)}** {noun}{'' if page.count == 1 else 's'}{total}"))


def _turn(after: str) -> None:
    st.query_params["after"] = after


def _table(page: Drill, currency: str) -> pd.DataFrame:
    return pd.DataFrame(
        {
            column.label: [_cell(row.get(column.key), column, currency, row.get(column.currency)) for row in page.rows]
            for column in _in_order(page)
        }
    )


def _right(page: Drill) -> dict[str, ColumnConfig]:
    """Amounts under each other."""
    money = [one.label for one in page.columns if one.unit is Unit.MONEY or one.currency]
    return {label: st.column_config.TextColumn(label, alignment="right") for label in money}


def _in_order(page: Drill) -> Sequence[Column]:
    """In a wide table what adds up stands behind what it is of: at the end it would be out of sight."""
    if len(page.columns) <= _FIT or page.adds is None:
        return page.columns
    ahead = [page.adds, page.adds.removesuffix("_reporting")]
    known = {column.key: column for column in page.columns}
    first, *rest = page.columns
    moved = [known[key] for key in dict.fromkeys(ahead) if key in known and key != first.key]
    return [first, *moved, *(column for column in rest if column not in moved)]


def _exact(value: Decimal | float | int, currency: str) -> str:
    return fmt.money_exact(Money(rounded(Decimal(value), currency), currency))


def _cell(value: object, column: Column, currency: str, own: object = None) -> object:
    """`own`: the currency of this row, where the column says that each has its own."""
    if column.currency and isinstance(value, Decimal):
        return _exact(value, str(own)) if own else f"{value:,f}"
    if column.unit is not None and isinstance(value, Decimal | float | int):
        if column.unit is Unit.MONEY:
            return _exact(value, currency)
        return words.value(value, column.unit, currency)
    if isinstance(value, datetime):
        return fmt.moment(value)
    if isinstance(value, date):
        return f"{value:%-d %b %Y}"
    if value is None:
        return ""
    if column.key in _CODES:
        return fmt.shown(", ".join(written(code) for code in str(value).split(", ")))
    return fmt.shown(str(value))
