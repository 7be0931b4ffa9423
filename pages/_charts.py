"""The figures of the dashboard: plain values or a DataFrame in, a Plotly figure out. No Streamlit, no SQL.

All share one height, so that cards in a row end together. Each has few traces (a cold tab pays for every one) and names
its series at the mark, so no legend is needed to read it. Rows are drawn in the order of the frame, top first.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pandas as pd
import plotly.graph_objects as go

from pages import _format as fmt
from pages._figure import above_plot, beside_mark, in_margin, legend, name_rows, new_figure, rule_across, rule_down
from pages._palette import Palette
from sync_core.money import Money

_DAYS_FROM_H = 96.0  # a scale that reaches four days is read in days
_MINUTES_TO_H = 2.0  # one that does not reach two hours is read in minutes
_FAR = 2.5  # a target so many times above all values would flatten them: it is named, not drawn
_DARK_CELL = 0.65  # share of the peak from which a heatmap cell needs the other ink


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


def weekly_lines(frame: pd.DataFrame, *, target: timedelta, target_label: str, palette: Palette) -> go.Figure:
    """Median and slow tenth by week against a dashed target, in minutes, hours or days as the scale asks.

    Columns: week (UTC, its first day), p50 and p90 (hours; missing where there are too few cases: a gap), pooled (how
    many cases each point is of).
    """
    target_h = target.total_seconds() / 3600
    known_h = float(frame[["p50", "p90"]].astype(float).max().max())  # NaN if nothing is known
    is_far = target_h > known_h * _FAR
    top_h = known_h if is_far else max(target_h, known_h) if known_h > 0 else target_h
    unit_h, unit = _unit(top_h)
    top = top_h / unit_h * 1.16
    colours = {"p90": palette.amber, "p50": palette.blue}
    figure = new_figure(palette, left=50, right=104, top=24 if is_far else 8, bottom=24)
    shown = f"%{{y:.{0 if unit == 'min' else 1}f}} {unit}"
    for name, colour in colours.items():
        figure.add_scatter(
            x=frame["week"],
            y=frame[name].astype(float) / unit_h,
            name=name,
            mode="lines+markers",
            connectgaps=False,
            line={"color": colour, "width": 2.4},
            marker={"size": 5.5},
            customdata=frame["pooled"],
            hovertemplate=f"week of %{{x|%-d %b}}: {name} <b>{shown}</b>, n = %{{customdata:,}}<extra></extra>",
        )
    if is_far:
        above_plot(figure, f"{target_label}, above the scale", palette)
    else:
        rule_across(figure, target_h / unit_h, target_label, palette)
    newest_h = {name: float(frame[name].dropna().iloc[-1]) for name in colours if frame[name].notna().any()}
    for name, value_h in newest_h.items():
        push = _apart(name, newest_h, within=top * unit_h * 0.09)
        label = f"<b>{name}</b> {fmt.duration(timedelta(hours=value_h))}"
        in_margin(figure, value_h / unit_h, label, colours[name], push=push)
    figure.update_xaxes(tickformat="%-d %b", nticks=5)
    figure.update_yaxes(range=[-top / 50, top], nticks=5, ticksuffix=f" {unit}")  # a line at nil is not cut in half
    return figure


def weekly_counts(frame: pd.DataFrame, *, palette: Palette) -> go.Figure:
    """How many cases began each week and how many of them are still open, where a percentile would be noise.

    Columns: week (UTC, its first day), n, n_open.
    """
    figure = new_figure(palette, left=44, right=8, top=28, bottom=24)
    parts = (("done", frame["n"] - frame["n_open"], palette.blue), ("still open", frame["n_open"], palette.amber))
    for name, cases, colour in parts:
        figure.add_bar(x=frame["week"], y=cases, name=name, marker_color=colour,
                       hovertemplate=f"week of %{{x|%-d %b}}: <b>%{{y:,}}</b> {name}<extra></extra>")  # fmt: skip
    legend(figure, {name: colour for name, _, colour in parts}, palette)
    figure.update_layout(barmode="stack", bargap=0.35, barcornerradius=2)
    figure.update_xaxes(tickformat="%-d %b", nticks=5)
    figure.update_yaxes(nticks=5, tickformat=",d", rangemode="tozero")
    return figure


def histogram(
    frame: pd.DataFrame, *, rules: Mapping[str, timedelta], promise: timedelta, breach_label: str, palette: Palette
) -> go.Figure:
    """How long cases took, by bin; bins past the promise are red and named, rules mark percentiles.

    Columns: start (hours), cases. Bins are equally wide; the last one is open and holds everything longer.
    """
    starts = frame["start"].astype(float)
    width = float(starts.iloc[1] - starts.iloc[0]) if len(frame) > 1 else 1.0
    last, late = float(starts.iloc[-1]), starts >= promise.total_seconds() / 3600
    figure = new_figure(palette, left=44, right=8, top=22, bottom=24)
    figure.add_bar(
        x=starts + width / 2,
        y=frame["cases"],
        width=width * 0.86,
        marker_color=[palette.red if is_late else palette.blue for is_late in late],
        customdata=[f"{start:g}+ h" if start == last else f"{start:g}-{start + width:g} h" for start in starts],
        hovertemplate="%{customdata}: <b>%{y:,}</b><extra></extra>",
    )
    for name, value in rules.items():
        rule_down(figure, value.total_seconds() / 3600, f"<b>{name}</b> {fmt.duration(value)}", palette)
    if late.any():
        figure.add_annotation(
            x=last + width,
            y=float(frame.loc[late, "cases"].max()),
            text=breach_label,
            xanchor="right",
            yanchor="bottom",
            yshift=4,
            showarrow=False,
            font={"color": palette.red, "size": 12},
        )
    ticks = [float(start) for index, start in enumerate(starts) if index % max(1, round(len(starts) / 6)) == 0]
    words = [f"{tick:g}+ h" if tick == last else f"{tick:g} h" for tick in ticks]
    figure.update_xaxes(range=[0, last + width], tickvals=ticks, ticktext=words)
    figure.update_yaxes(range=[0, float(frame["cases"].max()) * 1.08 or 1.0], nticks=5, tickformat=",d")
    return figure


def heatmap(table: pd.DataFrame, *, palette: Palette) -> go.Figure:
    """Counts by row and column label, each printed in its cell; zero is a dot so that work stands out."""
    peak = max(1, int(table.to_numpy().max(initial=0)))
    scale = [[step / (len(palette.heat) - 1), colour] for step, colour in enumerate(palette.heat)]
    figure = new_figure(palette, left=88, right=2, top=24, bottom=2)
    figure.add_heatmap(
        z=table.to_numpy(),
        x=[str(name) for name in table.columns],
        y=[str(name) for name in table.index],
        colorscale=scale,
        zmin=0,
        zmax=peak,
        showscale=False,
        xgap=3,
        ygap=3,
        hovertemplate="%{y}, %{x}: <b>%{z:,}</b><extra></extra>",
    )
    for row in table.index:
        for column in table.columns:
            cases = int(table.loc[row, column])
            ink = palette.heat_ink[cases / peak >= _DARK_CELL] if cases else palette.muted
            figure.add_annotation(
                x=str(column),
                y=str(row),
                text=f"{cases:,}" if cases else "·",
                showarrow=False,
                font={"color": ink, "size": 12},
            )
    figure.update_xaxes(side="top", tickangle=0)
    name_rows(figure, palette)
    return figure


def funnel_bars(frame: pd.DataFrame, *, palette: Palette) -> go.Figure:
    """How many cases reached each step, on one scale from zero, and how many were lost on the way to it.

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
        text="lost",
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


