"""How exceptions are worked on: their age by function, how long each takes, and how they travel between functions."""

from collections.abc import Mapping
from typing import Final

import pandas as pd
import streamlit as st

from metrics.asking import By
from metrics.kpi import Answer, Result, Unit, Value
from metrics.measures import Measures
from pages.kit import asking, charts_flow, data, filters, frame, kpi
from pages.kit import format as fmt
from pages.kit import measure_words as words
from pages.kit import table as tables
from pages.kit.asking import Asked
from pages.kit.palette import Palette
from pages.kit.words import FUNCTIONS
from pages.kit.words import words as written
from pages.parts.flow.cards import hand_overs, summed
from sync_core.reads import Reads
from sync_core.reads.ages import WORKING_BUCKETS

_NOW: Final = {"exception-ageing": By.LABEL, "exception-resolution": By.LABEL}
_BEFORE: Final = ("exception-resolution",)
_AGES: Final = ("0_1", "1_3", "3_7", "7_14", "14_30", "30_up")


def draw(reads: Reads, measures: Measures) -> None:
    """The filters, two numbers and the cards; each contains its own failure."""
    with measures.at_once() as together:
        asked = asking.bar(reads, together, quiet=True)
        results = data.kpis(reads, together, _NOW, asked.ask)
        before = data.headlines_before(reads, together, _BEFORE, asked.before)
    _numbers(results, before, asked, reads.reporting_currency)
    palette = frame.palette()
    with frame.card_grid() as grid:
        with grid.cell(column_span=2):
            _ageing(results, asked, reads.reporting_currency, palette)
        _travel(results, asked, palette)
        with grid.cell(column_span="all"):
            _by_function(results, asked)


def _numbers(
    results: Mapping[str, Result], before: Mapping[str, Value], asked: Asked, currency: str
) -> None:  # fmt: skip
    with st.grid(6, min_column_width=170, gap="small", key="kpis"):
        for slug, title in (("exception-ageing", "Open now"), ("exception-resolution", "Resolved, p50")):
            with kpi.tile(slug), frame.contained(title):
                remark = _parts_of(results[slug]) if slug == "exception-ageing" else None
                kpi.draw(results[slug], before.get(slug), asked, currency, title, remark=remark)
        for key, title, says in (
            ("p90", "Resolved, p90", "The slowest tenth takes longer than this working time."),
            ("response_p50", "First response, p50", "Working time until somebody first acted on an exception."),
            ("reopened", "Reopened", "The same cause on the same contract again within seven days."),
            ("ping_pongs", "Handed back", "Given back to the function that it had come from."),
        ):
            with kpi.tile(key), frame.contained(title):
                _figure(results["exception-resolution"], key, title, says, asked)


def _parts_of(result: Result) -> tuple[str, str] | None:
    """What the open ones are, and as of when: the list above is read a moment later, and has no quarantine."""
    unread = int(str(words.known(result.answer, "quarantined") or 0))
    if result.as_of is None or not result.answer.n:
        return None
    when = f"as of {result.as_of:%H:%M} UTC"
    if not unread:
        return fmt.plural(result.answer.n, "exception"), when
    return f"{result.answer.n - unread:,} and {unread:,}", f"exceptions and signatures in quarantine, {when}"


def _figure(result: Result, key: str, title: str, says: str, asked: Asked) -> None:
    known = next((one for one in result.answer.figures if one.key == key), None)
    least = words.at_least(result.answer, key)
    unknown = f"n = {result.answer.n}" if least is None else f"> {words.value(least, Unit.WORKING_HOURS, '')}"
    st.metric(title, unknown if known is None or known.value is None else words.figure(known, ""), height="stretch")
    with st.popover("How measured", type="tertiary", key=f"how_{key}"):
        st.markdown(says)
        st.caption(fmt.plain(f"Of {fmt.plural(result.answer.n, 'exception')} opened in {asked.words}."))
        frame.link("measure", "Rows and formula", icon=":material/table_rows:", kpi="exception-resolution",
                   **asked.query)  # fmt: skip


def _ageing(results: Mapping[str, Result], asked: Asked, currency: str, palette: Palette) -> None:
    with frame.card(
        "aged", "Open exceptions by age", "Working days since each first opened, as of the last refresh, whatever the "
        "period; with the sums, and signatures in quarantine as integration's",
        definition="A working day is one of the legal entity's calendar. The cells add up to the open exceptions. "
        "What nobody could read is integration's, from its receipt.",
    ) as card:  # fmt: skip
        result = results["exception-ageing"]
        if not result.answer.n:
            frame.empty("No open exceptions.", "Nothing waits for a person.")
            return
        card.chart(
            charts_flow.heatmap_with_sums(_aged(result), palette=palette),
            alt="Open exceptions by function and age, with sums", data=_aged_money(result, currency),
        )  # fmt: skip
        told = words.value(words.known(result.answer, "exposure"), Unit.MONEY, currency)
        unread = int(str(words.known(result.answer, "quarantined") or 0))
        beside = f" and {fmt.plural(unread, 'signature')} in quarantine" if unread else ""
        frame.link("measure", f"{fmt.plural(result.answer.n - unread, 'exception')} holding {told}{beside}",
                   icon=":material/table_rows:", kpi="exception-ageing", **asked.query)  # fmt: skip


