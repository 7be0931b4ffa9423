"""Cards of KPIs over the weeks: median and slow tenth against a target, with the outages of ERPs behind the line."""

from collections.abc import Mapping, Sequence
from datetime import datetime, time
from zoneinfo import ZoneInfo

import pandas as pd
import streamlit as st

from metrics.calendars import GROUP_DAY_H
from metrics.facts.contract import PROMISED_DAYS
from metrics.kpi import Result, Unit
from metrics.measures import Measures
from metrics.pooling import SPAN
from pages.kit import charts_kpi as charts
from pages.kit import data, frame, kpi, marks
from pages.kit import format as fmt
from pages.kit import measure_words as words
from pages.kit.asking import Asked
from pages.kit.marks import Mark
from pages.kit.palette import Palette
from sync_core.reads import Reads

_TARGETS = {  # of the slow tenth, in working hours; kpis.md
    "cycle-time": (PROMISED_DAYS * GROUP_DAY_H, f"p90 target {PROMISED_DAYS} working days"),
    "amendment-lag": (GROUP_DAY_H, "p90 target 1 working day"),
}
_ENDS = {"cycle-time": "signature to read-back of all ERP objects", "amendment-lag": "execution to read-back"}


def cycle(reads: Reads, measures: Measures, asked: Asked, results: Mapping[str, Result], palette: Palette) -> None:
    percentiles(reads, measures, asked, results, palette, slug="cycle-time", title="Signed to billable, weekly",
                noun="contract", began="signed")  # fmt: skip


def amendments(reads: Reads, measures: Measures, asked: Asked, results: Mapping[str, Result], palette: Palette) -> None:
    percentiles(reads, measures, asked, results, palette, slug="amendment-lag", title="Amendment lag, weekly",
                noun="amendment", began="executed")  # fmt: skip


def percentiles(
    reads: Reads, measures: Measures, asked: Asked, results: Mapping[str, Result], palette: Palette, *, slug: str,
    title: str, noun: str, began: str,
) -> None:  # fmt: skip
    """One such card. Raises nothing: its failure is its own."""
    with frame.card(
        f"trend_{slug.replace('-', '_')}", title,
        f"Working time from {_ENDS[slug]}; p90 is the slowest tenth. The tile is of all weeks, a point of its own",
        definition="Kaplan-Meier: what is still open counts for as long as it has been open, so recent weeks do not "
        "look better than they are. An open triangle is at least: too few of the week have reached the percentile, "
        "and it stands at the longest that any has taken so far. Where most weeks have fewer than 20 cases, each point "
        f"is of the {SPAN} weeks up to it. Fewer even so is a gap. Grey: an ERP "
        "could not be reached. Dotted: a system runs a new release.",
    ) as card:  # fmt: skip
        result = results[slug]
        if not result.answer.n:
            frame.empty(f"No {noun} was {began} in these weeks.", "Choose a longer period or clear a filter.",
                        icon=":material/timeline:")  # fmt: skip
            return
        table = kpi.weekly(result, asked.ask, "p50", "p90")
        target, label = _TARGETS[slug]
        if table[["p50", "p50_at_least"]].isna().all(axis=None):
            card.chart(charts.cohorts(table, palette=palette), alt=f"{noun}s by week: too few for a percentile",
                       data=_as_text(table, result))  # fmt: skip
            st.caption(f"{fmt.plural(result.answer.n, noun)} in these weeks: too few for a percentile.")
            return
        shown = table.assign(n=table["pooled"])
        marked = happened(reads, measures, asked)
        figure = charts.percentiles(
            shown, write=_hours, target=target, target_label=label, palette=palette, marks=marked
        )
        card.chart(figure, alt=f"Median and slow tenth by week, {title.lower()}", data=_as_text(table, result))
        _explain(table)
        tell(marked)
        pooled = f"; each point is of the {SPAN} weeks up to it" if result.pooled else ""
        frame.link("measure", f"{fmt.plural(result.answer.n, noun)}, {result.answer.n_open:,} still open{pooled}",
                   icon=":material/table_rows:", kpi=slug, **asked.query)  # fmt: skip


def _explain(table: pd.DataFrame) -> None:
    """Below a chart: what its open marks are."""
    least = table[["p50_at_least", "p90_at_least"]].notna().any(axis=None)
    so_far = table.loc[table["running"], ["p50", "p50_at_least"]].notna().any(axis=None)
    told = ["open triangle: at least, too few have reached it yet"] if least else []
    told += ["open circle: this week so far"] if so_far else []
    if told:
        st.caption(f"{'; '.join(told).capitalize()}.")


def _hours(hours: float) -> str:
    return words.value(hours, Unit.WORKING_HOURS, "")


def happened(reads: Reads, measures: Measures, asked: Asked) -> list[Mark]:
    """Outages and releases in the weeks that are asked for, oldest first."""
    found = [
        Mark(one.began_at, one.ended_at or reads.now, fmt.shown(f"{one.lane} out"))
        for one in data.outages(reads, measures, asked.ask)
    ]
    zone = ZoneInfo(measures.estate.group.timezone)
    since, end = (datetime.combine(day, time.min, zone) for day in (asked.ask.window.start, asked.ask.window.end))
    until = min(end, asked.ask.as_of or reads.now)
    return sorted([*found, *marks.of_releases(data.releases(reads), since=since, until=until)], key=lambda m: m.start)


def tell(marked: Sequence[Mark]) -> None:
    """Below a chart: what is marked, for those whom a line and a word above it do not reach."""
    if marked:
        st.caption(fmt.plain(marks.told(marked)))


def _as_text(table: pd.DataFrame, result: Result) -> pd.DataFrame:
    def time(name: str) -> list[str]:
        return [
            _hours(hours) if pd.notna(hours) else fmt.DASH if pd.isna(least) else f"at least {_hours(least)}"
            for hours, least in zip(table[name], table[f"{name}_at_least"], strict=True)
        ]

    shown = pd.DataFrame(
        {
            "Week of": week_names(table),
            "p50": time("p50"),
            "p90": time("p90"),
            **({f"Cases in {SPAN} weeks": table["pooled"]} if result.pooled else {}),
            "Cases": table["n"],
            "Still open": table["n_open"],
        }
    )
    return shown.set_index("Week of")


def week_names(table: pd.DataFrame) -> list[str]:
    """Of `kpi.weekly`: the day each week begins; the one that is not over says so."""
    return [
        f"{fmt.day(monday.to_pydatetime())}{' so far' if running else ''}"
        for monday, running in zip(table["week"], table["running"], strict=True)
    ]
