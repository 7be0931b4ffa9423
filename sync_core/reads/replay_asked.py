"""What a second person is asked to approve: what a confirmed replay would carry out, and whose money that is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from sync_core.money import Money
from sync_core.reads.amounts import MoneyTotal, Part, add_up
from sync_core.reads.scope import OF_CONTRACT, Entities, bound


@dataclass(frozen=True, slots=True)
class AskedRow:
    """One contract of those with most money."""

    external_id: str
    title: str
    customer_name: str
    legal_entity: str
    value: Money | None


@dataclass(frozen=True, slots=True)
class Asked:
    """Of one replay, within the reader's reach; what is skipped is no part of it."""

    count: int
    money: MoneyTotal  # of those that write, as the threshold counts it
    first: tuple[AskedRow, ...]  # most money first


_TOTALS = sa.text(f"""
    SELECT i.replay_id, i.creates + i.updates + i.activates + i.closes > 0 AS writes,
           CASE WHEN i.money_reporting IS NULL THEN i.currency END AS unconverted, count(*) AS n,
           sum(i.money_reporting) AS reporting, sum(i.money) AS amount
    FROM core.replay_item AS i JOIN core.contract AS c USING (contract_id)
    WHERE i.replay_id = ANY(:ids) AND i.confirmed AND i.finished_at IS NULL AND {OF_CONTRACT} GROUP BY 1, 2, 3
""")
_FIRST = sa.text(f"""
    SELECT wanted.id AS replay_id, f.* FROM unnest(CAST(:ids AS bigint[])) AS wanted(id) CROSS JOIN LATERAL (
        SELECT c.external_id, c.title, c.customer_name, c.legal_entity, i.money, i.currency
        FROM core.replay_item AS i JOIN core.contract AS c USING (contract_id)
        WHERE i.replay_id = wanted.id AND i.confirmed AND i.finished_at IS NULL AND {OF_CONTRACT}
        ORDER BY i.money_reporting DESC NULLS LAST, i.position LIMIT :most) AS f
""")


def asked(
    conn: sa.Connection, ids: Sequence[int], *, most: int, reporting: str, entities: Entities
) -> Mapping[int, Asked]:
    """Of these replays; of each the first `most` contracts."""
    groups = conn.execute(_TOTALS, {"ids": list(ids), **bound(entities)}).all()
    named = conn.execute(_FIRST, {"ids": list(ids), "most": most, **bound(entities)}).all()
    return {
        replay_id: Asked(
            count=sum(g.n for g in groups if g.replay_id == replay_id),
            money=add_up(
                (Part(g.n, g.reporting, g.unconverted, g.amount) for g in groups
                 if g.replay_id == replay_id and g.writes), reporting,
            ),
            first=tuple(
                AskedRow(row.external_id, row.title, row.customer_name, row.legal_entity,
                         Money(row.money, row.currency) if row.currency else None)
                for row in named if row.replay_id == replay_id
            ),
        )
        for replay_id in ids
    }  # fmt: skip
