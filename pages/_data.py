"""What pages read more than once, kept for seconds, so that many open dashboards cost the database what one costs.

The only place of the pages that caches. A value is shared by the viewers who may see the same (`Reads.key`), and by
nobody else; a page never changes it.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

import pandas as pd
import streamlit as st

from metrics.asking import Ask
from metrics.kpi import Result
from metrics.measures import Measures
from metrics.outages import Outage
from metrics.spread import Bin
from pages._together import Together, Wanted, before, together
from sync_core.reads import CauseGroup, Choices, LaneState, Overview, Reads, Window
from sync_core.reads.ages import Ageing
from sync_core.reads.tallies import Tallies

KEPT: Final = timedelta(seconds=3)  # below every refresh period of a page
_CHOICES_KEPT: Final = timedelta(minutes=5)
_BEFORE_KEPT: Final = timedelta(minutes=1)  # what has been changes seldom

_SCOPES: Final = 64  # viewers of different reach whose values are kept at a time


def overview(reads: Reads) -> Overview:
    return _overview(reads, reads.key)


def kpis(reads: Reads, measures: Measures, wanted: Wanted, ask: Ask) -> Together:
    """Each split by what it is asked for, from one snapshot."""
    return _kpis(reads, measures, wanted, ask, _asked(reads, wanted, ask))


def kpis_before(reads: Reads, measures: Measures, wanted: Wanted, ask: Ask) -> Mapping[str, Result]:
    """What they are compared with; what was not known then is absent."""
    return _kpis_before(reads, measures, wanted, ask, _asked(reads, wanted, ask))


def spread(reads: Reads, measures: Measures, ask: Ask) -> tuple[Bin, ...]:
    """The cycle times of the contracts provisioned, by their length."""
    return _spread(measures, ask, _asked(reads, {}, ask))


def outages(reads: Reads, measures: Measures, ask: Ask) -> tuple[Outage, ...]:
    return _outages(measures, ask, _asked(reads, {}, ask))


def newest(reads: Reads) -> datetime | None:
    """When anything came in last; None: nothing ever did."""
    return _newest(reads, reads.key)


def intake(reads: Reads) -> pd.DataFrame:
    """Events stored per day."""
    return _intake(reads, reads.key)


def causes(reads: Reads) -> tuple[CauseGroup, ...]:
    """Open exceptions by cause, most money first."""
    return _causes(reads, reads.key)


def ageing(reads: Reads) -> Ageing:
    """Open exceptions by function and age in working days."""
    return _ageing(reads, reads.key)


def tallies(reads: Reads, person: str) -> Tallies:
    """Open exceptions and their money by function; "mine" are those of `person`."""
    return _tallies(reads, f"{reads.key} {person}", person)


def quarantined(reads: Reads) -> int:
    """Events that were not understood and wait; 10,000 stands for more."""
    return _quarantined(reads, reads.key)


def lanes(reads: Reads) -> list[LaneState]:
    return _lanes(reads, reads.key)


def choices(reads: Reads) -> Choices:
    """What lists can be filtered by."""
    return _choices(reads, reads.key)


@st.cache_resource(ttl=KEPT, max_entries=_SCOPES, show_spinner=False)
def _overview(_reads: Reads, key: str) -> Overview:
    return _reads.overview()


def _asked(reads: Reads, wanted: Wanted, ask: Ask) -> str:
    return f"{reads.key} {dict(wanted)} {ask.window} {ask.as_of} {ask.values}"


@st.cache_resource(ttl=KEPT, max_entries=_SCOPES, show_spinner=False)
def _kpis(_reads: Reads, _measures: Measures, _wanted: Wanted, _ask: Ask, key: str) -> Together:
    return together(_measures, _wanted, _ask)


@st.cache_resource(ttl=_BEFORE_KEPT, max_entries=_SCOPES, show_spinner=False)
def _kpis_before(
    _reads: Reads, _measures: Measures, _wanted: Wanted, _ask: Ask, key: str
) -> Mapping[str, Result]:
    return before(_measures, _wanted, _ask)


@st.cache_resource(ttl=KEPT, max_entries=_SCOPES, show_spinner=False)
def _spread(_measures: Measures, _ask: Ask, key: str) -> tuple[Bin, ...]:
    return _measures.spread(_ask)


@st.cache_resource(ttl=_BEFORE_KEPT, max_entries=_SCOPES, show_spinner=False)
def _outages(_measures: Measures, _ask: Ask, key: str) -> tuple[Outage, ...]:
    return _measures.outages(_ask)


@st.cache_resource(ttl=KEPT, max_entries=_SCOPES, show_spinner=False)
def _newest(_reads: Reads, key: str) -> datetime | None:
    return _reads.newest()


@st.cache_resource(ttl=KEPT, max_entries=_SCOPES, show_spinner=False)
def _intake(_reads: Reads, key: str) -> pd.DataFrame:
    return _reads.intake()


@st.cache_resource(ttl=KEPT, max_entries=_SCOPES, show_spinner=False)
def _causes(_reads: Reads, key: str) -> tuple[CauseGroup, ...]:
    return _reads.exception_groups()


@st.cache_resource(ttl=KEPT, max_entries=_SCOPES, show_spinner=False)
def _ageing(_reads: Reads, key: str) -> Ageing:
    return _reads.exception_ageing()


@st.cache_resource(ttl=KEPT, max_entries=_SCOPES, show_spinner=False)
def _tallies(_reads: Reads, key: str, _person: str) -> Tallies:
    return _reads.tallies(_person)


@st.cache_resource(ttl=KEPT, max_entries=_SCOPES, show_spinner=False)
def _lanes(_reads: Reads, key: str) -> list[LaneState]:
    return _reads.lanes()


@st.cache_resource(ttl=KEPT, max_entries=_SCOPES, show_spinner=False)
def _quarantined(_reads: Reads, key: str) -> int:
    return _reads.quarantine(window=Window(1)).total


@st.cache_resource(ttl=_CHOICES_KEPT, max_entries=_SCOPES, show_spinner=False)
def _choices(_reads: Reads, key: str) -> Choices:
    return _reads.choices()
