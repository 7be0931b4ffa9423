"""What pages read more than once, kept for seconds, so that many open dashboards cost the database what one costs.

The only place of the pages that caches. A value is shared by all viewers and never changed by a page.
"""

from datetime import timedelta
from typing import Final

import pandas as pd
import streamlit as st

from sync_core.reads import CauseGroup, Choices, LaneState, Overview, Reads

KEPT: Final = timedelta(seconds=3)  # below every refresh period of a page
_CHOICES_KEPT: Final = timedelta(minutes=5)

# Reads cannot be hashed, so its id stands for it. The entry holds the object too: an id in use is never given again.


def overview(reads: Reads) -> Overview:
    return _overview(reads, id(reads))[1]


def causes(reads: Reads) -> tuple[CauseGroup, ...]:
    """Open exceptions by cause, most money first."""
    return _causes(reads, id(reads))[1]


def ageing(reads: Reads) -> pd.DataFrame:
    """Open exceptions by function and age."""
    return _ageing(reads, id(reads))[1]


def lanes(reads: Reads) -> list[LaneState]:
    return _lanes(reads, id(reads))[1]


def choices(reads: Reads) -> Choices:
    """What lists can be filtered by."""
    return _choices(reads, id(reads))[1]


@st.cache_resource(ttl=KEPT, max_entries=4, show_spinner=False)
def _overview(_reads: Reads, identity: int) -> tuple[Reads, Overview]:
    return _reads, _reads.overview()


@st.cache_resource(ttl=KEPT, max_entries=4, show_spinner=False)
def _causes(_reads: Reads, identity: int) -> tuple[Reads, tuple[CauseGroup, ...]]:
    return _reads, _reads.exception_groups()


@st.cache_resource(ttl=KEPT, max_entries=4, show_spinner=False)
def _ageing(_reads: Reads, identity: int) -> tuple[Reads, pd.DataFrame]:
    return _reads, _reads.ageing()


@st.cache_resource(ttl=KEPT, max_entries=4, show_spinner=False)
def _lanes(_reads: Reads, identity: int) -> tuple[Reads, list[LaneState]]:
    return _reads, _reads.lanes()


@st.cache_resource(ttl=_CHOICES_KEPT, max_entries=4, show_spinner=False)
def _choices(_reads: Reads, identity: int) -> tuple[Reads, Choices]:
    return _reads, _reads.choices()
