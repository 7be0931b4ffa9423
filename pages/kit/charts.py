"""The figures of the dashboard: plain values or a DataFrame in, a Plotly figure out. No Streamlit, no SQL.

All share one height, so that cards in a row end together. Each has few traces (a cold tab pays for every one) and names
its series at the mark, so no legend is needed to read it. Rows are drawn in the order of the frame, top first.
"""

from datetime import datetime
from decimal import Decimal
from itertools import pairwise

import pandas as pd
import plotly.graph_objects as go

from pages.kit import format as fmt
from pages.kit.figure import beside_mark, in_margin, legend, name_rows, new_figure
from pages.kit.palette import Palette
from sync_core.money import Money

_STRONG = 4  # the colour of `Palette.heat` from which a cell needs the other ink


def money_by_step(frame: pd.DataFrame, *, currency: str, palette: Palette) -> go.Figure:
    """Where money waits: one bar a step, stacked by age, the total at its end.

    Columns: step, age (at most three, youngest first), amount (major units of `currency`).
    """
    table = frame.pivot(index="step", columns="age", values="amount").fillna(0).astype(float)
    table = table.loc[frame["step"].drop_duplicates(), frame["age"].drop_duplicates()]
    colours = dict(zip(table.columns, (palette.pale, palette.amber, palette.red), strict=False))
    totals = table.sum(axis=1)
    figure = new_figure(palette, left=100, right=58, top=28)
    for age, colour in colours.items():
        figure.add_bar(
            x=table[age],
            y=table.index,
            name=str(age),
            orientation="h",
            marker={"color": colour, "line": {"color": palette.card, "width": 1}},
            customdata=[_money(value, currency) for value in table[age]],
            hovertemplate=f"%{{y}}, {age}: <b>%{{customdata}}</b><extra></extra>",
        )
    for step, total in totals.items():
        beside_mark(figure, total, step, f"<b>{_money(total, currency)}</b>", palette.ink)
    legend(figure, {str(age): colour for age, colour in colours.items()}, palette)
    figure.update_layout(barmode="stack", bargap=0.4, barcornerradius=3)
    figure.update_xaxes(visible=False, range=[0, float(totals.max()) or 1.0])
    name_rows(figure, palette)
    return figure


def heatmap(table: pd.DataFrame, *, palette: Palette) -> go.Figure:
    """Counts by row and column label, each printed in its cell; zero is a dot so that work stands out.

    The cells are bars, for Plotly paints its own heatmaps as a picture, whose colours no stylesheet can follow. Columns
    stand at 0.5, 1.5 and so on.
    """
    peak, strongest = max(1, int(table.to_numpy().max(initial=0))), len(palette.heat) - 1
    cells = [
        (str(row), at, str(column), int(table.loc[row, column]))
        for row in table.index
        for at, column in enumerate(table.columns)
    ]
    steps = [round(strongest * cases / peak) for *_, cases in cells]
    figure = new_figure(palette, left=88, right=2, top=24, bottom=2)
    figure.add_bar(
        y=[row for row, *_ in cells],
        base=[at for _, at, *_ in cells],
        x=[1] * len(cells),
        width=1,
        orientation="h",
        marker={
            "color": [palette.heat[step] for step in steps],
            "line": {"color": palette.card, "width": 3},
        },
        customdata=[[column, cases] for *_, column, cases in cells],
        hovertemplate="%{y}, %{customdata[0]}: <b>%{customdata[1]:,}</b><extra></extra>",
    )
    for (row, at, _, cases), step in zip(cells, steps, strict=True):
        figure.add_annotation(
            x=at + 0.5,
            y=row,
            text=f"{cases:,}" if cases else "·",
            showarrow=False,
            font={"color": palette.heat_ink[step >= _STRONG] if cases else palette.muted, "size": 12},
        )
    figure.update_layout(bargap=0, barmode="overlay")
    names = [str(column) for column in table.columns]
    figure.update_xaxes(
        side="top", tickangle=0, range=[0, len(names)], tickvals=[at + 0.5 for at in range(len(names))], ticktext=names
    )
    name_rows(figure, palette)
    return figure


def funnel_bars(frame: pd.DataFrame, *, palette: Palette) -> go.Figure:
    """How many cases reached each step, on one scale from zero, and how many fewer they are than at the one before.

    Columns: step, cases. A drawn funnel would hide losses of one per cent; the loss is printed instead.
    """
    cases = [int(number) for number in frame["cases"]]
    lost = [0, *(before - after for before, after in pairwise(cases))]
    figure = new_figure(palette, left=100, right=58, top=20)
    figure.add_bar(
        x=cases,
        y=frame["step"],
        orientation="h",
        marker_color=[palette.blue] * (len(cases) - 1) + [palette.teal],
        text=[f"<b>{number:,}</b>&#160;" for number in cases],
        textposition="inside",
        insidetextanchor="end",
        textangle=0,
        textfont={"color": palette.on_mark, "size": 12},
        hovertemplate="%{y}: <b>%{x:,}</b><extra></extra>",
    )
    for step, gone in zip(frame["step"], lost, strict=True):
        in_margin(figure, step, fmt.count_delta(-gone) if gone else "", palette.muted)
    figure.add_annotation(
        xref="paper",
        yref="paper",
        x=1,
        y=1,
        text="fewer",
        xanchor="left",
        yanchor="bottom",
        xshift=10,
        showarrow=False,
        font={"color": palette.muted, "size": 12},
    )
    figure.update_layout(bargap=0.32, barcornerradius=3)
    figure.update_xaxes(visible=False, range=[0, max(cases, default=1)])
    name_rows(figure, palette)
    return figure


def budget_left(frame: pd.DataFrame, *, start: datetime, end: datetime, palette: Palette) -> go.Figure:
    """Error budget left against the line of an even burn over the window, the present value at its end.

    Columns: at (UTC), left (share of one; below zero once the budget is spent).
    """
    left = frame["left"].astype(float)
    is_spent = bool(len(left)) and float(left.iloc[-1]) < 0
    colour = palette.red if is_spent else palette.teal
    figure = new_figure(palette, left=46, right=24, top=12, bottom=24)
    even = {"color": palette.muted, "width": 1.3, "dash": "2px,4px"}
    figure.add_scatter(x=[start, end], y=[1, 0], mode="lines", line=even, hoverinfo="skip")
    figure.add_scatter(
        x=frame["at"],
        y=left,
        mode="lines",
        line={"color": colour, "width": 2.6},
        fill="tozeroy",
        fillcolor=palette.area,
        hovertemplate="%{x|%-d %b}: <b>%{y:.1%}</b> left<extra></extra>",
    )
    if len(left):
        label = f"<b>{fmt.percent(float(left.iloc[-1]))}</b> {'overspent' if is_spent else 'left'}"
        beside_mark(figure, frame["at"].iloc[-1], float(left.iloc[-1]), label, colour, push=8)
    figure.update_xaxes(range=[start, end], tickformat="%-d %b", nticks=7)
    figure.update_yaxes(range=[min([0.0, *left]), 1.04], tickformat=".0%", nticks=6)
    return figure


def _money(amount: float, currency: str) -> str:
    return fmt.money(Money(Decimal(str(amount)), currency))
