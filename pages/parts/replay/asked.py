"""What a second person decides on: how many contracts, how much money, and the names of those with most of it."""

import streamlit as st

from pages.kit import format as fmt
from pages.kit import sentences
from pages.kit.table import table
from sync_core.reads.replay_asked import Asked
from sync_core.reads.replays import ReplayRow

SHOWN = 5


def headline(row: ReplayRow, asked: Asked) -> str:
    """Without what is skipped: that is not decided on."""
    beyond = "" if row.whole else ", and more beyond your reach"
    return f"{fmt.plural(asked.count, 'contract')}, {sentences.money_of(asked.money)}{beyond}"


def names(row: ReplayRow, asked: Asked) -> None:
    """Most money first."""
    if asked.first:
        table(
            f"asked_{row.replay_id}", ["Contract", "Title", "Customer", "Entity", "Value"],
            [[one.external_id, one.title, one.customer_name, one.legal_entity,
              fmt.money_exact(one.value) if one.value else ""] for one in asked.first],
        )  # fmt: skip
    if asked.count > len(asked.first):
        st.caption(f"and {fmt.count(asked.count - len(asked.first))} more")
