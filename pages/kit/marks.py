"""What happened beside what a chart over time shows: outages as bands, releases as dotted lines. No Streamlit."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape
from typing import Final

import plotly.graph_objects as go

from pages.kit import format as fmt
from pages.kit.palette import Palette
from sync_core.reads.releases import Release

_CHARACTER: Final = 1 / 50  # of the plot's width, on a phone about
_TOLD: Final = 4
_SYSTEMS: Final = {"tieline": "Tieline", "postgresql": "PostgreSQL"}


@dataclass(frozen=True, slots=True)
class Mark:
    """A span of time behind a chart, such as an outage; one without an extent is a moment, such as a release."""

    start: datetime
    end: datetime
    words: str

    @property
    def is_moment(self) -> bool:
        return self.end <= self.start


def system(one: Release, *, kind: bool = False) -> str:
    """As people call it; where there is room, with what it is."""
    of, _, name = one.system.partition(":")
    return _SYSTEMS.get(one.system, f"{of.upper()} {name}" if kind and name else one.name)


def of_releases(found: Iterable[Release], *, since: datetime, until: datetime) -> list[Mark]:
    """Of the time, oldest first. The first release that was ever seen of a system replaced nothing and is left out."""
    shown = [one for one in found if one.replaced is not None and since <= one.first_seen_at <= until]
    return [
        Mark(one.first_seen_at, one.first_seen_at, fmt.shown(f"{system(one)} {one.version}"))
        for one in sorted(shown, key=lambda one: one.first_seen_at)
    ]


def told(marks: Sequence[Mark]) -> str:
    """The newest ones in words, newest first; "" without any."""
    newest = sorted(marks, key=lambda mark: mark.start, reverse=True)
    words = [f"{mark.words} {_when(mark)}" for mark in newest[:_TOLD]]
    more = f" and {fmt.plural(len(newest) - _TOLD, 'earlier one')}" if len(newest) > _TOLD else ""
    return f"Marked, UTC: {', '.join(words)}{more}." if words else ""


def draw(
    figure: go.Figure, marks: Sequence[Mark], palette: Palette, *, across: tuple[datetime, datetime] | None = None
) -> None:
    """Behind the lines. With `across`, what the axis spans, a label is written where it touches no other; else none."""
    written = -1.0
    for mark in sorted(marks, key=lambda one: one.start):
        ends = {"xref": "x", "yref": "paper", "x0": mark.start, "y0": 0, "y1": 1, "layer": "below"}
        if mark.is_moment:
            line = {"color": palette.muted, "width": 1.4, "dash": "dot"}
            figure.add_shape(type="line", x1=mark.start, line=line, **ends)
        else:
            figure.add_shape(type="rect", x1=mark.end, fillcolor=palette.muted, opacity=0.16, line_width=0, **ends)
        if across is None:
            continue
        at, width = _room(mark, across)
        if at >= written and at + width <= 1.05:
            _label(figure, mark, palette, anchor="left")
            written = at + width
        elif at - width >= written:  # near the right edge its words stand before it
            _label(figure, mark, palette, anchor="right")
            written = at


def _label(figure: go.Figure, mark: Mark, palette: Palette, *, anchor: str) -> None:
    figure.add_annotation(
        x=mark.start, yref="paper", y=1, text=escape(mark.words), xanchor=anchor, yanchor="bottom",
        xshift=-2 if anchor == "left" else 2, showarrow=False, font={"color": palette.muted, "size": 11},
    )  # fmt: skip


def _room(mark: Mark, across: tuple[datetime, datetime]) -> tuple[float, float]:
    """Where it is and how wide its label, as shares of the axis."""
    span = max(across[1] - across[0], timedelta(seconds=1))
    return (mark.start - across[0]) / span, (len(mark.words) + 1) * _CHARACTER


def _when(mark: Mark) -> str:
    begins = f"{mark.start:%-d %b %H:%M}"
    if mark.is_moment:
        return f"from {begins}"
    return f"{begins} to {mark.end:{'%H:%M' if mark.end.date() == mark.start.date() else '%-d %b %H:%M'}}"
