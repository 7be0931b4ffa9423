"""The default page: one good card, one that breaks, live KPIs, a link."""

from datetime import UTC, datetime, timedelta

import pandas as pd

from pages.kit import charts, frame
from pages.kit.frame import Freshness, Kpi, Page, Trend
from pages.kit.live import live

PAGE = Page(title="Overview", icon=":material/monitoring:", path="overview", order=10, default=True)
_NOW = datetime(2026, 11, 23, 6, 3, tzinfo=UTC)


def render(reads: object, commands: object) -> None:
    frame.header("Overview", f"Drawn from {reads} and {commands}.", Freshness(_NOW, _NOW, timedelta(minutes=1)))
    frame.headline("**$13.6M** waits, $2.8M of it for long.")
    live(_numbers)
    with frame.card_grid():
        with frame.card("good", "Contract funnel", "Contracts by step") as card:
            reached = pd.DataFrame({"step": ["Signed", "> Billable"], "cases": [10, 9]})
            card.chart(charts.funnel_bars(reached, palette=frame.palette()), alt="Contracts by step", data=reached)
        with frame.card("broken", "Broken card", "Always fails"):
            raise ValueError("the read failed")
        with frame.card("quiet", "Stuck contracts", "Contracts, all entities"):
            frame.empty("Nothing is stuck.", "Clear a filter.")
        frame.link("second", "Open the second page", cause="tax")


def _numbers() -> None:
    frame.kpi_row(
        [Kpi("Stuck", "$13.6M", "Signed, not billable ($).", "+$0.4M", Trend.UP, False, "vs prior week", (1.0, 2.0))]
    )
