"""The overview: where all contracts stand now, and what became of those signed lately.

Trial contracts are left out of every number. Rows without an exchange rate are listed beside each sum.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import pandas as pd
import sqlalchemy as sa

from sync_core.progress import State
from sync_core.reads.attention import CauseGroup, ageing, cause_groups, open_cases
from sync_core.reads.cycle import CycleTime, cycle
from sync_core.reads.funnel import funnel
from sync_core.reads.scope import CONTRACT, OF_CONTRACT, Entities, bound
from sync_core.reads.waiting import Waiting, open_groups, waiting

# Answered from contract_by_signed alone, which carries state and test.
COUNTS = sa.text(f"""
    SELECT state, count(*) AS contracts, count(signed_at) AS signed FROM core.contract
    WHERE NOT test AND {CONTRACT} GROUP BY state
""")
INTAKE = sa.text("""
    SELECT CAST(recorded_at AT TIME ZONE :zone AS date) AS day, count(*) AS events
    FROM core.event WHERE recorded_at >= :since AND recorded_at <= :now GROUP BY 1
""")
# Apart, because only a limited view pays for finding each event's contract.
INTAKE_WITHIN = sa.text(f"""
    SELECT CAST(e.recorded_at AT TIME ZONE :zone AS date) AS day, count(*) AS events
    FROM core.event AS e JOIN core.contract AS c USING (source, external_id)
    WHERE e.recorded_at >= :since AND e.recorded_at <= :now AND {OF_CONTRACT} GROUP BY 1
""")
# The newest event by its sequence: recorded times rise with it but for transactions that overlap.
DATA_AS_OF = sa.text("""
    SELECT greatest((SELECT recorded_at FROM core.event ORDER BY seq DESC LIMIT 1),
                    (SELECT updated_at FROM core.contract ORDER BY updated_at DESC, contract_id DESC LIMIT 1))
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
        data_as_of=conn.scalar(DATA_AS_OF),
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


def intake(conn: sa.Connection, *, now: datetime, zone: str, days: int, entities: Entities) -> pd.DataFrame:
    """Events stored per local day, oldest first, no day absent. Columns: day (UTC midnight of its date), events."""
    today = pd.Timestamp(now).tz_convert(zone).tz_localize(None).normalize()
    listed = pd.date_range(end=today, periods=days, freq="D")
    since = listed[0].tz_localize(zone).tz_convert("UTC").to_pydatetime()
    values = {"zone": zone, "since": since, "now": now}
    within = conn.execute(INTAKE_WITHIN, values | bound(entities)) if entities is not None else None
    found = {row.day: row.events for row in within or conn.execute(INTAKE, values)}
    return pd.DataFrame({"day": listed.tz_localize("UTC"), "events": [found.get(day.date(), 0) for day in listed]})
