"""What charts over time are annotated with: releases as lines, outages as bands, labels that touch no other."""

from datetime import UTC, datetime, timedelta

from pages.kit import marks
from pages.kit.figure import new_figure
from pages.kit.marks import Mark
from pages.kit.palette import LIGHT
from sync_core.reads.releases import Release
from tests.pages.test_charts import labels

START = datetime(2026, 9, 1, tzinfo=UTC)
DAY = timedelta(days=1)
SPAN = (START, START + 100 * DAY)


def release(day: float, system: str = "erp:cloud", version: str = "2", replaced: str | None = "1") -> Release:
    return Release(system, version, START + day * DAY, START + day * DAY, replaced)


def test_only_what_replaced_something_in_the_time_is_marked() -> None:
    found = [
        release(99, "tieline", "1.1"),
        release(5),
        release(4, version="1", replaced=None),
        release(-1),
        release(101),
    ]
    marked = marks.of_releases(found, since=START, until=SPAN[1])
    assert [(mark.words, mark.is_moment) for mark in marked] == [("cloud 2", True), ("Tieline 1.1", True)]


def test_a_release_is_a_line_and_an_outage_a_band_behind_the_chart() -> None:
    figure = new_figure(LIGHT, left=0, right=0)
    outage = Mark(START + DAY, START + 3 * DAY, "<i>cloud</i> out")
    marks.draw(figure, [outage, Mark(START + 50 * DAY, START + 50 * DAY, "cloud 2")], LIGHT, across=SPAN)
    assert [(shape.type, shape.layer, shape.x1 - shape.x0) for shape in figure.layout.shapes] == [
        ("rect", "below", 2 * DAY), ("line", "below", timedelta()),
    ]  # fmt: skip
    assert labels(figure) == ["&lt;i&gt;cloud&lt;/i&gt; out", "cloud 2"]


def test_labels_do_not_touch_and_turn_round_at_the_edge() -> None:
    figure = new_figure(LIGHT, left=0, right=0)
    days = (10.0, 11.0, 40.0, 98.0, 99.0)
    shown = [Mark(START + day * DAY, START + day * DAY, f"cloud {day:g}") for day in days]
    marks.draw(figure, shown, LIGHT, across=SPAN)
    assert len(figure.layout.shapes) == 5
    assert [(label.text, label.xanchor) for label in figure.layout.annotations] == [
        ("cloud 10", "left"), ("cloud 40", "left"), ("cloud 98", "right"),
    ]  # fmt: skip


def test_without_a_span_nothing_is_written() -> None:
    figure = new_figure(LIGHT, left=0, right=0)
    marks.draw(figure, [Mark(START, START, "cloud 2")], LIGHT)
    assert (len(figure.layout.shapes), labels(figure)) == (1, [])


def test_the_newest_are_told_in_words() -> None:
    assert marks.told([]) == ""
    long = [Mark(START + day * DAY, START + day * DAY, f"cloud {day}") for day in range(6)]
    assert marks.told(long) == (
        "Marked, UTC: cloud 5 from 6 Sep 00:00, cloud 4 from 5 Sep 00:00, cloud 3 from 4 Sep 00:00, "
        "cloud 2 from 3 Sep 00:00 and 2 earlier ones."
    )
    outage = Mark(START, START + timedelta(hours=2), "cloud out")
    assert marks.told([outage]) == "Marked, UTC: cloud out 1 Sep 00:00 to 02:00."
