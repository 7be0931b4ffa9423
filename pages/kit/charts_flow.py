"""The figures of where the time goes: shares of steps, medians of functions, the spread of times, what is how old.

As those of pages/kit/charts_kpi.py: plain values or a DataFrame in, a Plotly figure out. No Streamlit, no SQL.
"""

from collections.abc import Mapping
from html import escape
from math import log2

import pandas as pd
import plotly.graph_objects as go

from pages.kit import charts
from pages.kit import format as fmt
from pages.kit.charts_kpi import HOURS, Write, or_dash, short
from pages.kit.figure import count_rows, in_margin, legend, name_rows, new_figure, rule_down
from pages.kit.palette import Palette


def heatmap_with_sums(table: pd.DataFrame, *, palette: Palette) -> go.Figure:
    """As charts.heatmap, with the sum of each row at its right and of each column below it."""
    figure = charts.heatmap(table, palette=palette)
    figure.update_layout(margin={"r": 44, "b": 24})
    for name, cases in table.sum(axis=1).items():
        in_margin(figure, str(name), f"<b>{int(cases):,}</b>", palette.ink)
    for at, cases in enumerate(table.sum(axis=0)):
        figure.add_annotation(x=at + 0.5, yref="paper", y=0, yanchor="top", yshift=-4, showarrow=False,
                              text=f"<b>{int(cases):,}</b>", font={"color": palette.ink, "size": 12})  # fmt: skip
    return figure


def passed(table: pd.DataFrame, *, palette: Palette) -> go.Figure:
    """Who (row) handed over to whom (column), with the sums; slanted heads, so that a narrow card holds them."""
    figure = heatmap_with_sums(table, palette=palette)
    figure.update_layout(margin={"t": 58})
    figure.update_xaxes(tickangle=-35)
    return figure


def shares(frame: pd.DataFrame, *, palette: Palette) -> go.Figure:
    """Parts of a whole as bars on one scale, the largest in amber, each with what is said of it in the margin.

    Columns: name, share (of one), note.
    """
    share = frame["share"].astype(float).fillna(0.0)
    most = share.max()
    figure = new_figure(palette, left=150, right=118, top=2)
    figure.add_bar(
        x=share, y=frame["name"], orientation="h",
        marker_color=[palette.amber if one == most and most else palette.blue for one in share],
        customdata=frame["note"], hovertemplate="%{y}: <b>%{x:.1%}</b>, %{customdata}<extra></extra>",
    )  # fmt: skip
    for name, one, note in zip(frame["name"], share, frame["note"], strict=True):
        in_margin(figure, name, f"<b>{fmt.percent(one)}</b><br>{escape(note)}", palette.ink)
    figure.update_layout(bargap=0.42, barcornerradius=3)
    figure.update_xaxes(visible=False, range=[0, float(most) or 1.0])
    name_rows(figure, palette)
    return figure


def ranges(frame: pd.DataFrame, *, write: Write, palette: Palette) -> go.Figure:
    """Median (bar) and slow tenth (mark) of each name; where there are too few cases, their number.

    Columns: name, p50, p90 (missing where not known), n.
    """
    p50, p90 = frame["p50"].astype(float), frame["p90"].astype(float)
    figure = new_figure(palette, left=104, right=96, top=28)
    figure.add_bar(
        x=p50.fillna(0.0), y=frame["name"], orientation="h", marker_color=palette.blue,
        customdata=[or_dash(value, write) for value in p50],
        hovertemplate="%{y}: median <b>%{customdata}</b><extra></extra>",
    )  # fmt: skip
    figure.add_scatter(
        x=p90, y=frame["name"], mode="markers", customdata=[or_dash(value, write) for value in p90],
        marker={"symbol": "line-ns", "size": 15, "line": {"color": palette.amber, "width": 3.5}},
        hovertemplate="%{y}: slowest tenth from <b>%{customdata}</b><extra></extra>",
    )  # fmt: skip
    for name, median, slow, n in zip(frame["name"], p50, p90, frame["n"], strict=True):
        slowest = "" if pd.isna(slow) else f" {write(slow)}"
        told = f"{n:,}, too few" if pd.isna(median) else f"<b>{write(median)}</b>{slowest}"
        in_margin(figure, name, told, palette.muted if pd.isna(median) else palette.ink)
    legend(figure, {"median": palette.blue, "slowest tenth from": palette.amber}, palette)
    top = max([value for value in (p50.max(), p90.max()) if value == value], default=1.0)
    figure.update_layout(bargap=0.42, barcornerradius=3)
    figure.update_xaxes(visible=False, range=[0, float(top) * 1.02 or 1.0])
    name_rows(figure, palette)
    return figure


def spread(
    frame: pd.DataFrame, *, write: Write, rules: Mapping[str, float], promise: float, breach_label: str,
    palette: Palette,
) -> go.Figure:  # fmt: skip
    """How long cases took, on a scale of doublings; bins from the promise on are red and named, rules mark percentiles.

    Columns: start, end (hours; the first start may be 0, the last end infinite), cases.
    """
    lows = [max(float(low), float(high) / 2**0.5) if low == 0 else float(low)
            for low, high in zip(frame["start"], frame["end"], strict=True)]  # fmt: skip
    late = [float(high) > promise * 1.05 for high in frame["end"]]
    figure = new_figure(palette, left=44, right=10, top=26, bottom=24)
    figure.add_bar(
        x=[log2(low) + 0.25 for low in lows], y=frame["cases"], width=0.44,
        marker_color=[palette.red if is_late else palette.blue for is_late in late],
        customdata=[f"{write(low)} to {write(low * 2**0.5)}" for low in lows],
        hovertemplate="%{customdata}: <b>%{y:,}</b><extra></extra>",
    )  # fmt: skip
    for name, value in rules.items():
        at = log2(max(value, lows[0]))
        rule_down(figure, at, f"<b>{name}</b> {write(value)}", palette)
        if at > (log2(lows[0]) + 3 * log2(lows[-1])) / 4:  # near the right edge its words stand before it
            figure.layout.annotations[-1].update(xanchor="right", xshift=2)
    if any(late):
        highest = max(int(n) for n, is_late in zip(frame["cases"], late, strict=True) if is_late)
        figure.add_annotation(x=log2(lows[-1]) + 0.5, y=highest, text=breach_label, xanchor="right", yanchor="bottom",
                              yshift=4, showarrow=False, bgcolor=palette.card,
                              font={"color": palette.red, "size": 12})  # fmt: skip
    ends = (log2(lows[0]) - 0.1, log2(lows[-1]) + 0.6)
    ticks = [tick for tick in HOURS if ends[0] <= log2(tick) <= ends[1]]
    figure.update_xaxes(range=ends, tickangle=0, tickvals=[log2(tick) for tick in ticks],
                        ticktext=[short(write(tick)) for tick in ticks])  # fmt: skip
    count_rows(figure, float(frame["cases"].max()))
    figure.update_yaxes(range=[0, float(frame["cases"].max()) * 1.12 or 1.0])
    return figure
