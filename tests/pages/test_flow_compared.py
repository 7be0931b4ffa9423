"""Flow beside the period before, worked out by hand; and its charts over time with an outage and a release marked."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from streamlit.testing.v1 import AppTest

from metrics.measures import Measures
from sync_core.clock import VirtualClock
from sync_core.reads import Reads
from tests import rows
from tests.databases import DatabaseUrls
from tests.metrics.support import caught_up
from tests.pages.stage import play, texts
from tests.pages.test_executive import errors
from tests.reads.handmade import add_contract, insert

HOUR, WEEK = timedelta(hours=1), timedelta(weeks=1)
MONDAY = rows.NOW.replace(hour=0)  # 23 November; a period of 13 weeks begins 12 weeks before
SIGNED = timedelta(days=1, hours=10)  # Tuesdays at 10:00 in London, which works from 9:00 to 17:30


def provisioned(database: sa.Engine, week: datetime, took: timedelta) -> None:
    """Twenty contracts of a week, each billable after so many hours of one working day: enough for a percentile."""
    for _ in range(20):
        signed = week + SIGNED
        add_contract(database, legal_entity="GB01", signed_at=signed, received_at=signed, first_active_at=signed + took,
                     state="active", state_since=signed + took)  # fmt: skip


def measured(database: sa.Engine) -> Measures:
    caught_up(database, VirtualClock(rows.NOW), rows.estate())
    return Measures(database, clock=VirtualClock(rows.NOW), estate=rows.estate())


def tile(shown: AppTest, label: str) -> tuple[str, str, str, str, str]:
    """Value, change, what it is compared with, and how the change is shown: its colour and its arrow."""
    [found] = [metric for metric in shown.metric if metric.label == label]
    proto = found.proto
    colours, arrows = proto.MetricColor, proto.MetricDirection
    return (found.value, found.delta, proto.delta_description, colours.Name(proto.color), arrows.Name(proto.direction))


@pytest.mark.parametrize(("hours", "before", "change", "colour", "arrow"), [
    (3, 5, "\u22122.0 h", "GREEN", "DOWN"), (5, 3, "+2.0 h", "RED", "UP"), (3, 3, "", "GRAY", "NONE"),
])  # fmt: skip
def test_a_number_of_flow_is_compared_with_as_many_weeks_before(
    database: sa.Engine, nothing: Reads, hours: int, before: int, change: str, colour: str, arrow: str
) -> None:
    provisioned(database, MONDAY - 4 * WEEK, hours * HOUR)
    provisioned(database, MONDAY - 13 * WEEK, before * HOUR)  # the last week of the thirteen before
    provisioned(database, MONDAY - 26 * WEEK, 7 * HOUR)  # a week before these: counts for neither
    shown = play("flow", nothing, measures=measured(database))
    assert errors(shown) == []
    words = "vs prior 13 weeks" if change else ""
    assert tile(shown, "Signed to billable, p50") == (f"{hours}.0 h", change, words, colour, arrow)


def test_without_a_period_before_there_is_a_number_and_no_change(database: sa.Engine, nothing: Reads) -> None:
    provisioned(database, MONDAY - 4 * WEEK, 3 * HOUR)
    shown = play("flow", nothing, measures=measured(database))
    assert tile(shown, "Signed to billable, p50")[:3] == ("3.0 h", "", "")


def test_the_comparison_has_as_many_weeks_as_the_period(database: sa.Engine, nothing: Reads) -> None:
    provisioned(database, MONDAY - 3 * WEEK, 3 * HOUR)
    provisioned(database, MONDAY - 4 * WEEK, 4 * HOUR)
    provisioned(database, MONDAY - 8 * WEEK, 8 * HOUR)
    shown = play("flow", nothing, {"weeks": "4"}, measures=measured(database))
    assert tile(shown, "Signed to billable, p50")[:3] == ("3.0 h", "\u22121.0 h", "vs prior 4 weeks")


# ---- what happened meanwhile -----------------------------------------------------------------------------------

BROKE, MENDED = MONDAY - 5 * WEEK, MONDAY - 5 * WEEK + timedelta(days=3)
RELEASED = MONDAY - 9 * WEEK + 9 * HOUR


def happened(database: sa.Engine) -> None:
    """One outage of three days, one release of Tieline in place of the one before."""
    insert(database, "lane_history", lane="cloud", breaker="open", reason="503", occurred_at=BROKE)
    insert(database, "lane_history", lane="cloud", breaker="closed", occurred_at=MENDED)
    for version, first, last in (("1.0", MONDAY - 40 * WEEK, RELEASED), ("1.1", RELEASED, rows.NOW)):
        insert(database, "release", system="tieline", version=version, first_seen_at=first, last_seen_at=last)


def over_time(shown: AppTest) -> list[dict[str, Any]]:
    """The layouts of the charts whose axis is time."""
    figures = [json.loads(chart.proto.spec) for chart in shown.get("plotly_chart")]
    return [
        one["layout"]
        for one in figures
        if one["layout"]["xaxis"].get("type") == "date"
        or any(
            shape["type"] == "rect" and str(shape["x0"]).startswith("2026") for shape in one["layout"].get("shapes", ())
        )
    ]


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=rows.NOW.tzinfo)


def test_an_outage_and_a_release_are_marked_on_every_chart_of_flow_over_time(
    database_urls: DatabaseUrls, database: sa.Engine, nothing: Reads
) -> None:
    rows.seed(database_urls.owner, 2_000)  # amendments enough for a percentile of four weeks
    happened(database)
    shown = play("flow", nothing, measures=measured(database))
    assert errors(shown) == []
    layouts = over_time(shown)
    assert len(layouts) == 2, "what is provisioned by itself, and how long amendments take"
    for layout in layouts:
        bands = [shape for shape in layout["shapes"] if shape["type"] == "rect" and shape["yref"] == "paper"]
        assert [(moment(band["x0"]), moment(band["x1"]), band["layer"]) for band in bands] == [(BROKE, MENDED, "below")]
        dotted = [shape for shape in layout["shapes"] if shape.get("line", {}).get("dash") == "dot"]
        assert [(moment(line["x0"]), moment(line["x1"])) for line in dotted] == [(RELEASED, RELEASED)]
        words = [label["text"] for label in layout["annotations"]]
        assert {"cloud out", "Tieline 1.1"} <= set(words)
    said = texts(shown).replace("\\", "")
    assert "Marked, UTC: cloud out 19 Oct 00:00 to 22 Oct 00:00, Tieline 1.1 from 21 Sep 09:00." in said


@pytest.mark.parametrize("period", [
    {"from": "2026-10-26", "to": "2026-11-23"}, {"from": "2026-06-22", "to": "2026-09-21"},
], ids=["after", "before"])  # fmt: skip
def test_a_period_that_began_after_or_ended_before_has_no_mark_of_either(
    database_urls: DatabaseUrls, database: sa.Engine, nothing: Reads, period: dict[str, str]
) -> None:
    rows.seed(database_urls.owner, 700)
    happened(database)
    shown = play("flow", nothing, period, measures=measured(database))
    assert errors(shown) == []
    figures = [json.loads(chart.proto.spec)["layout"] for chart in shown.get("plotly_chart")]
    marked = [shape for one in figures for shape in one.get("shapes", ()) if str(shape["x0"]).startswith("2026")]
    assert marked == []
    assert "Marked, UTC" not in texts(shown)
