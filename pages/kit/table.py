"""A small table of texts, never wider than its card: where that is narrow, each row becomes a list of its fields.

Nothing scrolls sideways, so that the keyboard and a phone reach every cell.
"""

import json
from collections.abc import Sequence
from typing import Final

import pandas as pd
import streamlit as st

from pages.kit import format as fmt

_FEW: Final = 3  # columns that fit a phone


def table(key: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Texts of others, shown as they are. `key` is the page's own name for it; `columns` are words of ours."""
    marked(key, columns, [[fmt.plain(cell) for cell in row] for row in rows])


def marked(key: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """As `table`, for cells that are Markdown already: badges, and texts of others that went through `fmt.plain`."""
    wide = len(columns) > _FEW
    with st.container(key=f"{'stack' if wide else 'table'}_{key}", gap=None):
        if wide:
            st.html(_labels(key, columns))
        st.table(pd.DataFrame(rows, columns=list(columns)), border="horizontal", hide_index=True)


def _labels(key: str, columns: Sequence[str]) -> str:
    """Stacked, each field says which it is; app.css says when, and how it looks."""
    rules = (
        f".st-key-stack_{key} td:nth-child({at})::before {{ content: {json.dumps(name)} }}"
        for at, name in enumerate(columns, 1)
    )
    return f"<style>@container (max-width: 36rem) {{ {' '.join(rules)} }}</style>"
