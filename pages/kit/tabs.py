"""A row of views above a list, each with its count and its money; which one is open stands in the URL."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import streamlit as st

from pages.kit import filters, frame, sentences
from pages.kit import format as fmt
from sync_core.reads import MoneyTotal

_KEY: Final = "filter_tabs"


@dataclass(frozen=True, slots=True)
class Tab:
    """One view: its words, how many are in it, and the URL's parameters that open it (empty ones are removed)."""

    words: str
    total: MoneyTotal | int | None
    query: Mapping[str, str]

    @property
    def label(self) -> str:
        if self.total is None:
            return self.words
        if isinstance(self.total, int):
            return f"{self.words} **{fmt.count(self.total)}**"
        money = f" {sentences.amount(self.total)}" if sentences.has_money(self.total) else ""
        return frame.plain_dollars(f"{self.words} **{fmt.count(self.total.count)}**{money}")


def draw(label: str, tabs: Mapping[str, Tab], *, current: str) -> None:
    """`label` is for screen readers; `current` is a key of `tabs`."""
    st.session_state[_KEY] = current
    st.segmented_control(
        label, list(tabs), format_func=lambda code: tabs[code].label, key=_KEY, required=True,
        label_visibility="collapsed", on_change=_open, args=(dict(tabs),),
    )  # fmt: skip


def _open(tabs: Mapping[str, Tab]) -> None:
    filters.put(tabs[st.session_state[_KEY]].query)
