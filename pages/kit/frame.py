"""The parts every page is made of: header, headline, KPI row, cards with their states, links, live rows.

A page computes nothing and draws only with these and `st.*`. A failure inside a card or a KPI row stays there: it is
logged under an incident id, which is all the viewer is shown, and the rest of the page is drawn.
"""

import logging
import re
import secrets
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from html import escape
from typing import Literal

import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.elements.lib.grid_container import GridContainer

from metrics.freshness import is_stale
from pages.kit import format as fmt
from pages.kit import later
from pages.kit.figure import HEIGHT
from pages.kit.palette import Palette, palette_for
from pages.kit.shell import Page, Shell, Viewer, actor, enter, may, measures, notice, shell, viewer
from sync_core.authority import PERMISSIONS, Forbidden, Role

__all__ = [
    "Card",
    "Freshness",
    "Kpi",
    "Page",
    "Shell",
    "Trend",
    "Viewer",
    "actor",
    "card",
    "card_grid",
    "contained",
    "empty",
    "enter",
    "forbidden",
    "header",
    "headline",
    "kpi_row",
    "link",
    "may",
    "measures",
    "notice",
    "open_page",
    "page_end",
    "palette",
    "plain_dollars",
    "report",
    "shell",
    "stale_badge",
    "viewer",
]

_LOG = logging.getLogger("tieline.pages")
_BARE_DOLLAR = re.compile(r"(?<!\\)\$")
_CHART_CONFIG = {"displayModeBar": False, "responsive": True, "doubleClick": False, "showTips": False}


@dataclass(frozen=True, slots=True)
class Freshness:
    """How old the numbers are. Stale is older than two refresh periods."""

    as_of: datetime
    now: datetime
    refresh: timedelta

    @property
    def age(self) -> timedelta:
        return max(self.now - self.as_of, timedelta(0))

    @property
    def is_stale(self) -> bool:
        return is_stale(self.age, self.refresh)


class Trend(StrEnum):
    """Which way a KPI moved: the arrow."""

    UP = "up"
    DOWN = "down"
    LEVEL = "off"


@dataclass(frozen=True, slots=True)
class Kpi:
    """One number of a KPI row, already written out by `_format`."""

    label: str
    value: str
    definition: str  # formula, unit and source, opened at the number
    delta: str | None = None
    trend: Trend = Trend.LEVEL
    is_good: bool | None = None  # of the change: True green, False red, None grey
    comparison: str | None = None  # "vs prior 13 weeks"
    spark: Sequence[float] = ()


def palette() -> Palette:
    """Chart colours of the theme in use. Ask once per page."""
    return palette_for(st.context.theme.type)


def header(title: str, scope: str, freshness: Freshness) -> DeltaGenerator:
    """Title, scope and age of the data; returns the place at the right for the page's filters."""
    said = notice()  # beside it no age is judged: time may move in leaps
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key="header"):
        with st.container(gap=None, key="header_title"):
            st.markdown(f"# {title}", anchors=False)
            with st.container(horizontal=True, gap="small", vertical_alignment="center"):
                st.caption(f"{scope} Data as of {fmt.moment(freshness.as_of)}.", width="content")
                if said:
                    st.badge(fmt.plain(said), icon=":material/history:", color="blue")
                elif freshness.is_stale:
                    stale_badge(freshness)
        return st.container(
            horizontal=True, horizontal_alignment="right", vertical_alignment="center", width="content", gap="small"
        )


def headline(sentence: str) -> None:
    """The one sentence a reader takes away. Markdown; dollar signs are safe."""
    with st.container(key="headline"):
        st.markdown(plain_dollars(sentence))


def stale_badge(freshness: Freshness) -> None:
    """Says that the numbers are late; they stay visible."""
    st.badge(f"{fmt.age(freshness.age)} old", icon=":material/schedule:", color="orange", help=(
        f"Expected at least every {fmt.duration(freshness.refresh)}. The last complete refresh ended "
        f"{fmt.moment(freshness.as_of)}; the numbers below are from then."
    ))  # fmt: skip


def kpi_row(kpis: Sequence[Kpi]) -> None:
    """Up to six numbers in one row; they wrap on narrow screens."""
    # The tint below the line is Streamlit's own and too heavy on a dark card.
    ground: Literal["line", "area"] = "line" if st.context.theme.type == "dark" else "area"
    with st.grid(min(6, len(kpis)), min_column_width=165, gap="small", key="kpis"):
        for kpi in kpis:
            st.metric(
                kpi.label, kpi.value, kpi.delta, _delta_color(kpi.is_good), help=plain_dollars(kpi.definition),
                delta_arrow=kpi.trend.value, delta_description=kpi.comparison, border=True, height="stretch",
                chart_data=list(kpi.spark) or None, chart_type=ground,
            )  # fmt: skip


def card_grid() -> GridContainer:
    """Three columns of cards, one on a phone. Use with `with`; `cell(column_span=2)` makes a wide place."""
    return st.grid(3, min_column_width=330, gap="small")


