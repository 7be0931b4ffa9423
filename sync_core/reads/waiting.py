"""What was signed, was never billable and waits for its ERP: how many contracts and how much money, by lane."""

from collections.abc import Mapping

import sqlalchemy as sa

from sync_core.reads.amounts import MoneyTotal, Part, add_up
from sync_core.reads.scope import CONTRACT, Entities, bound

WAITING = sa.text(f"""
    SELECT lane, CASE WHEN value_reporting IS NULL THEN currency END AS unconverted,
           count(*) AS contracts, sum(value_reporting) AS reporting, sum(value) AS amount
    FROM core.contract
    WHERE state = 'waiting' AND first_active_at IS NULL AND signed_at IS NOT NULL AND NOT test AND {CONTRACT}
    GROUP BY 1, 2
""")


def waiting_by_lane(conn: sa.Connection, *, reporting: str, entities: Entities) -> Mapping[str, MoneyTotal]:
    """Lanes in which something waits."""
    lanes: dict[str, list[Part]] = {}
    for row in conn.execute(WAITING, bound(entities)):
        lanes.setdefault(row.lane, []).append(Part(row.contracts, row.reporting, row.unconverted, row.amount))
    return {lane: add_up(parts, reporting) for lane, parts in lanes.items()}
