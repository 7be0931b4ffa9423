"""The figures of the platform page: how Tieline itself runs. No Streamlit, no SQL; one form with `charts`."""

from collections.abc import Callable, Sequence
from datetime import datetime
from html import escape
from math import ceil, floor, log10
from typing import Final

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from pages.kit import format as fmt
from pages.kit.figure import HEIGHT, in_margin, legend, name_rows, new_figure
from pages.kit.marks import Mark
from pages.kit.marks import draw as draw_marks
from pages.kit.palette import Palette

Write = Callable[[float], str]
ROW: Final = 78  # pixels of one small line
_STRIPS, _STRIP = 80, 44
_FONT_S: Final = 11
_CALM_S: Final = 10.0  # a scale that is never finer: below it nothing waits
_FEW: Final = 3  # points that make no line
_SHORT_D: Final = 3  # below so many days an axis says the hour


def small_lines(
    frame: pd.DataFrame, *, write: Write, since: datetime, until: datetime, marks: Sequence[Mark] = (), palette: Palette
) -> go.Figure:
    """How long calls take, a small panel for each name on a scale of tenfolds; the band is the p95's bucket.

    Columns: name, at (UTC), p50, p95, p99 (seconds; missing: no calls), low, high (of the p95's error).
    """
    names = list(frame["name"].drop_duplicates())
    colours = {"p99": palette.muted, "p95": palette.amber, "p50": palette.blue}
    figure = make_subplots(
        rows=len(names), cols=1, shared_xaxes=True, vertical_spacing=0.34 / max(1, len(names)),
        figure=new_figure(palette, left=46, right=104, top=40, bottom=24),
    )  # fmt: skip
    axis = new_figure(palette, left=0, right=0).layout
    for row, name in enumerate(names, 1):
        shown = frame[frame["name"] == name]
        for edge, fill in (("high", None), ("low", "tonexty")):
            figure.add_scatter(x=shown["at"], y=shown[edge].astype(float), mode="lines", line={"width": 0}, fill=fill,
                               fillcolor=_faint(palette.amber), hoverinfo="skip", row=row, col=1)  # fmt: skip
        for label, colour in colours.items():
            figure.add_scatter(
                x=shown["at"], y=shown[label].astype(float), connectgaps=False, marker={"size": 4},
                mode="lines" if len(shown) > _FEW else "lines+markers",
                line={"color": colour, "width": 1.6 if label == "p95" else 1.2},
                customdata=[write(value) if value == value else "" for value in shown[label].astype(float)],
                hovertemplate=f"{escape(name)}, %{{x|%-d %b %H:%M}}: {label} <b>%{{customdata}}</b><extra></extra>",
                row=row, col=1,
            )  # fmt: skip
        figure.update_yaxes(axis.yaxis.to_plotly_json(), row=row, col=1)
        figure.update_yaxes(_tenfolds(shown, write), row=row, col=1)
        figure.update_xaxes(axis.xaxis.to_plotly_json(), row=row, col=1)
        _told(figure, row, name, shown, colours, write, palette)
    legend(figure, {"p50": palette.blue, "p95, band: its bucket": palette.amber, "p99": palette.muted}, palette)
    figure.layout.annotations[-1].yshift = 22
    draw_marks(figure, marks, palette)
    figure.update_xaxes(range=[since, until], nticks=6, tickformat=_when(since, until))
    figure.update_layout(height=max(HEIGHT, 64 + ROW * len(names)))
    return figure