def _aged(result: Result) -> pd.DataFrame:
    heads = [name.removesuffix(" working days").removesuffix(" working day") for name in WORKING_BUCKETS]
    rows = [[int(str(words.known(result.parts[code], f"working_{age}") or 0)) for age in _AGES]
            for code in _order(result.parts)]  # fmt: skip
    return pd.DataFrame(rows, index=[written(code) for code in _order(result.parts)], columns=heads)


def _aged_money(result: Result, currency: str) -> pd.DataFrame:
    def cell(answer: Answer, age: str) -> str:
        cases = words.value(words.known(answer, f"working_{age}"), Unit.COUNT, currency)
        money = words.known(answer, f"working_{age}_money")
        return f"{cases} ({words.value(money, Unit.MONEY, currency)})" if money else cases

    rows = {written(code): [cell(result.parts[code], age) for age in _AGES] for code in _order(result.parts)}
    rows["All"] = [cell(result.answer, age) for age in _AGES]
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(WORKING_BUCKETS)).rename_axis(index="Function")


def _travel(results: Mapping[str, Result], asked: Asked, palette: Palette) -> None:
    with frame.card(
        "travel", "Hand-overs between functions", "From the function at the left to the one above, with the sums",
        definition="Of the exceptions opened in the period. A hand-over is a change of the function that has one. "
        "Handed back: to the function that it had come from.",
    ) as card:  # fmt: skip
        result = results["exception-resolution"]
        flows = hand_overs(result.answer)
        if not flows:
            frame.empty("Nothing was handed over.", "Each exception stayed with the function it began with.")
            return
        ends = {code for giver, taker in flows for code in (giver, taker)}
        names = [code for code in FUNCTIONS if code in ends] + sorted(ends - set(FUNCTIONS))
        square = pd.DataFrame(
            [[flows.get((giver, taker), 0) for taker in names] for giver in names],
            index=[written(code) for code in names], columns=[written(code) for code in names],
        )  # fmt: skip
        card.chart(charts_flow.passed(square, palette=palette), alt="Hand-overs from function to function",
                   data=square.rename_axis(index="From"))  # fmt: skip
        frame.link("measure", summed(result), icon=":material/table_rows:", kpi="exception-resolution", **asked.query)


def _by_function(results: Mapping[str, Result], asked: Asked) -> None:
    with frame.card(
        "resolution", "Resolution by function", "Working time; exceptions that each has, or had when they closed",
        definition="Kaplan-Meier: an open exception counts for as long as it has been open. Below 20 there is no "
        "percentile, only their number. Handed on: by the function, whoever has the exception since. Handed back: of "
        "those that the function has, to where they had come from. Closed by decision is apart: it is not resolved.",
    ):  # fmt: skip
        result = results["exception-resolution"]
        if not result.parts:
            frame.empty("No exception was opened in these weeks.", "Choose a longer period or clear a filter.")
            return
        named = [*((written(code), result.parts[code]) for code in _order(result.parts)), ("All", result.answer)]
        columns = ("Function", "Exceptions", "Median")
        tables.table("resolution", columns, [_row(*one) for one in named])
        with st.expander("Open ones, slowest tenth, first response, hand-overs", icon=":material/table_rows:"):
            further = ("Function", "Open", "Slowest tenth from", "First response", "In the function", "Handed on",
                       "Handed back", "Closed by decision")  # fmt: skip
            tables.table("resolution_more", further, [_more(*one) for one in named])
        with st.container(horizontal=True, vertical_alignment="center", gap="small", key="of_functions"):
            for code in _order(result.parts):
                st.button(fmt.plain(written(code)), icon=":material/filter_alt:", type="tertiary", key=f"of_{code}",
                          on_click=filters.put, args=({"view": "", "function": code},))  # fmt: skip
        frame.link("measure", "Every exception", icon=":material/table_rows:", kpi="exception-resolution",
                   **asked.query)  # fmt: skip


def _row(name: str, answer: Answer) -> list[str]:
    return [name, fmt.count(answer.n), _time(answer, "p50")]


def _more(name: str, answer: Answer) -> list[str]:
    counts = [words.value(words.known(answer, key) or 0, Unit.COUNT, "") for key in ("ping_pongs", "decided")]
    times = [_time(answer, key) for key in ("p90", "response_p50", "in_function_p50")]
    return [name, fmt.count(answer.n_open), *times, fmt.count(sum(hand_overs(answer).values())), *counts]


def _time(answer: Answer, key: str) -> str:
    known, least = words.known(answer, key), words.at_least(answer, key)
    if known is not None:
        return words.value(known, Unit.WORKING_HOURS, "")
    if answer.n < fmt.SAMPLE_FLOOR:
        return "too few" if key == "p50" else fmt.DASH
    return "not reached" if least is None else f"at least {words.value(least, Unit.WORKING_HOURS, '')}"


def _order(parts: Mapping[str, Answer]) -> list[str]:
    return [*(code for code in FUNCTIONS if code in parts), *(code for code in parts if code not in FUNCTIONS)]
