"""The figures of the pages of KPIs: a DataFrame and words in, a Plotly figure out. No Streamlit, no SQL.

As pages/kit/charts.py draws them: one height, few traces, each series named at its mark. Numbers are written by whoever
asks for the figure, since a working day is no day of 24 hours.
"""

from collections.abc import Callable, Sequence
from html import escape
from math import isfinite, log10

import pandas as pd
import plotly.graph_objects as go

from pages.kit import format as fmt
from pages.kit.apart import apart_of, draw_apart, flags, newest_of
from pages.kit.figure import above_plot, beside_mark, count_rows, in_margin, legend, name_rows, new_figure, rule_across
from pages.kit.marks import Mark
from pages.kit.marks import draw as draw_marks
from pages.kit.palette import Palette

_FAR = 2.5  # a target so many times above all values would flatten them: it is named, not drawn
_WIDE = 40  # the largest value so many times the smallest: the scale is one of doublings
_LEAST = 1 / 60  # hours, below which a logarithmic scale shows nothing smaller
HOURS = (1 / 60, 0.25, 1.0, 4.0, 16.0, 64.0, 256.0)  # ticks of a scale of doublings
Write = Callable[[float], str]


def percentiles(
    frame: pd.DataFrame, *, write: Write, target: float, target_label: str, marks: Sequence[Mark] = (), palette: Palette
) -> go.Figure:
    """Median and slow tenth by week against a dashed target, in the unit that `write` takes.

    Columns: week (UTC, its first day), p50 and p90 (missing where there are too few cases: a gap), n (of each point);
    and, if there are any, p50_at_least and p90_at_least (the longest seen in a week that has not reached it) and
    running (the week is not over). Both are open marks beside the lines, which are of whole weeks alone.
    """
    apart = apart_of(frame)
    known = [float(value) for name in ("p50", "p90") for value in frame[name].dropna()]
    known += [one.value for one in apart]
    lowest = max(min(known, default=target), _LEAST)
    is_far = target > max(known, default=target) * _FAR
    top = max([*known, *([] if is_far else [target])])
    is_log = top > _WIDE * lowest  # a median of minutes beside a slow tenth of days would lie on the axis
    floor = _LEAST if is_log else None  # nil has no logarithm: the line would fall out of the plot
    colours = {"p90": palette.amber, "p50": palette.blue}
    figure = new_figure(palette, left=56, right=112, top=42, bottom=24)
    at = (lambda value: log10(max(value, _LEAST))) if is_log else float  # where shapes and labels lie on the axis
    _marks(figure, marks, frame["week"], palette)
    over = ~flags(frame, "running")
    for name, colour in colours.items():
        figure.add_scatter(
            x=frame["week"], y=frame[name].astype(float).where(over).clip(lower=floor), name=name, mode="lines+markers",
            connectgaps=False, line={"color": colour, "width": 2.4}, marker={"size": 5.5},
            customdata=[[or_dash(value, write), f"{n:,}"] for value, n in zip(frame[name], frame["n"], strict=True)],
            hovertemplate=f"week of %{{x|%-d %b}}: {name} <b>%{{customdata[0]}}</b>, n = %{{customdata[1]}}"
            "<extra></extra>",
        )  # fmt: skip
    draw_apart(figure, apart, write, colours)
    # Over the names of outages, and away from the lines, which it would cross where the plot is narrow.
    above_plot(figure, f"{target_label}, above the scale" if is_far else f"┄ {target_label}", palette, push=20)
    if not is_far:
        rule_across(figure, target, "", palette)  # shapes lie on a logarithmic axis by value, labels by its logarithm
    newest = {name: found for name in colours if (found := newest_of(frame, name, write)) is not None}
    for name, (value, told) in newest.items():
        near = len(newest) > 1 and abs(at(newest["p90"][0]) - at(newest["p50"][0])) < (0.4 if is_log else top * 0.16)
        push = (10 if name == "p90" else -10) if near else 0
        in_margin(figure, at(value), f"<b>{name}</b> {told}", colours[name], push=push)
    figure.update_xaxes(tickformat="%-d %b", nticks=5)
    if is_log:
        ticks = [tick for tick in HOURS if lowest / 2 <= tick <= top * 2]
        figure.update_yaxes(type="log", range=[log10(lowest / 1.6), log10(top * 1.6)], tickvals=ticks,
                            ticktext=[short(write(tick)) for tick in ticks])  # fmt: skip
    else:
        ticks = _ticks(top * 1.16)
        # A line at nil is not cut in half.
        figure.update_yaxes(range=[-top / 50, top * 1.16], tickvals=ticks,
                            ticktext=[short(write(tick)) if tick else "0" for tick in ticks])  # fmt: skip
    return figure


