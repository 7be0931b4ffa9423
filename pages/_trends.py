"""Cards of KPIs over the weeks: median and slow tenth against a target, with the outages of ERPs behind the line."""

from collections.abc import Mapping

import pandas as pd
import streamlit as st

from metrics.kpi import Result, Unit
from metrics.measures import Measures
from metrics.outages import Outage
from metrics.pooling import SPAN
from pages import _charts_kpi as charts
from pages import _data as data
from pages import _format as fmt
from pages import _frame as frame
from pages import _kpi as kpi
from pages import _measure_words as words
from pages._asking import Asked
from pages._charts_kpi import Mark
from pages._palette import Palette
from sync_core.reads import Reads

_TARGETS = {  # of the slow tenth, in working hours; kpis.md
    "cycle-time": (17.0, "p90 target 2 working days"),
    "amendment-lag": (8.5, "p90 target 1 working day"),
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
        f"trend_{slug.replace('-', '_')}", title, f"Working time from {_ENDS[slug]}; p90 is the slowest tenth",
        definition="Kaplan-Meier: what is still open counts for as long as it has been open, so recent weeks do not "
        "look better than they are. Where most weeks have fewer than 20 cases, each point is of the "
        f"{SPAN} weeks up to it. Fewer even so, or a percentile that too few have reached, is a gap. Grey: an ERP "
        "could not be reached.",
    ) as card:  # fmt: skip
        result = results[slug]
        if not result.answer.n:
            frame.empty(f"No {noun} was {began} in these weeks.", "Choose a longer period or clear a filter.",
                        icon=":material/timeline:")  # fmt: skip
            return
        table = kpi.weekly(result, asked.ask, "p50", "p90")
        target, label = _TARGETS[slug]
        if table["p50"].isna().all():
            card.chart(charts.cohorts(table, palette=palette), alt=f"{noun}s by week: too few for a percentile",
                       data=_as_text(table, result))  # fmt: skip
            st.caption(f"{fmt.plural(result.answer.n, noun)} in these weeks: too few for a percentile.")
            return
        shown = table.assign(n=table["pooled"])
        figure = charts.percentiles(
            shown, write=_hours, target=target, target_label=label, palette=palette,
            marks=[_mark(one, reads) for one in data.outages(reads, measures, asked.ask)],
        )  # fmt: skip
        card.chart(figure, alt=f"Median and slow tenth by week, {title.lower()}", data=_as_text(table, result))
        pooled = f"; each point is of the {SPAN} weeks up to it" if result.pooled else ""
        frame.link("measure", f"{fmt.plural(result.answer.n, noun)}, {result.answer.n_open:,} still open{pooled}",
                   icon=":material/table_rows:", kpi=slug, **asked.query)  # fmt: skip


def _hours(hours: float) -> str:
    return words.value(hours, Unit.WORKING_HOURS, "")


def _mark(one: Outage, reads: Reads) -> Mark:
    return Mark(one.began_at, one.ended_at or reads.now, fmt.shown(f"{one.lane} out"))


def _as_text(table: pd.DataFrame, result: Result) -> pd.DataFrame:
    def time(hours: float) -> str:
        return fmt.DASH if pd.isna(hours) else _hours(hours)

    shown = pd.DataFrame(
        {
            "Week of": table["week"].map(lambda monday: fmt.day(monday.to_pydatetime())),
            "p50": table["p50"].map(time),
            "p90": table["p90"].map(time),
            **({f"Cases in {SPAN} weeks": table["pooled"]} if result.pooled else {}),
            "Cases": table["n"],
            "Still open": table["n_open"],
        }
    )
    return shown.set_index("Week of")
