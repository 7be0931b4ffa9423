"""Blocks of a page that draw themselves again on a timer, while the rest of the page is not touched."""

from collections.abc import Callable
from datetime import timedelta

import streamlit as st

_QUICK = "tieline.quick"


def live(
    draw: Callable[[], object], *, every: timedelta = timedelta(seconds=60), at_first: timedelta | None = None
) -> None:
    """Draw now and again on a timer, alone. For KPI rows and job progress.

    `at_first` is the timer as long as `draw` returns True: there is little to see yet, and more comes fast.
    """
    quick = bool(st.session_state.get(_QUICK))

    def again() -> None:
        st.session_state[_QUICK] = bool(draw())
        if at_first is not None and st.session_state[_QUICK] != quick:
            st.rerun()  # a fragment's timer is set by a run of the whole page

    st.fragment(again, run_every=at_first if quick and at_first is not None else every)()
