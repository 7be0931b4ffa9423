"""The cards of the service-level objectives: how each stands, and how the budget of one was spent."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import pandas as pd
import streamlit as st

from metrics.budgets import budgets
from metrics.burn import PERIOD
from metrics.measures import Measures
from metrics.slo import Standing
from pages.kit import charts_platform as charts
from pages.kit import data, filters, frame, trends
from pages.kit import format as fmt
from pages.kit.frame import Freshness
from pages.kit.marks import Mark
from pages.kit.palette import Palette
from pages.kit.table import marked
from pages.parts.platform import words as told
from sync_core.reads import Reads

_EVALUATED: Final = timedelta(minutes=1)
_COLUMNS: Final = ["Promise", "State", "Target", "Good, 30 d", "Budget left", "Burn rate"]


def promises(reads: Reads, measures: Measures) -> None:
    """All of them. Reads its own data, so that a failure here stays here."""
    with frame.card(
        "promises", "Promises", "Service-level objectives over 30 days; burn rates over 1 h, 6 h and 3 d",
        definition="The targets are Tieline's suggestions, unless the estate file sets its own. Budget left: of the "
        "bad events that the target allows in 30 days. Burn rate: how fast it is spent; at 1 it lasts 30 days. An "
        "alert needs a high rate over a window and over a twelfth of it, and enough events.",
    ):  # fmt: skip
        found = data.objectives(reads, measures)
        if not found:
            frame.empty("No promise was looked at yet.", "A worker does so each minute; see that one runs.",
                        icon=":material/schedule:")  # fmt: skip
            return
        if (freshness := _freshness(found, reads)) is not None and freshness.is_stale:
            frame.stale_badge(freshness)
        marked("promises", _COLUMNS, [_row(one) for one in found])
        for one in found:
            if one.broken_at is not None:
                st.caption(f":material/subdirectory_arrow_right: **{fmt.plain(one.title)}:** "
                           f"{fmt.plain(told.says(one))} Broken since {fmt.moment(one.broken_at)}.")  # fmt: skip


def budget(reads: Reads, measures: Measures, palette: Palette, marked: Sequence[Mark]) -> None:
    """One promise's budget, chosen in the URL; the one with the least left unless it says another."""
    with frame.card(
        "budget", "Error budget", "Share left of 30 days; the dotted line is an even burn",
        definition="Of the bad events that the target allows among all events of these 30 days. Below the dotted line "
        "it was spent faster than evenly; below nil it is overspent.",
    ) as card:  # fmt: skip
        standing = data.objectives(reads, measures)
        spent = budgets(standing)
        known = {one.name: one for one in sorted(standing, key=_most_spent) if one.name in spent}
        if not known:
            frame.empty("No budget was touched yet.", "It begins with the first contracts and requests.",
                        icon=":material/battery_full:")  # fmt: skip
            return
        titles = {name: one.title for name, one in known.items()}
        chosen = known[filters.always("promise", "Promise", titles, quiet=True)]
        points = spent[chosen.name]
        table = pd.DataFrame({"at": [point.at for point in points], "left": [point.left for point in points]})
        end = points[-1].at
        card.chart(
            charts.budget(table, label=told.left(chosen), start=end - PERIOD, end=end, marks=marked, palette=palette),
            alt=f"Error budget left of {chosen.title}: {told.left(chosen)}",
            data=pd.DataFrame(
                {"Day": [fmt.day(point.at) for point in points], "Left": [fmt.percent(point.left) for point in points]}
            ).set_index("Day"),
        )
        trends.tell(marked)
        st.caption(f"{fmt.count(chosen.bad)} bad of {fmt.count(chosen.total)} {fmt.plain(chosen.events)}; "
                   f"{fmt.percent(1 - chosen.objective)} may be.")  # fmt: skip


def _row(one: Standing) -> list[str]:
    good = fmt.DASH if one.good_share is None else f"{one.good_share * 100:.2f}%"
    of = f"{good} of {fmt.count(one.total)} {fmt.plain(one.events)}" if one.total else "no events"
    return [fmt.plain(one.title), told.standing(one), told.target(one), of, told.left(one), told.burns(one)]


def _most_spent(one: Standing) -> tuple[bool, float]:
    return (not one.broken, 1.0 if one.budget_left is None else one.budget_left)


def _freshness(found: Sequence[Standing], reads: Reads) -> Freshness | None:
    moments = [one.evaluated_at for one in found if one.evaluated_at is not None]
    return Freshness(min(moments), reads.now, _EVALUATED) if moments else None