def daily_bars(frame: pd.DataFrame, *, palette: Palette) -> go.Figure:
    """How many came each day, oldest first; the last bar is today's, not over yet, and paler.

    Columns: day (UTC), events.
    """
    figure = new_figure(palette, left=44, right=8, top=10, bottom=24)
    figure.add_bar(
        x=frame["day"],
        y=frame["events"],
        marker_color=[palette.blue] * (len(frame) - 1) + [palette.pale],
        hovertemplate="%{x|%-d %b}: <b>%{y:,}</b><extra></extra>",
    )
    figure.update_layout(bargap=0.3, barcornerradius=2)
    figure.update_xaxes(tickformat="%-d %b", nticks=5)
    figure.update_yaxes(nticks=5, tickformat=",d", rangemode="tozero")
    return figure


def sparkline(values: Sequence[float | Decimal | None], *, points: int = 26) -> list[float]:
    """The newest `points` known values, oldest first; fewer than two draw nothing."""
    known = [float(value) for value in values if value is not None]
    known = [value for value in known if value == value][-points:]
    return known if len(known) > 1 else []


def _unit(top_h: float) -> tuple[float, str]:
    """Hours in the unit of a scale that reaches `top_h`, and its sign."""
    if top_h > _DAYS_FROM_H:
        return 24.0, "d"
    return (1 / 60, "min") if top_h < _MINUTES_TO_H else (1.0, "h")


def _apart(name: str, newest_h: Mapping[str, float], *, within: float) -> int:
    """Pixels that keep the end labels of two nearly touching lines from covering each other."""
    if len(newest_h) < 2 or abs(newest_h["p90"] - newest_h["p50"]) >= within:
        return 0
    return 8 if name == "p90" else -8


def _money(amount: float, currency: str) -> str:
    return fmt.money(Money(Decimal(str(amount)), currency))