def cohorts(frame: pd.DataFrame, *, palette: Palette) -> go.Figure:
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
    count_rows(figure, float(frame["n"].max()))
    figure.update_yaxes(rangemode="tozero")
    return figure


def share_with_bounds(
    frame: pd.DataFrame, *, target: float, target_label: str, marks: Sequence[Mark] = (), palette: Palette
) -> go.Figure:
    """A share by week, and how far what is still open could move it.

    Columns: week (UTC, its first day), value, low, high (shares of one; missing in a week without cases), n; and, if
    there is one, running: the week that is not over, an open mark beside the line.
    """
    told = frame.dropna(subset=["low", "high"])
    known, begun = told[~flags(told, "running")], told[flags(told, "running")]
    figure = new_figure(palette, left=46, right=84, top=26, bottom=24)
    _marks(figure, marks, frame["week"], palette)
    figure.add_scatter(x=known["week"], y=known["high"], mode="lines", line={"width": 0}, hoverinfo="skip")
    figure.add_scatter(x=known["week"], y=known["low"], mode="lines", line={"width": 0}, fill="tonexty",
                       fillcolor=palette.area, hoverinfo="skip")  # fmt: skip
    figure.add_scatter(
        x=known["week"], y=known["value"], mode="lines+markers", line={"color": palette.teal, "width": 2.4},
        marker={"size": 5.5}, customdata=_bounds(known),
        hovertemplate="week of %{x|%-d %b}: <b>%{y:.1%}</b>, in the end %{customdata[0]}, n = %{customdata[1]}"
        "<extra></extra>",
    )  # fmt: skip
    if len(begun):
        figure.add_scatter(
            x=begun["week"], y=begun["value"], mode="markers", customdata=_bounds(begun),
            marker={"size": 8, "symbol": "circle-open", "color": palette.teal, "line": {"width": 2}},
            hovertemplate="week of %{x|%-d %b} so far: <b>%{y:.1%}</b>, in the end %{customdata[0]}, "
            "n = %{customdata[1]}<extra></extra>",
        )  # fmt: skip
    rule_across(figure, target, "", palette)
    newest = float(known["value"].iloc[-1]) if len(known) else None
    near = newest is not None and abs(newest - target) < 0.09
    push = 0 if newest is None or not near else 8 if newest >= target else -8
    if newest is not None:
        in_margin(figure, newest, f"<b>{fmt.percent(newest)}</b>", palette.teal, push=push)
    in_margin(figure, target, target_label, palette.muted, push=-push)
    figure.update_xaxes(tickformat="%-d %b", nticks=5)
    figure.update_yaxes(range=[-0.02, 1.06], tickvals=[0, 0.25, 0.5, 0.75, 1], tickformat=".0%")
    return figure


def amounts(frame: pd.DataFrame, *, write: Write, palette: Palette) -> go.Figure:
    """Sums on one scale from zero, each with its amount at the end.

    Columns: name, amount (missing: not known), kind ("main", "good", "open", or "breach", which is red unless it is 0).
    """
    colours = {"main": palette.blue, "good": palette.teal, "open": palette.pale, "breach": palette.red}
    shown = frame["amount"].astype(float)
    figure = new_figure(palette, left=112, right=66, top=2)
    figure.add_bar(
        x=shown.abs(), y=frame["name"], orientation="h", marker_color=[colours[kind] for kind in frame["kind"]],
        customdata=[or_dash(amount, write) for amount in shown], cliponaxis=False,
        hovertemplate="%{y}: <b>%{customdata}</b><extra></extra>",
    )  # fmt: skip
    for name, amount, kind in zip(frame["name"], shown, frame["kind"], strict=True):
        ink = palette.red if kind == "breach" and amount else palette.ink
        beside_mark(figure, 0 if pd.isna(amount) else abs(amount), name, f"<b>{or_dash(amount, write)}</b>", ink)
    figure.update_layout(bargap=0.38, barcornerradius=3)
    figure.update_xaxes(visible=False, range=[0, float(shown.abs().max()) or 1.0])
    name_rows(figure, palette)
    return figure


