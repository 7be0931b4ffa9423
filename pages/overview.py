"""The first page: what was signed, what of it can be billed, what waits and for whom.

Everything but the lanes comes from one read, so the numbers of the page agree with each other. The page redraws itself
as one: a chart whose figure has not changed is left alone by the browser.
"""

from datetime import timedelta
from typing import Final

import pandas as pd
import streamlit as st

from pages import _charts as charts
from pages import _data as data
from pages import _format as fmt
from pages import _frame as frame
from pages import _lanes as lanes
from pages import _sentences as sentences
from pages import _welcome as welcome
from pages._frame import Freshness, Page
from pages._live import live
from pages._palette import Palette
from pages._words import days, step, words
from sync_core.authority import Permission
from sync_core.money import Money
from sync_core.reads import Overview, Reads
from sync_core.reads.cycle import POOLED_WEEKS

PAGE = Page(
    title="Overview",
    icon=":material/monitoring:",
    path="overview",
    order=10,
    default=True,
    needs=Permission.CONTRACTS_READ,
)

REFRESH: Final = timedelta(seconds=15)
_GROWING: Final = timedelta(seconds=4)
TARGET: Final = timedelta(days=2)  # the suggested p90 of docs/kpis: a default, not a promise made to anybody
_CAUSES_SHOWN: Final = 6
_TITLE: Final = "Contract to cash"


def render(reads: Reads, commands: object) -> None:
    live(lambda: _page(reads), every=REFRESH, at_first=_GROWING)


def _page(reads: Reads) -> bool:
    """Whether more is to come within seconds."""
    head = st.container()
    with frame.contained("The overview"):
        seen = data.overview(reads)
        with head:
            frame.header(_TITLE, _scope(seen), Freshness(seen.now, reads.now, REFRESH))
        if welcome.is_new(seen) and not frame.notice():
            welcome.first_event()
            return True
        frame.headline(sentences.headline(seen))
        frame.kpi_row(sentences.kpis(seen))
        _cards(reads, seen, frame.palette())
        return frame.notice() is not None
    with head:
        frame.header(_TITLE, "The numbers could not be read.", Freshness(reads.now, reads.now, REFRESH))
    lanes.card(reads)
    return False


def _scope(seen: Overview) -> str:
    newest = ""
    if seen.data_as_of is not None:
        newest = f" Newest change {fmt.moment(seen.data_as_of)}."
    within = frame.actor().entities(Permission.CONTRACTS_READ)
    whose = "All entities" if within is None else f"Legal entities {', '.join(sorted(within))}"
    return f"{fmt.plain(whose)}, money in {seen.waiting.total.money.currency}.{newest}"


def _cards(reads: Reads, seen: Overview, palette: Palette) -> None:
    grid = frame.card_grid()
    with grid:
        _money(seen, palette)
        _ageing(seen, palette)
        _funnel(seen, palette, fmt.local_day(seen.since, reads.estate.group.timezone))
        with grid.cell(column_span=2):
            _cycle(seen, palette)
        _attention(seen)
        lanes.card(reads)
        with grid.cell(column_span=2):
            _intake(seen, palette)


def _money(seen: Overview, palette: Palette) -> None:
    currency = seen.waiting.total.money.currency
    with frame.card(
        "money", "Money waiting", f"Value in {currency} by last completed step and age",
        definition="Signed and never billable yet. Age is calendar time since the last signature.",
    ) as card:  # fmt: skip
        if not seen.waiting.total.count:
            frame.empty("Nothing waits.", "Every signed contract that was understood is billable.")
            return
        table = seen.waiting.by_step.assign(step=lambda rows: rows["step"].map(step))
        note = sentences.covers(seen.waiting.total)
        card.chart(
            charts.money_by_step(table, currency=currency, palette=palette),
            alt=f"Money waiting by step and age, {fmt.money(seen.waiting.total.money)} in all. {note}",
            data=_amounts(table, currency),
        )
        if note:
            st.caption(fmt.plain(note))


def _amounts(table: pd.DataFrame, currency: str) -> pd.DataFrame:
    shown = table.pivot(index="step", columns="age", values="amount").loc[table["step"].drop_duplicates()]
    return shown[list(table["age"].drop_duplicates())].map(lambda amount: fmt.money(Money(amount, currency)))


def _ageing(seen: Overview, palette: Palette) -> None:
    with frame.card(
        "ageing", "Exceptions by function and age", "Open exceptions; days since each was opened",
        definition="An exception is one cause that one contract needs a person for. Calendar days since it was opened.",
    ) as card:  # fmt: skip
        if not seen.attention:
            frame.empty("No open exceptions.", "Nothing waits for a person.")
            return
        table = seen.ageing.rename(index=words, columns=days)
        card.chart(charts.heatmap(table, palette=palette), alt="Open exceptions by function and age", data=table)


