"""When ERPs took no work and systems got new releases: what the platform page's charts over time are annotated with."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

import pandas as pd

from metrics.lane_history import LaneHistory
from metrics.measures import Measures
from pages.kit import data, frame, marks
from pages.kit import format as fmt
from pages.kit.marks import Mark
from sync_core.authority import Permission
from sync_core.reads import LaneState, Reads

_STEPS: Final = 20  # a window's first samples may be so late: a part of it, or the step they are kept by
_CLOSED: Final = "closed"
_SHUT: Final = {"open": "out", "paused": "paused"}


def happened(reads: Reads, measures: Measures, window: timedelta) -> list[Mark]:
    """In the window, oldest first."""
    found = data.lane_history(reads, measures, window)
    lanes = data.lanes(reads) if frame.may(Permission.CONTRACTS_READ) else []
    outages = [
        Mark(start, end, fmt.shown(f"{lane} {_SHUT[state]}"))
        for lane, start, end, state, _ in _spans(lanes, found)
        if state in _SHUT
    ]
    released = marks.of_releases(data.releases(reads), since=found.since, until=found.until)
    return sorted([*outages, *released], key=lambda mark: mark.start)


def known_from(samples: Iterable[datetime], found: LaneHistory) -> datetime:
    """From when on in the window Tieline ran, as far as its own samples tell: before it, nobody looked at an ERP."""
    first = min([*samples, *(one.at for one in found.changes)], default=found.since)
    return first if first - found.since > (found.until - found.since) / _STEPS else found.since


def strips(states: Sequence[LaneState], found: LaneHistory, known: datetime) -> pd.DataFrame:
    """A row for each time in which a lane's state did not change, from when it is `known`."""
    spans = [(lane, max(start, known), end, *rest) for lane, start, end, *rest in _spans(states, found) if end > known]
    shown = pd.DataFrame(spans, columns=["lane", "start", "end", "state", "why"])
    return shown.assign(start=pd.to_datetime(shown["start"], utc=True), end=pd.to_datetime(shown["end"], utc=True))


def _spans(states: Sequence[LaneState], found: LaneHistory) -> list[tuple[str, datetime, datetime, str, str]]:
    rows: list[tuple[str, datetime, datetime, str, str]] = []
    for lane in states:
        changes = [one for one in reversed(found.changes) if one.lane == lane.lane and one.at < found.until]
        before = lane.breaker if not changes else "open" if changes[0].breaker == _CLOSED else _CLOSED
        moments = [found.since, *(max(one.at, found.since) for one in changes), found.until]
        kinds = [(before, ""), *((one.breaker, one.reason) for one in changes)]
        rows += [
            (lane.lane, start, end, state, fmt.shown(why))
            for start, end, (state, why) in zip(moments, moments[1:], kinds, strict=False)
        ]
    return rows
