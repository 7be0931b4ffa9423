"""Figures of the pages of KPIs say what their frames say, in the colours of the theme."""

from collections.abc import Callable
from datetime import UTC, datetime
from math import log10

import pandas as pd
import plotly.graph_objects as go
import pytest

from pages.kit import charts_flow
from pages.kit import charts_kpi as charts
from pages.kit.figure import HEIGHT
from pages.kit.marks import Mark
from pages.kit.palette import DARK, LIGHT, Palette
from tests.pages.test_charts import labels

GAP = float("nan")
WEEKS = pd.DataFrame(
    {
        "week": pd.date_range("2026-08-31", periods=4, freq="7D", tz="UTC"),
        "p50": [8.2, None, 7.1, 6.4],
        "p90": [22.0, None, 19.7, 16.8],
        "n": [31, 12, 40, 36],
        "n_open": [0, 2, 0, 5],
    }
)
SHARES = pd.DataFrame(
    {
        "week": WEEKS["week"], "value": [0.9, None, 0.7, 0.5], "low": [0.9, None, 0.7, 0.5],
        "high": [0.9, None, 0.8, 1.0], "n": [10, 0, 10, 10],
    }
)  # fmt: skip
BOOKS = pd.DataFrame(
    {"name": ["Signed", "Billed", "Unexplained"], "amount": [300.0, 100.0, 0.0], "kind": ["main", "good", "breach"]}
)
MONTHS = pd.DataFrame(
    {
        "month": pd.date_range("2026-08-01", periods=2, freq="MS", tz="UTC"), "signed": [300.0, None],
        "forecast": [110.0, 80.0],
        "billed": [100.0, 100.0], "error": ["off 10.0%", "<b>off</b> 20.0%"],
    }
)  # fmt: skip
DISPUTED = pd.DataFrame(
    {
        "month": ["Aug", "Sep", "Oct"],
        "share": [0.03, None, 0.01],
        "n": [100, 0, 50],
        "provisional": [False, False, True],
    }
)
STEPS = pd.DataFrame({"name": ["Received", "Checked"], "share": [0.2, 0.8], "note": ["1.0 h", "4.0 h"]})
FUNCTIONS = pd.DataFrame({"name": ["Tax", "Legal"], "p50": [6.0, None], "p90": [20.0, None], "n": [40, 7]})
BINS = pd.DataFrame({"start": [0.0, 0.5, 16.9, 24.1], "end": [0.5, 0.7, 24.1, float("inf")], "cases": [9, 4, 2, 1]})
AGES = pd.DataFrame([[6, 35], [3, 0]], index=["Tax", "Legal"], columns=["< 1", "> 30"])
OUTAGE = Mark(datetime(2026, 9, 3, tzinfo=UTC), datetime(2026, 9, 4, tzinfo=UTC), "<i>cloud</i> out")


def hours(value: float) -> str:
    return f"{value:.1f} h"


def percentiles(frame: pd.DataFrame, palette: Palette = LIGHT, target: float = 24.0) -> go.Figure:
    return charts.percentiles(frame, write=hours, target=target, target_label="p90 target", palette=palette)


FIGURES: dict[str, Callable[[Palette], go.Figure]] = {
    "percentiles": lambda palette: percentiles(WEEKS, palette),
    "cohorts": lambda palette: charts.cohorts(WEEKS, palette=palette),
    "shares of weeks": lambda palette: charts.share_with_bounds(
        SHARES, target=0.8, target_label="target 80%", palette=palette
    ),
    "books": lambda palette: charts.amounts(BOOKS, write=hours, palette=palette),
    "forecast": lambda palette: charts.foreseen(MONTHS, write=hours, palette=palette),
    "disputes": lambda palette: charts.monthly(DISPUTED, target=0.02, target_label="target 2%", palette=palette),
    "steps": lambda palette: charts_flow.shares(STEPS, palette=palette),
    "functions": lambda palette: charts_flow.ranges(FUNCTIONS, write=hours, palette=palette),
    "spread": lambda palette: charts_flow.spread(
        BINS, write=hours, rules={"p50": 0.6}, promise=17.0, breach_label="over 2 days", palette=palette
    ),
    "ages": lambda palette: charts_flow.heatmap_with_sums(AGES, palette=palette),
}


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