def foreseen(frame: pd.DataFrame, *, write: Write, palette: Palette) -> go.Figure:
    """What was signed in each month, what was forecast for it and what was billed in it.

    Columns: month (UTC, its first day), signed, forecast, billed (missing: nothing), error (words, of the forecast).
    """
    figure = new_figure(palette, left=58, right=8, top=28, bottom=24)
    series = {
        "Signed": ("signed", palette.blue), "Forecast": ("forecast", palette.pale), "Billed": ("billed", palette.teal),
    }  # fmt: skip
    months = [f"{month:%b}" for month in frame["month"]]
    for name, (column, colour) in series.items():
        figure.add_bar(
            x=months, y=frame[column].astype(float), name=name, marker_color=colour,
            customdata=[or_dash(value, write) for value in frame[column]],
            hovertemplate=f"%{{x}}, {name.lower()}: <b>%{{customdata}}</b><extra></extra>",
        )  # fmt: skip
    tops = frame[["signed", "forecast", "billed"]].astype(float).max(axis=1).fillna(0.0)
    # Amendments may take more away than was signed.
    lowest = min(0.0, float(frame["signed"].astype(float).fillna(0.0).min()))
    for month, top, error in zip(months, tops, frame["error"], strict=True):
        figure.add_annotation(x=month, y=top, text=escape(error), yanchor="bottom", yshift=2, showarrow=False,
                              font={"color": palette.muted, "size": 12})  # fmt: skip
    legend(figure, {name: colour for name, (_, colour) in series.items()}, palette)
    top = max(float(tops.max()), 0.0) * 1.2 or 1.0
    ticks = _ticks(top)
    figure.update_layout(barmode="group", bargap=0.35, bargroupgap=0.08, barcornerradius=2)
    figure.update_xaxes(type="category", tickangle=0)
    figure.update_yaxes(range=[lowest * 1.1, top], tickvals=ticks,
                        ticktext=[write(tick) if tick else "0" for tick in ticks])  # fmt: skip
    return figure


def monthly(frame: pd.DataFrame, *, target: float, target_label: str, palette: Palette) -> go.Figure:
    """A share by month against a target; pale months are not decided yet.

    Columns: month (its name), share (of one; missing without cases), n, provisional.
    """
    share = frame["share"].astype(float)
    top = max(float(share.max()) if share.notna().any() else 0.0, target) * 1.18
    figure = new_figure(palette, left=46, right=78, top=24, bottom=24)
    figure.add_bar(
        x=frame["month"], y=share, customdata=frame["n"],
        marker_color=[palette.pale if is_open else palette.blue for is_open in frame["provisional"]],
        text=["" if pd.isna(one) else fmt.percent(one) for one in share], textposition="outside", cliponaxis=False,
        textfont={"color": palette.ink, "size": 12},
        hovertemplate="%{x}: <b>%{y:.1%}</b> of %{customdata:,} invoices<extra></extra>",
    )  # fmt: skip
    rule_across(figure, target, "", palette)
    in_margin(figure, target, target_label, palette.muted)
    figure.update_layout(bargap=0.45, barcornerradius=2)
    figure.update_xaxes(type="category", tickangle=0)
    figure.update_yaxes(range=[0, top], nticks=5, tickformat=".0%" if top > 0.05 else ".1%")
    return figure


def _bounds(frame: pd.DataFrame) -> list[list[str]]:
    return [
        [f"{fmt.percent(low)} to {fmt.percent(high)}", f"{n:,}"]
        for low, high, n in zip(frame["low"], frame["high"], frame["n"], strict=True)
    ]


def _marks(figure: go.Figure, marks: Sequence[Mark], weeks: pd.Series, palette: Palette) -> None:
    if len(weeks):
        draw_marks(figure, marks, palette, across=(weeks.iloc[0], weeks.iloc[-1]))


def short(text: str) -> str:
    return text.replace(".0 ", " ")


def _ticks(top: float) -> list[float]:
    """Nil and three or four round numbers up to `top`; nil alone where there is no top."""
    if not isfinite(top) or top <= 0:
        return [0.0]
    raw = top / 4
    size = 10.0 ** int(f"{raw:e}".partition("e")[2])
    step = next(size * nice for nice in (1, 2, 2.5, 5, 10) if size * nice >= raw)
    return [step * place for place in range(int(top / step) + 1)]


def or_dash(value: float, write: Write) -> str:
    return fmt.DASH if pd.isna(value) else write(value)
