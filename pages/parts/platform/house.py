"""The cards of what carries the engine: lanes with their history, the database, and which releases run."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import pandas as pd
import streamlit as st

from metrics.lane_history import LaneChange
from metrics.measures import Measures
from pages.kit import charts_platform as charts
from pages.kit import data, frame, marks
from pages.kit import format as fmt
from pages.kit.palette import Palette
from pages.kit.table import marked, table
from pages.parts.platform import marks as platform_marks
from pages.parts.platform import words as told
from sync_core.reads import Reads
from sync_core.reads.releases import Release
from sync_core.reads.running import WorkerState

_CLOSED: Final = "closed"
_SHOWN: Final = 6
_SEEN_LATELY: Final = timedelta(minutes=15)
_BREAKERS: Final = {"closed": "Running again", "open": "Unreachable", "paused": "Paused"}


def lanes(reads: Reads, measures: Measures, window: timedelta, palette: Palette) -> None:
    with frame.card(
        "strips", "ERP lanes over time", "When each ERP took work, and the share of the time that it did",
        definition="The breaker of a lane opens after five failures in a row; one probe at a time goes out until one "
        "is answered. Paused: credentials or answers are wrong and a person has to act. Before its first change in the "
        "window a lane was in the state that the change ended.",
    ) as card:  # fmt: skip
        states, found = data.lanes(reads), data.lane_history(reads, measures, window)
        if not states:
            frame.empty("No ERP is connected yet.", "A lane appears when a worker starts.", icon=":material/lan:")
            return
        samples = data.samples(reads, measures, ("db_connections",), window)
        known = platform_marks.known_from((one.at for one in samples), found)
        strips = platform_marks.strips(states, found, known)
        notes = [(lane.lane, _available(strips, lane.lane)) for lane in states]
        card.chart(
            charts.lane_strips(strips, notes=notes, since=found.since, until=found.until, palette=palette),
            alt="When each ERP took work", data=_changes(found.changes),
        )  # fmt: skip
        if known > found.since:
            st.caption(f"Known from {fmt.moment(known)}: nothing was sampled in this window before it.")
        if not found.changes:
            st.caption("No lane changed its state in this time.")


def database(reads: Reads, measures: Measures, window: timedelta) -> None:
    with frame.card(
        "database", "Database", "PostgreSQL as sampled last; what the application's role cannot see is left out",
        definition="Dead rows: left over by updates until vacuum takes them. Found in memory: share of blocks that "
        "were in the buffer cache since the statistics began. Replication lag needs the role pg_monitor.",
    ):  # fmt: skip
        found = data.report(reads, measures, window).database
        if not found:
            frame.empty("Nothing was sampled yet.", "A worker samples each minute; see that one runs.",
                        icon=":material/database:")  # fmt: skip
            return
        marked("database", ["What", "Now"], [[name, value] for name, value in _health(found)])


def releases(reads: Reads) -> None:
    with frame.card(
        "releases", "Releases", "Which version of each system was first and last seen, newest first; UTC",
        definition="Of Tieline's workers, of the database, and of the ERPs and CLMs that say theirs, looked at every "
        "five minutes. A version that comes back after another, as in a roll-back, is a release of its own. Charts "
        "over time show them as dotted lines.",
    ):  # fmt: skip
        known = data.releases(reads)
        if not known:
            frame.empty("No release was seen yet.", "A worker notes them; see that one runs.",
                        icon=":material/new_releases:")  # fmt: skip
            return
        newest: dict[str, int] = {}
        rows = [_release(one, reads.now, newest.setdefault(one.system, place) == place)
                for place, one in enumerate(known)]  # fmt: skip
        table("releases", ["System", "Version", "First seen", "Last seen"], rows[:_SHOWN])
        if len(rows) > _SHOWN:
            with st.popover(f"{fmt.plural(len(rows) - _SHOWN, 'earlier release')}", type="tertiary"):
                table("releases_before", ["System", "Version", "First seen", "Last seen"], rows[_SHOWN:])


def _release(one: Release, now: datetime, is_newest: bool) -> list[str]:
    runs = is_newest and now - one.last_seen_at < _SEEN_LATELY
    return [marks.system(one, kind=True), one.version, fmt.moment(one.first_seen_at),
            "runs now" if runs else fmt.moment(one.last_seen_at)]  # fmt: skip


def workers(reads: Reads) -> None:
    with frame.card(
        "workers", "Workers", "By the version they run, and when each began",
        definition="A worker lives while it holds its lock in the database. Two versions: a release is under way.",
    ):  # fmt: skip
        alive = [worker for worker in reads.workers() if worker.alive]
        if not alive:
            frame.empty("No worker runs.", "Start one: `tieline worker`. Contracts wait until then.",
                        icon=":material/engineering:")  # fmt: skip
            return
        versions = sorted({worker.version for worker in alive}, reverse=True)
        st.markdown(" and ".join(f"**{fmt.plain(one)}**, {_crew(alive, one)}" for one in versions))
        newest = sorted(alive, key=lambda worker: worker.started_at, reverse=True)[:_SHOWN]
        rows = [[f"{one.name} ({one.worker_id})", one.version, fmt.moment(one.started_at)] for one in newest]
        table("workers", ["Worker", "Version", "Since"], rows)
        if len(alive) > _SHOWN:
            st.caption(f"And {fmt.plural(len(alive) - _SHOWN, 'further worker')}.")


def _crew(alive: Sequence[WorkerState], version: str) -> str:
    those = [worker for worker in alive if worker.version == version]
    return f"{fmt.plural(len(those), 'worker')} since {fmt.moment(min(one.started_at for one in those))}"


def _available(strips: pd.DataFrame, lane: str) -> str:
    mine = strips[strips["lane"] == lane]
    lasted = (mine["end"] - mine["start"]).dt.total_seconds()
    whole = float(lasted.sum())
    return fmt.percent(float(lasted[mine["state"] == _CLOSED].sum()) / whole) if whole else fmt.DASH


def _changes(changes: Sequence[LaneChange]) -> pd.DataFrame:
    shown = changes[:50]
    return pd.DataFrame(
        {
            "At": [fmt.moment(one.at) for one in shown],
            "ERP": [fmt.shown(one.lane) for one in shown],
            "State": [_BREAKERS.get(one.breaker, fmt.shown(one.breaker)) for one in shown],
            "Why": [fmt.shown(one.reason) for one in shown],
        }
    ).set_index("At")


def _health(found: Mapping[str, float]) -> list[tuple[str, str]]:
    """Markdown, with a mark where it needs a look; what is not known is left out."""
    dead, live = found.get("db_dead_tuples", 0.0), found.get("db_live_tuples", 0.0)
    most = found.get("db_connections_max", 0.0)
    values = {**found, "dead_share": dead / (dead + live) if dead + live else 0.0}
    rows = []
    for name, label, write, limit in _LIMITS:
        value = values.get(name)
        if value is None:
            continue
        text = f"{write(value)} of {most:,.0f}" if name == "db_connections" and most else write(value)
        share = value / most if name == "db_connections" and most else value
        is_bad = limit is not None and (share < -limit if limit < 0 else share > limit)
        rows.append((label, f":orange-badge[:material/visibility: {text}]" if is_bad else fmt.plain(text)))
    return rows


def _whole(value: float) -> str:
    return f"{value:,.0f}"


# From where it needs a look; below 0: it is to stay above that. Connections are judged by their share of the most.
_LIMITS: Final[Sequence[tuple[str, str, Callable[[float], str], float | None]]] = (
    ("db_size_bytes", "Size", told.size, None),
    ("db_connections", "Connections", _whole, 0.8),
    ("db_oldest_transaction_s", "Oldest transaction", told.age, 600),
    ("dead_share", "Dead rows", fmt.percent, 0.2),
    ("db_cache_hit_ratio", "Found in memory", fmt.percent, -0.95),
    ("db_deadlocks", "Deadlocks so far", _whole, None),
    ("db_replication_lag_s", "Replication lag", told.age, 30),
)