def test_a_week_with_too_few_cases_is_a_gap_and_each_point_says_its_n() -> None:
    figure = FIGURES["percentiles"](LIGHT)
    assert {line.name: line.connectgaps for line in figure.data} == {"p90": False, "p50": False}
    assert pd.isna(figure.data[0].y[1])
    assert [list(one) for one in figure.data[0].customdata][:2] == [["22.0 h", "31"], ["–", "12"]]
    assert {"┄ p90 target", "<b>p50</b> 6.4 h", "<b>p90</b> 16.8 h"} <= set(labels(figure))
    assert figure.layout.shapes[0].y0 == 24


def test_labels_of_touching_lines_are_pushed_apart() -> None:
    figure = percentiles(WEEKS.assign(p90=[9.0, 9.0, 9.0, 6.6]))
    pushes = {label.text: label.yshift for label in figure.layout.annotations if label.text.startswith("<b>p")}
    assert pushes == {"<b>p90</b> 6.6 h": 10, "<b>p50</b> 6.4 h": -10}


def test_a_target_far_above_the_lines_is_named_and_does_not_flatten_them() -> None:
    figure = percentiles(WEEKS.assign(p50=[0.2] * 4, p90=[0.4, 0.5, 0.4, 0.25]))
    assert not figure.layout.shapes
    assert "p90 target, above the scale" in labels(figure)
    assert figure.layout.yaxis.range[1] == pytest.approx(0.5 * 1.16)


def test_minutes_beside_days_are_drawn_on_a_scale_of_doublings() -> None:
    figure = percentiles(WEEKS.assign(p50=[0.3] * 4, p90=[170.0] * 4), target=17.0)
    assert figure.layout.yaxis.type == "log"
    assert figure.layout.shapes[0].y0 == 17.0
    at = next(label.y for label in figure.layout.annotations if label.text.startswith("<b>p90"))
    assert at == pytest.approx(2.2304, abs=1e-3)  # the logarithm of 170
    assert list(figure.layout.yaxis.ticktext) == ["0.2 h", "1 h", "4 h", "16 h", "64 h", "256 h"]


def test_percentiles_without_any_known_week_still_show_the_target() -> None:
    figure = percentiles(WEEKS.assign(p50=None, p90=None))
    assert [text for text in labels(figure) if text] == ["┄ p90 target"]


def test_a_week_that_has_not_reached_its_slow_tenth_is_drawn_at_least_as_long_and_is_no_gap_in_what_is_told() -> None:
    figure = percentiles(WEEKS.assign(p90=[22.0, GAP, 19.7, GAP], p90_at_least=[GAP, GAP, GAP, 40.0]))
    line, marks = figure.data[0], figure.data[-1]
    assert pd.isna(line.y[3])
    assert (list(marks.y), list(marks.marker.symbol)) == ([40.0], ["triangle-up-open"])
    assert marks.customdata[0][0] == "week of 21 Sep: p90 at least "
    assert "<b>p90</b> > 40.0 h" in labels(figure), "19.7 h is the week before"
    assert figure.layout.yaxis.range[1] > 40


def test_a_value_of_an_older_week_says_of_which() -> None:
    figure = percentiles(WEEKS.assign(p90=[22.0, 19.7, GAP, GAP]))
    assert "<b>p90</b> 19.7 h<br>week of 7 Sep" in labels(figure)


def test_the_running_week_is_apart_from_the_lines() -> None:
    figure = percentiles(WEEKS.assign(running=[False, False, False, True]))
    assert [pd.isna(line.y[3]) for line in figure.data[:2]] == [True, True]
    assert sorted(figure.data[2].y) == [6.4, 16.8]
    assert set(figure.data[2].marker.symbol) == {"circle-open"}
    assert "<b>p90</b> 19.7 h" in labels(figure)
    share = charts.share_with_bounds(
        SHARES.assign(running=[False, False, False, True]), target=0.8, target_label="target", palette=LIGHT
    )
    assert (list(share.data[2].y), list(share.data[3].y)) == ([0.9, 0.7], [0.5])
    assert "<b>70.0%</b>" in labels(share)


def test_months_without_any_amount_have_a_scale_all_the_same() -> None:
    charts.foreseen(MONTHS.assign(signed=None, forecast=None, billed=None), write=hours, palette=LIGHT)
    assert charts._ticks(float("nan")) == charts._ticks(0.0) == [0.0]


def test_an_outage_stands_behind_the_lines_and_its_name_is_text() -> None:
    figure = charts.percentiles(
        WEEKS, write=hours, target=24.0, target_label="target", marks=[OUTAGE], palette=LIGHT
    )  # fmt: skip
    assert (figure.layout.shapes[0].layer, figure.layout.shapes[0].x0) == ("below", OUTAGE.start)
    assert "&lt;i&gt;cloud&lt;/i&gt; out" in labels(figure)


