"""Of a visit's first page the numbers first, and the charts once the browser has shown them.

What draws charts are 4.7 MB of scripts. A browser that has to read them in the moment in which the numbers arrive shows
neither for more than a second. So the first run of a visit leaves the charts' places empty and asks for the page anew.
"""

from datetime import timedelta
from enum import StrEnum
from typing import Final

import streamlit as st

_STATE, _ASKED = "tieline.charts", "tieline.charts_asked"
_SHOWN_AFTER: Final = timedelta(seconds=0.8)  # a browser's timer, which runs when it has nothing else to do


class _State(StrEnum):
    HELD = "held"  # the first page of the visit is being drawn
    AWAITED = "awaited"  # and a chart has its place on it
    FREE = "free"


def hold() -> None:
    """Before a page is drawn for a browser. Without it charts are drawn at once."""
    if st.session_state.get(_STATE) is not _State.FREE:
        st.session_state[_STATE] = _State.HELD


def waits() -> bool:
    """Whether the chart that is about to be drawn is to wait."""
    if st.session_state.get(_STATE, _State.FREE) is _State.FREE:
        return False
    st.session_state[_STATE] = _State.AWAITED
    return True


def release() -> bool:
    """After the page: whether its charts are to come. Whatever is drawn next has its own."""
    awaited = st.session_state.get(_STATE) is _State.AWAITED
    if _STATE in st.session_state:
        st.session_state[_STATE] = _State.FREE
    if awaited:
        st.session_state[_ASKED] = False
        st.fragment(_again, run_every=_SHOWN_AFTER)()
    return awaited


def _again() -> None:
    if st.session_state[_ASKED]:
        st.rerun()
    st.session_state[_ASKED] = True
