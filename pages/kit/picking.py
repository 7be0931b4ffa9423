"""Rows of a long list that a viewer has chosen: kept by id over all pages of the list, and shown ticked again.

A list's picks belong to what it shows: another filter begins with none, so that nothing is acted on unseen. They keep
each row as it was last on the screen, so that a command gets the version that its viewer saw.
"""

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from pages.kit import format as fmt

T = TypeVar("T")
ROW_HEIGHT: Final = 34
_SEEN: Final = 14  # rows seen at once; the grid scrolls


@dataclass
class _Held(Generic[T]):
    """Of one list, in the session."""

    scope: str
    rows: dict[int, T] = field(default_factory=dict)
    page: tuple[int, ...] = ()
    key: str = ""  # of the grid: a new one with each page, so that no tick stands beside another row
    ticked: tuple[int, ...] = ()  # places of the rows that were chosen when this page was first drawn


class Picks(Generic[T]):
    """What is chosen of the list `name` as it is shown under `scope` (its filters)."""

    def __init__(self, name: str, scope: object) -> None:
        self._name = f"tieline.picks.{name}"
        held = st.session_state.get(self._name)
        if not isinstance(held, _Held) or held.scope != repr(scope):
            held = st.session_state[self._name] = _Held(repr(scope))
        self._held: _Held[T] = held

    @property
    def rows(self) -> tuple[T, ...]:
        """In the order in which they were chosen."""
        return tuple(self._held.rows.values())

    @property
    def ids(self) -> tuple[int, ...]:
        return tuple(self._held.rows)

    @property
    def key(self) -> str:
        """Of the grid that is on the screen."""
        return self._held.key

    def __len__(self) -> int:
        return len(self._held.rows)

    def clear(self) -> None:
        """For a button's callback."""
        st.session_state[self._name] = _Held(self._held.scope)

    def keep(self, ids: Collection[int]) -> None:
        """Once something was done with the others: only these are chosen still."""
        rows = {row_id: row for row_id, row in self._held.rows.items() if row_id in ids}
        st.session_state[self._name] = _Held(self._held.scope, rows)

    def grid(
        self, table: pd.DataFrame, columns: Mapping[str, ColumnConfig], rows: Mapping[int, T], *, alt: str
    ) -> None:
        """The grid with its ticks. `table` is indexed by id; `rows` are the same ones."""
        held, page = self._held, tuple(int(row_id) for row_id in table.index)
        if held.page != page:
            held.page, held.key = page, f"{self._name}.{secrets.token_hex(3)}"
            held.ticked = tuple(place for place, row_id in enumerate(page) if row_id in held.rows)
        state = st.dataframe(
            table.map(fmt.cell), key=held.key, column_config=dict(columns), column_order=list(columns), hide_index=True,
            row_height=ROW_HEIGHT, height=min(len(table) + 1, _SEEN + 1) * ROW_HEIGHT + 2, on_select="rerun",
            selection_mode="multi-row", placeholder="", alt=alt,
            selection_default={"selection": {"rows": list(held.ticked), "columns": [], "cells": []}},
        )  # fmt: skip
        self._keep(page, state.selection.rows, rows)

    def _keep(self, page: Sequence[int], ticked: Sequence[int], rows: Mapping[int, T]) -> None:
        chosen = {page[place] for place in ticked if place < len(page)}
        for row_id in page:
            if row_id not in chosen:
                self._held.rows.pop(row_id, None)
            else:
                self._held.rows[row_id] = rows[row_id]

    def told(self, noun: str, money: str) -> str:
        """ "35 selected, $2.8M"; how many of them are not on the screen."""
        if not self._held.rows:
            return f"Tick {noun}s to act on them."
        elsewhere = len(set(self._held.rows) - set(self._held.page))
        beside = f", {fmt.count(elsewhere)} of them on other pages" if elsewhere else ""
        return f"**{fmt.count(len(self))} selected, {fmt.plain(money)}**{beside}"
