"""Figures say what their frames say, with few marks, on one height, in the colours of the theme."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

import pandas as pd
import plotly.graph_objects as go
import pytest

from pages.kit import charts
from pages.kit.figure import HEIGHT
from pages.kit.palette import DARK, LIGHT, Palette, palette_for
from pages.kit.scheme import colours, stylesheet

STUCK = pd.DataFrame(
    [
        ("Captured", "< 24 h", Decimal("950000")),
        ("Captured", "1-3 d", Decimal("500000")),
        ("Captured", "> 3 d", Decimal("1100000")),
        ("Billing set up", "< 24 h", Decimal("1350000")),
    ],
    columns=["step", "age", "amount"],
)
AGING = pd.DataFrame([[6, 35], [3, 0]], index=["Tax", "Legal"], columns=["< 4 h", "> 7 d"])
FUNNEL = pd.DataFrame({"step": ["Signed", "Captured", "Billable"], "cases": [12000, 11988, 11436]})
BUDGET = pd.DataFrame({"at": pd.date_range("2026-11-01", periods=3, freq="D", tz="UTC"), "left": [0.9, 0.6, 0.38]})
NOVEMBER = {"start": datetime(2026, 11, 1, tzinfo=UTC), "end": datetime(2026, 11, 30, tzinfo=UTC)}

FIGURES: dict[str, Callable[[Palette], go.Figure]] = {
    "money": lambda palette: charts.money_by_step(STUCK, currency="USD", palette=palette),
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


def test_every_heatmap_cell_prints_its_count() -> None:
    figure = FIGURES["heatmap"](LIGHT)
    assert labels(figure) == ["6", "35", "3", "·"]
    assert figure.layout.annotations[1].font.color == LIGHT.heat_ink[1]
    assert list(figure.data[0].marker.color) == [LIGHT.heat[1], LIGHT.heat[5], LIGHT.heat[0], LIGHT.heat[0]]


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_a_count_keeps_its_contrast_on_every_step_of_the_heatmap(palette: Palette) -> None:
    table = pd.DataFrame([[0, 1, 2, 3, 4, 5]], index=["Tax"], columns=list("abcdef"))
    figure = charts.heatmap(table, palette=palette)
    cells = zip(figure.layout.annotations[1:], figure.data[0].marker.color[1:], strict=True)
    assert min(contrast(count.font.color, cell) for count, cell in cells) >= 4.5


def test_the_funnel_starts_at_zero_and_prints_how_many_fewer_they_are() -> None:
    figure = FIGURES["funnel"](LIGHT)
    assert list(figure.layout.xaxis.range) == [0, 12000]
    assert labels(figure) == ["", "−12", "−552", "fewer"]
    assert figure.data[0].marker.color[-1] == LIGHT.teal


def test_a_spent_budget_turns_red_and_says_so() -> None:
    figure = charts.budget_left(BUDGET.assign(left=[0.4, 0.1, -0.12]), **NOVEMBER, palette=LIGHT)
    assert figure.data[1].line.color == LIGHT.red
    assert labels(figure) == ["<b>−12.0%</b> overspent"]


@pytest.mark.parametrize(("theme", "palette"), [("dark", DARK), ("light", LIGHT), (None, LIGHT)])
def test_the_palette_follows_the_theme(theme: str | None, palette: Palette) -> None:
    assert palette_for(theme) is palette


def test_every_colour_of_a_chart_has_one_counterpart_in_the_other_theme() -> None:
    rules = stylesheet().splitlines()
    for name in ("fill", "stroke", "background"):
        of_name = [rule for rule in rules if f"{{ {name}: light-dark(" in rule]
        found = [one for rule in of_name for one in re.findall(rf'"{name}:(#\w+)" i', rule)]
        assert len(found) == len({*found})
        assert {one for palette in (LIGHT, DARK) for one in colours(palette)} - {*found} == {LIGHT.area, DARK.area}


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
