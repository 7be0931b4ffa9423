"""Figures say what their frames say, with few marks, on one height, in the colours of the theme."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pandas as pd
import plotly.graph_objects as go
import pytest

from pages import _charts as charts
from pages._figure import HEIGHT
from pages._palette import DARK, LIGHT, Palette, palette_for

STUCK = pd.DataFrame(
    [
        ("Captured", "< 24 h", Decimal("950000")),
        ("Captured", "1-3 d", Decimal("500000")),
        ("Captured", "> 3 d", Decimal("1100000")),
        ("Billing set up", "< 24 h", Decimal("1350000")),
    ],
    columns=["step", "age", "amount"],
)
WEEKS = pd.DataFrame(
    {
        "week": pd.date_range("2026-08-31", periods=4, freq="7D", tz="UTC"),
        "p50": [8.2, None, 7.1, 6.4],
        "p90": [22.0, None, 19.7, 16.8],
        "pooled": [31, 12, 40, 36],
        "n": [31, 12, 40, 36],
        "n_open": [0, 2, 0, 5],
    }
)
BINS = pd.DataFrame({"start": [0.0, 6.0, 12.0, 18.0, 24.0, 30.0], "cases": [90, 640, 300, 120, 40, 12]})
AGING = pd.DataFrame([[6, 35], [3, 0]], index=["Tax", "Legal"], columns=["< 4 h", "> 7 d"])
FUNNEL = pd.DataFrame({"step": ["Signed", "Captured", "Billable"], "cases": [12000, 11988, 11436]})
BUDGET = pd.DataFrame({"at": pd.date_range("2026-11-01", periods=3, freq="D", tz="UTC"), "left": [0.9, 0.6, 0.38]})
NOVEMBER = {"start": datetime(2026, 11, 1, tzinfo=UTC), "end": datetime(2026, 11, 30, tzinfo=UTC)}

FIGURES: dict[str, Callable[[Palette], go.Figure]] = {
    "money": lambda palette: charts.money_by_step(STUCK, currency="USD", palette=palette),
    "weekly": lambda palette: charts.weekly_lines(
        WEEKS, target=timedelta(hours=24), target_label="p90 target 24 h", palette=palette
    ),
    "counts": lambda palette: charts.weekly_counts(WEEKS, palette=palette),
    "histogram": lambda palette: charts.histogram(
        BINS,
        rules={"p50": timedelta(hours=8)},
        promise=timedelta(hours=24),
        breach_label="4.3% over 24 h",
        palette=palette,
    ),
    "heatmap": lambda palette: charts.heatmap(AGING, palette=palette),
    "funnel": lambda palette: charts.funnel_bars(FUNNEL, palette=palette),
    "budget": lambda palette: charts.budget_left(BUDGET, **NOVEMBER, palette=palette),
}


def labels(figure: go.Figure) -> list[str]:
    return [annotation.text for annotation in figure.layout.annotations]


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_has_the_one_height_and_few_traces(name: str, palette: Palette) -> None:
    figure = FIGURES[name](palette)
    assert figure.layout.height == HEIGHT
    assert 1 <= len(figure.data) <= 3
    assert figure.layout.font.color == palette.ink
    assert figure.layout.xaxis.fixedrange
    assert figure.layout.yaxis.fixedrange
    figure.to_json()


def test_money_bars_are_stacked_youngest_first_with_the_total_at_the_end() -> None:
    figure = FIGURES["money"](LIGHT)
    assert [bar.name for bar in figure.data] == ["< 24 h", "1-3 d", "> 3 d"]
    assert [bar.marker.color for bar in figure.data] == [LIGHT.pale, LIGHT.amber, LIGHT.red]
    assert list(figure.data[0].y) == ["Captured", "Billing set up"]
    assert list(figure.data[2].x) == [1100000.0, 0.0]
    assert labels(figure)[:2] == ["<b>$2.6M</b>", "<b>$1.4M</b>"]


def test_weekly_lines_leave_a_gap_where_a_week_has_too_few_cases() -> None:
    figure = FIGURES["weekly"](LIGHT)
    assert {line.name: line.connectgaps for line in figure.data} == {"p90": False, "p50": False}
    assert pd.isna(figure.data[0].y[1])
    assert "p90 target 24 h" in labels(figure)
    assert "<b>p50</b> 6.4 h" in labels(figure)


def test_weekly_lines_read_in_days_when_the_scale_reaches_four() -> None:
    slow = WEEKS.assign(p90=[240.0, 200.0, 180.0, 168.0])
    figure = charts.weekly_lines(slow, target=timedelta(days=5), target_label="target 5 d", palette=LIGHT)
    assert figure.layout.yaxis.ticksuffix == " d"
    assert figure.data[0].y[0] == pytest.approx(10)
    assert figure.layout.shapes[0].y0 == pytest.approx(5)


def test_labels_of_touching_lines_are_pushed_apart() -> None:
    close = WEEKS.assign(p90=[9.0, 9.0, 9.0, 6.6])
    figure = charts.weekly_lines(close, target=timedelta(hours=24), target_label="target", palette=LIGHT)
    pushes = {label.text: label.yshift for label in figure.layout.annotations if label.text.startswith("<b>p")}
    assert pushes == {"<b>p90</b> 6.6 h": 8, "<b>p50</b> 6.4 h": -8}


def test_a_target_far_above_the_lines_is_named_and_does_not_flatten_them() -> None:
    fast = WEEKS.assign(p50=[0.2, 0.2, 0.2, 0.2], p90=[0.4, 0.5, 0.4, 0.25])
    figure = charts.weekly_lines(fast, target=timedelta(days=2), target_label="p90 target 2 d", palette=LIGHT)
    assert not figure.layout.shapes
    assert "p90 target 2 d, above the scale" in labels(figure)
    assert figure.layout.yaxis.ticksuffix == " min"
    assert list(figure.data[0].y) == pytest.approx([24, 30, 24, 15])
    assert figure.layout.yaxis.range[1] == pytest.approx(30 * 1.16)


def test_weekly_lines_without_any_known_week_still_show_the_target() -> None:
    unknown = WEEKS.assign(p50=None, p90=None)
    figure = charts.weekly_lines(unknown, target=timedelta(hours=24), target_label="target", palette=LIGHT)
    assert labels(figure) == ["target"]


def test_a_point_says_of_how_many_cases_it_is() -> None:
    line = FIGURES["weekly"](LIGHT).data[0]
    assert list(line.customdata) == [31, 12, 40, 36]
    assert "n = %{customdata:,}" in line.hovertemplate


def test_counts_of_a_week_add_up_to_its_cases() -> None:
    done, still_open = FIGURES["counts"](LIGHT).data
    assert [a + b for a, b in zip(done.y, still_open.y, strict=True)] == [31, 12, 40, 36]


def test_only_bins_past_the_promise_are_red_and_the_last_is_open() -> None:
    bars = FIGURES["histogram"](LIGHT).data[0]
    assert list(bars.marker.color) == [LIGHT.blue] * 4 + [LIGHT.red] * 2
    assert list(bars.customdata) == ["0-6 h", "6-12 h", "12-18 h", "18-24 h", "24-30 h", "30+ h"]


def test_a_histogram_without_a_breach_has_no_breach_label() -> None:
    figure = charts.histogram(
        BINS.head(4), rules={}, promise=timedelta(hours=24), breach_label="0% over 24 h", palette=LIGHT
    )
    assert labels(figure) == []


def test_every_heatmap_cell_prints_its_count() -> None:
    figure = FIGURES["heatmap"](LIGHT)
    assert labels(figure) == ["6", "35", "3", "·"]
    assert figure.layout.annotations[1].font.color == LIGHT.heat_ink[1]


def test_the_funnel_starts_at_zero_and_prints_what_was_lost() -> None:
    figure = FIGURES["funnel"](LIGHT)
    assert list(figure.layout.xaxis.range) == [0, 12000]
    assert labels(figure) == ["", "−12", "−552", "lost"]
    assert figure.data[0].marker.color[-1] == LIGHT.teal


def test_a_spent_budget_turns_red_and_says_so() -> None:
    figure = charts.budget_left(BUDGET.assign(left=[0.4, 0.1, -0.12]), **NOVEMBER, palette=LIGHT)
    assert figure.data[1].line.color == LIGHT.red
    assert labels(figure) == ["<b>−12.0%</b> overspent"]


def test_the_bar_of_today_is_paler_than_those_that_are_over() -> None:
    days = pd.DataFrame({"day": pd.date_range("2026-11-21", periods=3, freq="D", tz="UTC"), "events": [7, 9, 2]})
    bars = charts.daily_bars(days, palette=LIGHT).data[0]
    assert list(bars.y) == [7, 9, 2]
    assert list(bars.marker.color) == [LIGHT.blue, LIGHT.blue, LIGHT.pale]


def test_a_sparkline_keeps_the_newest_known_values() -> None:
    assert charts.sparkline([Decimal(1), None, 2.0, float("nan"), 3.0], points=2) == [2.0, 3.0]
    assert charts.sparkline([5.0]) == []


@pytest.mark.parametrize(("theme", "palette"), [("dark", DARK), ("light", LIGHT), (None, LIGHT)])
def test_the_palette_follows_the_theme(theme: str | None, palette: Palette) -> None:
    assert palette_for(theme) is palette


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_text_keeps_the_contrast_that_wcag_asks_for(palette: Palette) -> None:
    for ink in (palette.ink, palette.muted):
        assert contrast(ink, palette.card) >= 4.5
    for mark in (palette.blue, palette.teal):
        assert contrast(palette.on_mark, mark) >= 4.5
    for mark in (palette.blue, palette.amber, palette.teal, palette.red):
        assert contrast(mark, palette.card) >= 3


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