def budget(
    frame: pd.DataFrame, *, label: str, start: datetime, end: datetime, marks: Sequence[Mark] = (), palette: Palette
) -> go.Figure:
    """Error budget left against the line of an even burn over the period that ends now, `label` at its end.

    Columns: at (UTC), left (share of one; below zero once the budget is spent).
    """
    left = frame["left"].astype(float)
    is_spent = float(left.iloc[-1]) <= 0
    colour = palette.red if is_spent else palette.teal
    figure = new_figure(palette, left=52, right=74, top=24 if marks else 12, bottom=24)
    draw_marks(figure, marks, palette, across=(start, end))
    figure.add_scatter(x=[start, end], y=[1, 0], mode="lines", hoverinfo="skip",
                       line={"color": palette.muted, "width": 1.3, "dash": "2px,4px"})  # fmt: skip
    figure.add_scatter(
        x=frame["at"], y=left, mode="lines", line={"color": colour, "width": 2.6}, fill="tozeroy",
        fillcolor=_faint(colour), customdata=[fmt.percent(one) for one in left],
        hovertemplate="%{x|%-d %b}: <b>%{customdata}</b> left<extra></extra>",
    )  # fmt: skip
    in_margin(figure, float(left.iloc[-1]), f"<b>{escape(label)}</b>", colour)
    lowest = min(0.0, float(left.min()))
    step = ceil(-lowest / 3)  # below nil in whole budgets
    ticks = [0.0, 0.25, 0.5, 0.75, 1.0]
    if step and lowest <= -step:
        ticks = [-float(step * times) for times in range(1, int(-lowest // step) + 1)] + [0.0, 1.0]
    figure.update_xaxes(range=[start, end], tickformat="%-d %b", nticks=5)
    figure.update_yaxes(range=[lowest - (1 - lowest) * 0.03, 1.04], tickvals=ticks,
                        ticktext=[_whole_percent(tick) for tick in ticks])  # fmt: skip
    return figure


def waiting(frame: pd.DataFrame, *, palette: Palette) -> go.Figure:
    """Contracts in the queue by state, each with the age of its oldest.

    Columns: state, contracts, note, kind ("main", "later", "good", "open", or "dead", which is red unless it is 0).
    """
    colours = {
        "main": palette.blue, "later": palette.pale, "good": palette.teal, "open": palette.amber, "dead": palette.red,
    }  # fmt: skip
    figure = new_figure(palette, left=82, right=128, top=2)
    figure.add_bar(
        x=frame["contracts"], y=frame["state"], orientation="h", marker_color=[colours[kind] for kind in frame["kind"]],
        customdata=frame["note"], hovertemplate="%{y}: <b>%{x:,}</b> %{customdata}<extra></extra>",
    )  # fmt: skip
    for state, contracts, note in zip(frame["state"], frame["contracts"], frame["note"], strict=True):
        in_margin(figure, state, f"<b>{contracts:,}</b> {escape(note)}", palette.ink if contracts else palette.muted)
    figure.update_layout(bargap=0.42, barcornerradius=3)
    figure.update_xaxes(visible=False, range=[0, float(frame["contracts"].max()) or 1.0])
    name_rows(figure, palette)
    return figure


def ages(
    frame: pd.DataFrame, *, write: Write, since: datetime, until: datetime, marks: Sequence[Mark] = (), palette: Palette
) -> go.Figure:
    """How long the oldest contract that is due has waited, over time, a line for each lane; its newest at the end.

    Columns: lane, at (UTC), seconds (0: none waited). Four lanes are told by colour; more would not be read.
    """
    lines = (palette.blue, palette.amber, palette.teal, palette.muted)
    figure = new_figure(palette, left=54, right=96, top=24 if marks else 10, bottom=24)
    draw_marks(figure, marks, palette, across=(since, until))
    peak = max(float(frame["seconds"].max()), _CALM_S)
    top = peak * 1.12
    for place, ((lane, shown), colour) in enumerate(zip(frame.groupby("lane", sort=True), lines, strict=False)):
        figure.add_scatter(
            x=shown["at"], y=shown["seconds"], name=str(lane), mode="lines", line={"color": colour, "width": 1.8},
            customdata=[write(seconds) for seconds in shown["seconds"]],
            hovertemplate=f"{escape(str(lane))}, %{{x|%-d %b %H:%M}}: <b>%{{customdata}}</b><extra></extra>",
        )  # fmt: skip
        newest = float(shown["seconds"].iloc[-1])
        in_margin(figure, newest, f"<b>{escape(str(lane)[:12])}</b> {write(newest)}", colour,
                  push=(7 if place % 2 else -7) if newest < top / 10 else 0)  # fmt: skip
    ticks = [peak * part for part in (0, 0.5, 1)]
    figure.update_xaxes(range=[since, until], nticks=4, tickformat=_when(since, until))
    words = [write(tick) if tick else "0" for tick in ticks]
    figure.update_yaxes(range=[-top / 50, top], tickvals=ticks, ticktext=words)
    return figure


def failures(frame: pd.DataFrame, *, palette: Palette) -> go.Figure:
    """Failed attempts by lane and by what a retry can do about them.

    Columns: lane, transient, ambiguous, permanent, note.
    """
    figure = new_figure(palette, left=82, right=138, top=28)
    colours = {"transient": palette.pale, "ambiguous": palette.amber, "permanent": palette.red}
    for kind, colour in colours.items():
        figure.add_bar(
            x=frame[kind], y=frame["lane"], name=kind, orientation="h",
            marker={"color": colour, "line": {"color": palette.card, "width": 1}},
            hovertemplate=f"%{{y}}, {kind}: <b>%{{x:,}}</b><extra></extra>",
        )  # fmt: skip
    for lane, note in zip(frame["lane"], frame["note"], strict=True):
        in_margin(figure, lane, escape(note), palette.ink)
    legend(figure, colours, palette)
    figure.update_layout(barmode="stack", bargap=0.45, barcornerradius=2)
    figure.update_xaxes(visible=False, range=[0, float(frame[list(colours)].sum(axis=1).max()) or 1.0])
    name_rows(figure, palette)
    return figure


def lane_strips(
    frame: pd.DataFrame, *, notes: Sequence[tuple[str, str]], since: datetime, until: datetime, palette: Palette
) -> go.Figure:
    """When each ERP took work, could not be reached, or was paused.

    Columns: lane, start, end (UTC), state ("closed", "open", "paused"), why. `notes`: lane and what stands behind it.
    """
    figure = new_figure(palette, left=82, right=66, top=28, bottom=24)
    states = {
        "closed": ("running", palette.teal), "open": ("unreachable", palette.amber), "paused": ("paused", palette.red),
    }  # fmt: skip
    for state, (words, colour) in states.items():
        shown = frame[frame["state"] == state]
        figure.add_bar(
            base=shown["start"], x=(shown["end"] - shown["start"]).dt.total_seconds() * 1000, y=shown["lane"],
            orientation="h", name=words, marker_color=colour, width=0.5,
            customdata=[[f"{start:%-d %b %H:%M}", f"{end:%-d %b %H:%M}", escape(why)] for start, end, why in
                        zip(shown["start"], shown["end"], shown["why"], strict=True)],
            hovertemplate=f"%{{y}} <b>{words}</b>, %{{customdata[0]}} to %{{customdata[1]}} %{{customdata[2]}}"
            "<extra></extra>",
        )  # fmt: skip
    for lane, note in notes:
        in_margin(figure, lane, f"<b>{escape(note)}</b>", palette.ink)
    legend(figure, dict(states.values()), palette)
    figure.update_layout(barmode="overlay", height=min(HEIGHT, _STRIPS + _STRIP * len(notes)))
    figure.update_xaxes(type="date", range=[since, until], nticks=6, tickformat=_when(since, until))
    name_rows(figure, palette)
    figure.update_yaxes(categoryorder="array", categoryarray=[lane for lane, _ in notes])
    return figure


def _told(
    figure: go.Figure, row: int, name: str, shown: pd.DataFrame, colours: dict[str, str], write: Write, palette: Palette
) -> None:
    """The name above its panel, the newest values behind it."""
    domain = figure.layout[f"yaxis{row if row > 1 else ''}"].domain
    figure.add_annotation(xref="paper", yref="paper", x=0, y=domain[1], text=f"<b>{escape(name)}</b>", xanchor="left",
                          yanchor="bottom", xshift=2, showarrow=False,
                          font={"color": palette.ink, "size": 12})  # fmt: skip
    for place, label in enumerate(("p99", "p95", "p50")):
        known = shown[label].astype(float).dropna()
        text = f"{label} <b>{write(known.iloc[-1])}</b>" if len(known) else f"{label} –"
        figure.add_annotation(
            xref="paper", yref="paper", x=1, y=(domain[0] + domain[1]) / 2, text=text, xanchor="left", xshift=10,
            yshift=14 * (1 - place), showarrow=False, font={"color": colours[label], "size": _FONT_S},
        )  # fmt: skip


def _tenfolds(shown: pd.DataFrame, write: Write) -> dict[str, object]:
    """An axis of tenfolds around what is shown; at least one whole one."""
    known = pd.concat([shown["p50"], shown["p99"], shown["high"], shown["low"]]).astype(float)
    known = known[known > 0]
    low, high = (floor(log10(known.min())), ceil(log10(known.max()))) if len(known) else (-2, 0)
    high = max(high, low + 1)
    ends = [10.0**low, 10.0**high]
    return {"type": "log", "range": [low, high], "tickvals": ends, "ticktext": [write(tick) for tick in ends]}


def _when(since: datetime, until: datetime) -> str:
    return "%H:%M" if (until - since).days < _SHORT_D else "%-d %b"


def _whole_percent(share: float) -> str:
    return f"{fmt.MINUS if share < -0.005 else ''}{abs(share):.0%}"


def _faint(colour: str) -> str:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.2)"
