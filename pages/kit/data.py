"""What pages read more than once, kept for seconds, so that many open dashboards cost the database what one costs.

The only place of the pages that caches. A value is shared by the viewers who may see the same (`Reads.key`), and by
nobody else; a page never changes it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import pandas as pd
import streamlit as st

from metrics.asking import Ask
from metrics.kpi import Value
from metrics.lane_history import LaneHistory
from metrics.measures import Measures
from metrics.outages import Outage
from metrics.slo import Standing
from metrics.spread import Bin
from metrics.technical import Point, Report, Sample, Split, Technical
from pages.kit.together import Together, Wanted, before, together
from pages.kit.words import entity
from sync_core.reads import CauseGroup, Choices, ExceptionFilter, LaneState, Reads
from sync_core.reads.ages import Ageing
from sync_core.reads.paging import MAX_PAGE_SIZE
from sync_core.reads.quarantine import Unread
from sync_core.reads.reads import OPEN_EXCEPTIONS
from sync_core.reads.releases import Release
from sync_core.reads.schedules import Schedule
from sync_core.reads.tallies import Tallies
from sync_core.telemetry.latencies import Kind

KEPT: Final = timedelta(seconds=3)  # below every refresh period of a page
_CHOICES_KEPT: Final = timedelta(minutes=5)
_BEFORE_KEPT: Final = timedelta(minutes=1)  # what has been changes seldom
_JUST_NOW: Final = timedelta(seconds=1)  # read by several parts of a page
_MINUTELY: Final = timedelta(seconds=15)  # what is counted and sampled once a minute

_SCOPES: Final = 64  # viewers of different reach whose values are kept at a time


def kpis(reads: Reads, measures: Measures, wanted: Wanted, ask: Ask) -> Together:
    """Each split by what it is asked for, from one snapshot."""
    return _kpis(measures, wanted, ask, _asked(reads, wanted, ask))


def headlines_before(reads: Reads, measures: Measures, slugs: Sequence[str], ask: Ask) -> Mapping[str, Value]:
    """What KPIs are compared with; what was not known then is absent."""
    return _headlines_before(measures, tuple(slugs), ask, _asked(reads, dict.fromkeys(slugs), ask))


def spread(reads: Reads, measures: Measures, ask: Ask) -> tuple[Bin, ...]:
    """The cycle times of the contracts provisioned, by their length."""
    return _spread(measures, ask, _asked(reads, {}, ask))


def outages(reads: Reads, measures: Measures, ask: Ask) -> tuple[Outage, ...]:
    return _outages(measures, ask, _asked(reads, {}, ask))


def releases(reads: Reads) -> tuple[Release, ...]:
    """Which version of each system was seen when, newest first."""
    return _releases(reads, reads.key)


def newest(reads: Reads) -> datetime | None:
    """When anything came in last; None: nothing ever did."""
    return _newest(reads, reads.key)


def intake(reads: Reads) -> pd.DataFrame:
    """Events stored per day."""
    return _intake(reads, reads.key)


def causes(reads: Reads, wanted: ExceptionFilter = OPEN_EXCEPTIONS) -> tuple[CauseGroup, ...]:
    """Open exceptions by cause, most money first."""
    return _causes(reads, wanted, f"{reads.key} {wanted}")


def ageing(reads: Reads) -> Ageing:
    """Open exceptions by function and age in working days."""
    return _ageing(reads, reads.key)


def tallies(reads: Reads, person: str) -> Tallies:
    """Open exceptions and their money by function; "mine" are those of `person`."""
    return _tallies(reads, f"{reads.key} {person}", person)


def quarantined(reads: Reads) -> int:
    """Events that were not understood and wait; 10,000 stands for more."""
    return _unread(reads, reads.key).events


def drifted(reads: Reads) -> int:
    """Open differences between CLM, Tieline and ERP that call for something."""
    return _drifted(reads, reads.key)


def unread_signatures(reads: Reads) -> int:
    """Of those, signatures: the measures count each as an open exception."""
    return _unread(reads, reads.key).signatures


def lanes(reads: Reads) -> list[LaneState]:
    return _lanes(reads, reads.key)


def choices(reads: Reads) -> Choices:
    """What lists can be filtered by."""
    return _choices(reads, reads.key)


def report(reads: Reads, measures: Measures, window: timedelta) -> Report:
    """How Tieline itself ran."""
    return _report(measures.technical, f"{reads.key} {window}", window)


def lane_history(reads: Reads, measures: Measures, window: timedelta) -> LaneHistory:
    """When ERPs stopped and began to take work."""
    return _lane_history(measures.technical, f"{reads.key} {window}", window)


def latencies(reads: Reads, measures: Measures, window: timedelta) -> Mapping[Kind, Sequence[Point]]:
    """How long calls took over time, by what was called."""
    return _latencies(measures, f"{reads.key} {window}", window)


def latencies_of(
    reads: Reads, measures: Measures, window: timedelta, kind: Kind, system: str, operation: str | None, by: Split
) -> Sequence[Point]:
    """The same of one system, or of one of its operations, by operation or outcome."""
    key = f"{reads.key} {window} {kind} {system} {operation} {by}"
    return _latencies_of(measures.technical, key, window, kind, system, operation, by)


def samples(reads: Reads, measures: Measures, names: Sequence[str], window: timedelta) -> Sequence[Sample]:
    """What stood each minute, or longer steps of a longer window."""
    return _samples(measures.technical, f"{reads.key} {window} {names}", tuple(names), window)


def objectives(reads: Reads, measures: Measures) -> Sequence[Standing]:
    """How the promises stand."""
    return _objectives(measures, reads.key)


def schedules(reads: Reads) -> Sequence[Schedule]:
    """The scheduled jobs, by name."""
    return _schedules(reads, reads.key)


def forget_schedules() -> None:
    """After a change by a person, who is to see it at once."""
    _schedules.clear()


@st.cache_resource(ttl=_JUST_NOW, max_entries=_SCOPES, show_spinner=False)
def _schedules(_reads: Reads, key: str) -> Sequence[Schedule]:
    return _reads.schedules()


@st.cache_resource(ttl=_MINUTELY, max_entries=_SCOPES, show_spinner=False)
def _report(_technical: Technical, key: str, _window: timedelta) -> Report:
    return _technical.report(_window)


@st.cache_resource(ttl=_MINUTELY, max_entries=_SCOPES, show_spinner=False)
def _lane_history(_technical: Technical, key: str, _window: timedelta) -> LaneHistory:
    return _technical.lane_history(_window)


@st.cache_resource(ttl=_MINUTELY, max_entries=_SCOPES, show_spinner=False)
def _latencies(_measures: Measures, key: str, _window: timedelta) -> Mapping[Kind, Sequence[Point]]:
    with _measures.at_once() as together:
        return {kind: together.technical.latency_over_time(kind, _window) for kind in Kind}


@st.cache_resource(ttl=_MINUTELY, max_entries=_SCOPES, show_spinner=False)
def _latencies_of(
    _technical: Technical, key: str, _window: timedelta, _kind: Kind, _system: str, _operation: str | None, _by: Split
) -> Sequence[Point]:
    return _technical.latency_over_time(_kind, _window, by=_by, system=_system, operation=_operation)


@st.cache_resource(ttl=_MINUTELY, max_entries=_SCOPES, show_spinner=False)
def _samples(_technical: Technical, key: str, _names: Sequence[str], _window: timedelta) -> Sequence[Sample]:
    return _technical.samples(_names, _window)


@st.cache_resource(ttl=KEPT, max_entries=_SCOPES, show_spinner=False)
def _objectives(_measures: Measures, key: str) -> Sequence[Standing]:
    return _measures.objectives()


def _asked(reads: Reads, wanted: Wanted, ask: Ask) -> str:
    return f"{reads.key} {dict(wanted)} {ask.window} {ask.as_of} {ask.values}"


@st.cache_resource(ttl=KEPT, max_entries=_SCOPES, show_spinner=False)
def _kpis(_measures: Measures, _wanted: Wanted, _ask: Ask, key: str) -> Together:
    return together(_measures, _wanted, _ask)


@st.cache_resource(ttl=_BEFORE_KEPT, max_entries=_SCOPES, show_spinner=False)
def _headlines_before(_measures: Measures, _slugs: Sequence[str], _ask: Ask, key: str) -> Mapping[str, Value]:
    return before(_measures, _slugs, _ask)


@st.cache_resource(ttl=KEPT, max_entries=_SCOPES, show_spinner=False)
def _spread(_measures: Measures, _ask: Ask, key: str) -> tuple[Bin, ...]:
    return _measures.spread(_ask)


@st.cache_resource(ttl=_BEFORE_KEPT, max_entries=_SCOPES, show_spinner=False)
def _outages(_measures: Measures, _ask: Ask, key: str) -> tuple[Outage, ...]:
    return _measures.outages(_ask)


@st.cache_resource(ttl=_BEFORE_KEPT, max_entries=_SCOPES, show_spinner=False)
def _releases(_reads: Reads, key: str) -> tuple[Release, ...]:
    return _reads.newest_releases(MAX_PAGE_SIZE)


@st.cache_resource(ttl=KEPT, max_entries=_SCOPES, show_spinner=False)
def _newest(_reads: Reads, key: str) -> datetime | None:
    return _reads.newest()


@st.cache_resource(ttl=KEPT, max_entries=_SCOPES, show_spinner=False)
def _intake(_reads: Reads, key: str) -> pd.DataFrame:
    return _reads.intake()


@st.cache_resource(ttl=KEPT, max_entries=_SCOPES, show_spinner=False)
def _causes(_reads: Reads, _wanted: ExceptionFilter, key: str) -> tuple[CauseGroup, ...]:
    return _reads.exception_groups(_wanted)


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
def _unread(_reads: Reads, key: str) -> Unread:
    return _reads.unread()


@st.cache_resource(ttl=KEPT, max_entries=_SCOPES, show_spinner=False)
def _drifted(_reads: Reads, key: str) -> int:
    return _reads.drift_to_mend()


@st.cache_resource(ttl=_CHOICES_KEPT, max_entries=_SCOPES, show_spinner=False)
def _choices(_reads: Reads, key: str) -> Choices:
    found = _reads.choices()
    return replace(found, entities={code: entity(code, name) for code, name in found.entities.items()})