def _funnel(seen: Overview, palette: Palette, since: str) -> None:
    with frame.card(
        "funnel", "Contract funnel", f"Contracts signed since {since}, by the furthest step reached",
        definition="Each bar counts the contracts that reached the step; beside it, how many have not come so far yet "
        "or were cancelled on the way. A signature in quarantine counts as signed, not as captured.",
    ) as card:  # fmt: skip
        if not seen.funnel["cases"].iloc[0]:
            frame.empty("Nothing was signed in these weeks.", "Older contracts are under Contracts.")
            return
        table = seen.funnel.assign(step=lambda rows: rows["step"].map(step))
        card.chart(
            charts.funnel_bars(table, palette=palette), alt="Contracts that reached each step",
            data=table.rename(columns=words).set_index("Step"),
        )  # fmt: skip


def _cycle(seen: Overview, palette: Palette) -> None:
    span = seen.weekly_span
    by = "by week of the signature" if span == 1 else f"each point is of the {span} weeks up to it"
    known = not seen.weekly.empty and not seen.weekly["p50"].isna().all()
    with frame.card(
        "cycle", "Signed to billable, weekly",
        f"Calendar time, {by}; p90 is the slowest tenth" if known else "Contracts by week of the signature",
        definition="Kaplan-Meier estimate: a contract that is still open counts for as long as it has been open, so "
        "recent weeks do not look better than they are. Where most weeks have fewer than 20 contracts, each point is "
        f"of {POOLED_WEEKS} weeks. Fewer than 20 even so, or a percentile that too few have reached, is a gap.",
    ) as card:  # fmt: skip
        if seen.weekly.empty:
            frame.empty("Nothing was signed in these weeks.", "It appears with the first signature.",
                        icon=":material/timeline:")  # fmt: skip
            return
        st.markdown(sentences.cycle_headline(seen.cycle))
        if known:
            card.chart(
                charts.weekly_lines(seen.weekly, target=TARGET, target_label="p90 target 2 d", palette=palette),
                alt="Median and 90th percentile of the time from signature to billable, by week",
                data=_weeks(seen.weekly, span),
            )
        else:
            card.chart(charts.weekly_counts(seen.weekly, palette=palette), data=_weeks(seen.weekly, span),
                       alt="Contracts by week of their signature: too few for a percentile")  # fmt: skip


def _weeks(weekly: pd.DataFrame, span: int) -> pd.DataFrame:
    def time(hours: float) -> str:
        return fmt.DASH if pd.isna(hours) else fmt.duration(timedelta(hours=hours))

    shown = pd.DataFrame(
        {
            "Week of": weekly["week"].map(lambda monday: fmt.day(monday.to_pydatetime())),
            "p50": weekly["p50"].map(time),
            "p90": weekly["p90"].map(time),
            **({f"Contracts in {span} weeks": weekly["pooled"]} if span > 1 else {}),
            "Contracts": weekly["n"],
            "Still open": weekly["n_open"],
        }
    )
    return shown.set_index("Week of")


def _attention(seen: Overview) -> None:
    currency = seen.waiting.total.money.currency
    with frame.card(
        "attention", "What needs a person", f"Causes holding the most value, {currency}; each opens its exceptions",
        definition="Exposure: what the exceptions of a cause keep from being billed. A contract with two causes counts "
        "under both, so these do not add up to the money that waits.",
    ):  # fmt: skip
        if not seen.attention and not seen.quarantined:
            frame.empty("Nothing needs a person.", "New exceptions appear here with their money.")
            return
        for group in seen.attention[:_CAUSES_SHOWN]:
            frame.link("exceptions", sentences.cause(group), **group.query)
            st.caption(sentences.cause_details(group, seen.now))
        more = len(seen.attention) - _CAUSES_SHOWN
        if more > 0:
            frame.link("exceptions", f"{fmt.plural(more, 'further cause')}", icon=":material/more_horiz:")
        if seen.quarantined:
            frame.link("exceptions", f"**{fmt.plural(seen.quarantined, 'signature')}** in quarantine",
                       icon=":material/inventory_2:", view="quarantine", signature="yes")  # fmt: skip
            st.caption("Not understood yet, so no money is known; released when their schema is.")


def _intake(seen: Overview, palette: Palette) -> None:
    today = int(seen.intake["events"].iloc[-1])
    with frame.card("intake", "Intake", f"Events stored per day; {fmt.count(today)} so far today") as card:
        if not seen.intake["events"].any():
            frame.empty("No event in four weeks.", "Check that the CLM still sends.", icon=":material/inbox:")
            return
        shown = pd.DataFrame(
            {
                "Day": seen.intake["day"].map(lambda day: fmt.day(day.to_pydatetime())),
                "Events": seen.intake["events"].map(fmt.count),
            }
        ).set_index("Day")
        card.chart(charts.daily_bars(seen.intake, palette=palette), alt="Events stored per day", data=shown)
