"""How often a live page redraws: often while much is arriving, as in an installation's first minutes, else calmly."""

from datetime import timedelta
from typing import Final

import streamlit as st

CALM: Final = timedelta(seconds=20)
BUSY: Final = timedelta(seconds=5)
_GROWTH: Final = 1.005  # between two draws
_BUSY_KEY, _COUNT_KEY = "tieline.pace.busy", "tieline.pace.count"


def period() -> timedelta:
    """The period to draw with now. A first visit starts busy: nobody knows yet whether much arrives."""
    return BUSY if st.session_state.get(_BUSY_KEY, True) else CALM


def follow(count: int, every: timedelta) -> None:
    """Compare with the count drawn before; if the pace should change, run the page again with the other period."""
    before = st.session_state.get(_COUNT_KEY)
    st.session_state[_COUNT_KEY] = count
    if before is None:
        return
    busy = count > before * _GROWTH
    st.session_state[_BUSY_KEY] = busy
    if busy is not (every == BUSY):
        st.rerun()