class Card:
    """An open card: where its chart and its other elements go."""

    def __init__(self, key: str, corner: DeltaGenerator) -> None:
        self._key = key
        self._corner = corner

    def chart(self, figure: go.Figure, *, alt: str, data: pd.DataFrame | None = None) -> None:
        """Draw a figure; `data` is offered as a table behind a button, for keyboards and screen readers."""
        if later.waits():
            st.skeleton(height=HEIGHT)
        else:
            st.plotly_chart(figure, key=f"chart_{self._key}", alt=alt, theme=None, config=_CHART_CONFIG)
        if data is not None:
            with self._corner.popover("Data", icon=":material/table_rows:", type="tertiary", key=f"data_{self._key}"):
                st.table(_as_text(data), border="horizontal")


@contextmanager
def card(
    key: str, title: str, sub: str, *, definition: str | None = None, stale: Freshness | None = None
) -> Generator[Card]:
    """A block with a title (a noun of the business) and a sub (unit and how to read it)."""
    with st.container(key=f"card_{key}", border=True, height="stretch", gap=None):
        with st.container(
            horizontal=True,
            horizontal_alignment="distribute",
            vertical_alignment="center",
            gap="small",
            key=f"top_{key}",
        ):
            st.markdown(f"### {title}", help=plain_dollars(definition or "") or None, anchors=False, width="content")
            corner = st.container(width="content", gap=None)
        st.caption(plain_dollars(sub))
        if stale is not None and stale.is_stale:
            with corner:
                stale_badge(stale)
        with contained(title), st.skeleton(height=HEIGHT):
            yield Card(key, corner)


@contextmanager
def contained(what: str) -> Generator[None]:
    """Keep a failure inside one block of the page, and say what the viewer lacks. Every other block is drawn."""
    try:
        yield
    except Forbidden as refused:
        forbidden(refused.permission)
    except Exception as error:
        incident = report(error, what)
        st.error(f"{what} could not be drawn. Incident {incident}.", icon=":material/error:")


def report(error: Exception, where: str) -> str:
    """Log a failure with its traceback; the incident id that joins the log line to what the viewer saw."""
    incident = secrets.token_hex(4)
    _LOG.error("incident %s: %s could not be drawn", incident, where, exc_info=error)
    return incident


def empty(reason: str, next_step: str, *, icon: str = ":material/check_circle:") -> None:
    """Nothing to show: why, and what to do."""
    with st.container(
        height=HEIGHT, border=False, horizontal_alignment="center", vertical_alignment="center", gap=None
    ):
        st.markdown(f"{icon} **{plain_dollars(reason)}**", text_alignment="center")
        st.caption(plain_dollars(next_step), text_alignment="center")


def forbidden(permission: str) -> None:
    """The viewer lacks a permission: which roles have it, and whom to ask."""
    having = " or ".join(f"**{role}**" for role in Role if permission in PERMISSIONS[role])
    who = f"the role {having} has it" if having else "no role has it"
    st.info(
        f"This needs the permission **{fmt.plain(permission)}**; {who}. Ask whoever runs Tieline to give it to you.",
        icon=":material/lock:",
    )


def link(path: str, label: str, *, icon: str = ":material/arrow_forward:", **query: str) -> None:
    """A link to another page that keeps the session. Unknown here (role, single-page test): the label as text."""
    target = shell().links.get(path)
    if target is None:
        st.markdown(f"{icon} {plain_dollars(label)}")
    else:
        st.page_link(target, label=plain_dollars(label), icon=icon, query_params=query or None)


def open_page(path: str, query: Mapping[str, str | list[str]]) -> None:
    """Leave for another page now. Unknown here: stay."""
    target = shell().links.get(path)
    if target is not None:
        st.switch_page(target, query_params=query or None)


def page_end() -> None:
    """Who is signed in, and the mark that browser tests wait for: everything above has been drawn."""
    who = shell().viewer.email
    mark = "" if later.release() else "<span id='page-done'></span>"
    st.html(
        f"<footer class='tl-footer'><span>Tieline</span><span>{escape(who)}</span>"
        f"<a href='/logout' target='_self'>Sign out</a></footer>{mark}"
    )


def _as_text(data: pd.DataFrame) -> pd.DataFrame:
    # st.table reads Markdown in every cell and label: "> 7 d" would be a quotation.
    shown = data.rename(index=_plain_label, columns=_plain_label)
    return shown.map(_plain_label)


def _plain_label(value: object) -> object:
    return fmt.plain(value) if isinstance(value, str) else value


def _delta_color(is_good: bool | None) -> Literal["normal", "inverse", "off"]:
    # Streamlit takes the sign from a leading "-", never from U+2212: here every text counts as a rise.
    if is_good is None:
        return "off"
    return "normal" if is_good else "inverse"


def plain_dollars(text: str) -> str:
    """Text for a place that reads Markdown, with its dollar signs as signs."""
    # Markdown would read "$3.2M and $1M" as a formula. `fmt.plain` has escaped its own.
    return _BARE_DOLLAR.sub(r"\$", text)
