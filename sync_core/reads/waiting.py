"""What was signed and cannot be billed yet: how many, how much money, behind which step, for how long.

A contract that was active once and now waits for a change is counted in its state, but its whole value does not wait:
what does is the exposure of its exceptions. Age is that of the signature, in calendar time.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import pandas as pd
import sqlalchemy as sa

from sync_core.progress import FUNNEL, State, Step
from sync_core.reads.amounts import MoneyTotal, Part, add_up
from sync_core.reads.scope import CONTRACT, Entities, bound


class WaitAge(StrEnum):
    """How long since the signature."""

    YOUNG = "< 24 h"
    DAYS = "1-3 d"
    OLD = "> 3 d"


# What was reached is read for open contracts alone, by progress_of_contract; they are few beside the active ones.
OPEN = sa.text(f"""
    WITH open AS MATERIALIZED (
        SELECT contract_id, state, lane, signed_at, value, value_reporting, currency
        FROM core.contract
        WHERE state IN ('waiting', 'blocked', 'set_aside') AND first_active_at IS NULL
          AND signed_at IS NOT NULL AND NOT test AND {CONTRACT}
    ), reached AS (
        SELECT contract_id, max(array_position(CAST(:funnel AS text[]), step)) AS step
        FROM core.progress WHERE contract_id = ANY(ARRAY(SELECT contract_id FROM open)) GROUP BY contract_id
    )
    SELECT state, lane, greatest(reached.step, 2) AS step,
           CASE WHEN signed_at > :now - interval '24 h' THEN 0 WHEN signed_at > :now - interval '3 d' THEN 1 ELSE 2 END
               AS age,
           CASE WHEN value_reporting IS NULL THEN currency END AS unconverted,
           count(*) AS contracts, sum(value_reporting) AS reporting, sum(value) AS amount, min(signed_at) AS oldest
    FROM open LEFT JOIN reached USING (contract_id)
    GROUP BY 1, 2, 3, 4, 5
""")


@dataclass(frozen=True, slots=True)
class OpenGroup:
    """Open contracts alike in state, lane, last step and age."""

    state: State
    lane: str
    step: Step
    age: WaitAge
    part: Part
    oldest: datetime


def open_groups(conn: sa.Connection, *, now: datetime, entities: Entities) -> list[OpenGroup]:
    """Everything signed and never active yet."""
    rows = conn.execute(OPEN, {"funnel": [step.value for step in FUNNEL], "now": now, **bound(entities)})
    ages = list(WaitAge)
    return [
        OpenGroup(
            State(row.state),
            row.lane,
            FUNNEL[row.step - 1],
            ages[row.age],
            Part(row.contracts, row.reporting, row.unconverted, row.amount),
            row.oldest,
        )
        for row in rows
    ]


@dataclass(frozen=True, slots=True)
class Waiting:
    """Money signed and not billable yet. `total` is the sum of the three states."""

    total: MoneyTotal
    waiting: MoneyTotal
    blocked: MoneyTotal
    set_aside: MoneyTotal
    old: MoneyTotal  # of the total, what was signed more than three days ago
    oldest_age: timedelta | None
    by_step: pd.DataFrame  # step (Step), age (WaitAge), amount (Decimal, reporting currency), contracts; all 12 or more


def waiting(groups: Sequence[OpenGroup], *, now: datetime, reporting: str) -> Waiting:
    """Sums of what `open_groups` gives."""

    def total(keep: Callable[[OpenGroup], bool]) -> MoneyTotal:
        return add_up((group.part for group in groups if keep(group)), reporting)

    oldest = min((group.oldest for group in groups), default=None)
    return Waiting(
        total=total(lambda _: True),
        waiting=total(lambda group: group.state is State.WAITING),
        blocked=total(lambda group: group.state is State.BLOCKED),
        set_aside=total(lambda group: group.state is State.SET_ASIDE),
        old=total(lambda group: group.age is WaitAge.OLD),
        oldest_age=None if oldest is None else now - oldest,
        by_step=_by_step(groups, reporting),
    )


def _by_step(groups: Sequence[OpenGroup], reporting: str) -> pd.DataFrame:
    cells: dict[tuple[Step, WaitAge], list[Part]] = {(step, age): [] for step in FUNNEL[1:-1] for age in WaitAge}
    for group in groups:
        cells.setdefault((group.step, group.age), []).append(group.part)
    rows = []
    for (step, age), parts in cells.items():
        total = add_up(parts, reporting)
        rows.append((step.value, age.value, total.money.amount, total.count))
    return pd.DataFrame(rows, columns=["step", "age", "amount", "contracts"])


def by_lane(groups: Sequence[OpenGroup], reporting: str) -> Mapping[str, MoneyTotal]:
    """Waiting ones alone, by the lane they queue in."""
    lanes: dict[str, list[Part]] = {}
    for group in groups:
        if group.state is State.WAITING:
            lanes.setdefault(group.lane, []).append(group.part)
    return {lane: add_up(parts, reporting) for lane, parts in lanes.items()}
