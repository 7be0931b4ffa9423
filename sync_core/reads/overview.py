"""The overview: where all contracts stand now, and what became of those signed lately.

Trial contracts are left out of every number. Rows without an exchange rate are listed beside each sum.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import pandas as pd
import sqlalchemy as sa

from sync_core.progress import State
from sync_core.reads.arrivals import intake, newest
from sync_core.reads.attention import CauseGroup, ageing, cause_groups, open_cases
from sync_core.reads.cycle import CycleTime, cycle
from sync_core.reads.funnel import funnel
from sync_core.reads.scope import CONTRACT, Entities, bound
from sync_core.reads.waiting import Waiting, open_groups, waiting

# Answered from contract_by_signed alone, which carries state and test.
COUNTS = sa.text(f"""
    SELECT state, count(*) AS contracts, count(signed_at) AS signed FROM core.contract
    WHERE NOT test AND {CONTRACT} GROUP BY state
""")


@dataclass(frozen=True, slots=True)
class Counts:
    """Contracts now. `signed` counts all that ever were; the states add up to all contracts known."""

    signed: int
    by_state: Mapping[State, int]  # every state, 0 where there is none

    @property
    def provisioned(self) -> int:
        return self.by_state[State.ACTIVE]


@dataclass(frozen=True, slots=True)
class Overview:
    """Frames: `weekly` as Cycle says, the others as the functions of their names say."""

    now: datetime  # UTC, the clock's
    data_as_of: datetime | None  # newest event or change of any entity; None in an empty database
    since: datetime  # start of the window of cycle, weekly and funnel: a local Monday
    counts: Counts
    waiting: Waiting
    cycle: CycleTime
    weekly: pd.DataFrame
    weekly_span: int  # weeks that each percentile of `weekly` is of
    funnel: pd.DataFrame
    ageing: pd.DataFrame
    attention: tuple[CauseGroup, ...]
    quarantined: int  # signatures not yet understood; open cases, no money known
    intake: pd.DataFrame


def overview(
    conn: sa.Connection, *, now: datetime, zone: str, reporting: str, weeks: int, days: int, entities: Entities
) -> Overview:
    """`weeks` and `days` count the current one; `days` is the window of `intake`. Zone cuts days and weeks."""
    local = pd.Timestamp(now).tz_convert(zone)
    monday = (local.tz_localize(None).normalize() - pd.Timedelta(days=local.weekday() + 7 * (weeks - 1))).tz_localize(
        zone
    )
    since = monday.tz_convert("UTC").to_pydatetime()
    cycled = cycle(conn, since=since, now=now, zone=zone, entities=entities)
    cases = open_cases(conn, now=now, entities=entities)
    return Overview(
        now=now,
        data_as_of=newest(conn),
        since=since,
        counts=counts(conn, entities),
        waiting=waiting(open_groups(conn, now=now, entities=entities), now=now, reporting=reporting),
        cycle=cycled.total,
        weekly=cycled.weekly,
        weekly_span=cycled.span,
        funnel=funnel(
            conn, since=since, now=now, active=cycled.active, quarantined=cycled.quarantined, entities=entities
        ),
        ageing=ageing(cases),
        attention=cause_groups(cases, reporting),
        quarantined=cycled.quarantined,
        intake=intake(conn, now=now, zone=zone, days=days, entities=entities),
    )


def counts(conn: sa.Connection, entities: Entities) -> Counts:
    rows = conn.execute(COUNTS, bound(entities)).all()
    by_state = dict.fromkeys(State, 0) | {State(row.state): row.contracts for row in rows}
    return Counts(sum(row.signed for row in rows), by_state)
