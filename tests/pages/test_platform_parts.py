"""What the platform page is made of: its words, and its figures from plain frames."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pandas as pd
import pytest

from metrics.lane_history import LaneHistory
from pages.kit import charts_platform as charts
from pages.kit import lanes
from pages.kit.palette import DARK, LIGHT
from pages.parts.platform import marks
from pages.parts.platform import schedule_words as jobs
from pages.parts.platform import words as told
from sync_core.money import Money
from sync_core.reads import LaneState, MoneyTotal


def test_times_are_written_with_their_unit() -> None:
    assert [told.seconds(s) for s in (0.0, 0.0004, 0.004, 0.25, 1.26, 12, 90)] == [
        "0 ms", "0.4 ms", "4 ms", "0.25 s", "1.3 s", "12 s", "2 min",
    ]  # fmt: skip
    assert [told.size(n) for n in (12, 2_048, 3 * 1024**2, 5 * 1024**3)] == ["12 B", "2 KB", "3.0 MB", "5.0 GB"]


def test_every_job_of_a_worker_says_what_it_does() -> None:
    assert jobs.title("financial-status:cloud") == "Books of cloud"
    assert jobs.does("poll:crm")
    assert (jobs.title("something-new"), jobs.does("something-new")) == ("something-new", "")


@pytest.mark.parametrize("palette", [LIGHT, DARK])
def test_a_spent_budget_is_red_and_ends_with_its_number(palette: object) -> None:
    at = pd.date_range("2026-11-01", periods=3, tz="UTC")
    colours = LIGHT if palette is LIGHT else DARK
    for left, colour in ((0.4, colours.teal), (-2.5, colours.red)):
        figure = charts.budget(
            pd.DataFrame({"at": at, "left": [1.0, 0.6, left]}), label="now", start=at[0], end=at[2], palette=colours
        )
        assert figure.data[1].line.color == colour
        assert figure.layout.yaxis.range[0] < left
        assert figure.layout.annotations[-1].text == "<b>now</b>"


def test_a_lane_is_drawn_from_when_it_is_known() -> None:
    begun, until = datetime(2026, 11, 1, 18, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC)
    since = until - timedelta(days=1)
    found = LaneHistory(since, until, ())
    lane = LaneState("cloud", "closed", None, 0, None, None, 1, 0, MoneyTotal(Money(Decimal(0), "USD"), 0), None)
    assert marks.known_from([begun, until], found) == begun
    shown = marks.strips([lane], found, begun)
    assert list(shown["start"]) == [pd.Timestamp(begun)]
    assert marks.known_from([since + timedelta(minutes=5)], found) == since, "the step of a sample is no gap"
    assert marks.known_from([], found) == since


def test_a_lane_says_what_its_erp_has_not() -> None:
    lane = LaneState("cloud", "closed", None, 0, None, None, 1, 0, MoneyTotal(Money(Decimal(0), "USD"), 0), None)
    assert "Runs without" not in lanes.row(lane, datetime(2026, 11, 1, tzinfo=UTC))[1]
    older = replace(lane, does_without="no ledger of revenue")
    assert "Runs without] no ledger of revenue" in lanes.row(older, datetime(2026, 11, 1, tzinfo=UTC))[1]


def test_without_any_worker_that_is_said() -> None:
    assert "No worker has reported yet" in told.headline([], [], [])
    assert "when the past is made" in told.headline([], [], [], past=True)


def test_a_lanes_strip_has_its_outages_and_escapes_their_words() -> None:
    at = pd.date_range("2026-11-01", periods=4, tz="UTC")
    strips = pd.DataFrame({
        "lane": ["cloud"] * 3, "start": at[:3], "end": at[1:], "state": ["closed", "open", "closed"],
        "why": ["", "<script>", ""],
    })  # fmt: skip
    figure = charts.lane_strips(strips, notes=[("cloud", "66.7%")], since=at[0], until=at[3], palette=LIGHT)
    running_, out, paused = figure.data
    assert (len(running_.x), len(out.x), len(paused.x)) == (2, 1, 0)
    assert out.x[0] == 24 * 3_600_000
    assert out.customdata[0][2] == "&lt;script&gt;"