def test_cases_of_a_week_add_up() -> None:
    done, still_open = FIGURES["cohorts"](LIGHT).data
    assert [a + b for a, b in zip(done.y, still_open.y, strict=True)] == [31, 12, 40, 36]


def test_bounds_are_a_band_around_the_share() -> None:
    upper, lower, line = FIGURES["shares of weeks"](LIGHT).data
    assert (list(upper.y), list(lower.y), list(line.y)) == ([0.9, 0.8, 1.0], [0.9, 0.7, 0.5], [0.9, 0.7, 0.5])
    assert lower.fill == "tonexty"


@pytest.mark.parametrize(("amount", "ink"), [(0.0, LIGHT.ink), (12.0, LIGHT.red)])
def test_unexplained_is_red_only_when_there_is_some(amount: float, ink: str) -> None:
    figure = charts.amounts(BOOKS.assign(amount=[300.0, 100.0, amount]), write=hours, palette=LIGHT)
    assert figure.layout.annotations[-1].font.color == ink
    assert figure.data[0].marker.color[-1] == LIGHT.red  # a bar of nil has no area


def test_each_month_says_how_far_its_forecast_was_off() -> None:
    figure = FIGURES["forecast"](LIGHT)
    assert [bar.name for bar in figure.data] == ["Signed", "Forecast", "Billed"]
    assert list(figure.data[0].customdata) == ["300.0 h", "–"]
    assert labels(figure)[:2] == ["off 10.0%", "&lt;b&gt;off&lt;/b&gt; 20.0%"]
    assert [label.y for label in figure.layout.annotations[:2]] == [300.0, 100.0]


def test_a_month_in_which_amendments_took_more_away_than_was_signed_is_below_nil() -> None:
    figure = charts.foreseen(MONTHS.assign(signed=[-40.0, 10.0]), write=hours, palette=LIGHT)
    low, high = figure.layout.yaxis.range
    assert low == pytest.approx(-44)
    assert high > 110


def test_a_month_that_may_still_rise_is_pale() -> None:
    bars = FIGURES["disputes"](LIGHT).data[0]
    assert list(bars.marker.color) == [LIGHT.blue, LIGHT.blue, LIGHT.pale]
    assert list(bars.text) == ["3.0%", "", "1.0%"]


def test_the_slowest_step_stands_out() -> None:
    figure = FIGURES["steps"](LIGHT)
    assert list(figure.data[0].marker.color) == [LIGHT.blue, LIGHT.amber]
    assert labels(figure) == ["<b>20.0%</b><br>1.0 h", "<b>80.0%</b><br>4.0 h"]


def test_a_function_with_too_few_cases_shows_their_number() -> None:
    assert labels(FIGURES["functions"](LIGHT))[:2] == ["<b>6.0 h</b> 20.0 h", "7, too few"]


def test_bins_past_the_promise_are_red() -> None:
    figure = FIGURES["spread"](LIGHT)
    assert list(figure.data[0].marker.color) == [LIGHT.blue, LIGHT.blue, LIGHT.red, LIGHT.red]
    assert {"<b>p50</b> 0.6 h", "over 2 days"} == set(labels(figure))


def test_a_median_of_nil_stays_in_the_plot_of_a_logarithmic_scale() -> None:
    weeks = pd.DataFrame({"week": WEEKS["week"], "p50": 0.0, "p90": 60.0, "n": 31, "n_open": 0})
    figure = percentiles(weeks)
    assert figure.layout.yaxis.type == "log"
    assert {*figure.data[1].y} == {1 / 60}
    assert figure.layout.yaxis.range[0] < log10(1 / 60)
    assert figure.data[1].customdata[0][0] == hours(0.0)


def test_an_axis_of_few_cases_counts_in_whole_numbers() -> None:
    """Plotly marked halves, which were written as the whole number next to them."""
    weeks = pd.DataFrame({"week": WEEKS["week"], "n": 2, "n_open": 0})
    bins = BINS.assign(cases=2)
    spread = charts_flow.spread(bins, write=hours, rules={}, promise=17.0, breach_label="", palette=LIGHT)
    for figure in (charts.cohorts(weeks, palette=LIGHT), spread):
        assert figure.layout.yaxis.dtick == 1


def test_the_sums_of_the_ages_are_shown() -> None:
    assert labels(FIGURES["ages"](LIGHT))[4:] == ["<b>41</b>", "<b>3</b>", "<b>9</b>", "<b>35</b>"]
