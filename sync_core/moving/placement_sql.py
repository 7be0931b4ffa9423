"""Statements on where moved contracts belong (core.placement), beside the group commit and the commands that use them.

A placement changes in the hands of the contract's lease, in the transaction of its run's outcome; or, while nobody
holds the contract, under the lock of its row.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from sync_core.engine.outcome import Outcome

# The ERP was read back: nothing of the contract can be billed there any more. What the crosswalk knows of it there is
# closed with it; the invoiced milestones stay what they are.
_LEFT: Final = sa.text("""
    WITH r AS MATERIALIZED (
        SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(id bigint, lane text, behind jsonb)
    ), closed AS (
        UPDATE core.crosswalk AS x SET state = 'closed', confirmed_at = :now
        FROM r WHERE x.contract_id = r.id AND x.system = r.lane AND x.state = 'confirmed'
          AND NOT (x.kind = 'milestone' AND jsonb_exists(r.behind -> 'milestones', x.business_key))
    )
    UPDATE core.placement AS p
    SET leaving = NULL, left_at = :now, was = NULL, behind = p.behind || jsonb_build_object(r.lane, r.behind)
    FROM r WHERE p.contract_id = r.id AND p.leaving = r.lane
""")
_BACK: Final = """
    put_back AS (
        UPDATE core.placement AS p SET lane = p.was ->> 'lane', leaving = p.was ->> 'leaving', was = NULL
        FROM r WHERE p.contract_id = r.id AND p.leaving = r.lane AND p.was IS NOT NULL
    )
    DELETE FROM core.placement AS p USING r WHERE p.contract_id = r.id AND p.leaving = r.lane AND p.was IS NULL
"""
_STAYS: Final = sa.text(f"""
    WITH r AS MATERIALIZED (
        SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(id bigint, lane text)
    ), {_BACK}
""")
# What finance settled in an ERP that was left, as it was read there again.
_SETTLED: Final = sa.text("""
    WITH r AS MATERIALIZED (
        SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(id bigint, behind jsonb)
    ), told AS (
        UPDATE core.crosswalk AS x SET invoiced = CAST(m.value AS numeric)
        FROM r CROSS JOIN LATERAL jsonb_each(r.behind) AS b(lane, known)
             CROSS JOIN LATERAL jsonb_each_text(b.known -> 'milestones') AS m(key, value)
        WHERE x.contract_id = r.id AND x.system = b.lane AND x.kind = 'milestone' AND x.business_key = m.key
          AND x.state = 'confirmed'
    )
    UPDATE core.placement AS p SET behind = p.behind || r.behind
    FROM r WHERE p.contract_id = r.id AND p.leaving IS NULL
""")
# Of a move that was cancelled: contracts that nothing was done for yet stay where they were. Before their items end.
CANCELLED: Final = sa.text(f"""
    WITH free AS MATERIALIZED (
        SELECT c.contract_id, c.replay_id FROM core.contract AS c JOIN core.replay AS r USING (replay_id)
        WHERE r.state = 'cancelled' AND r.move_to IS NOT NULL AND r.finished_at IS NULL
          AND r.replay_id = coalesce(:replay_id, r.replay_id) AND c.lease_owner IS NULL
        ORDER BY c.source, c.external_id FOR UPDATE OF c
    ), r AS MATERIALIZED (
        SELECT p.contract_id AS id, p.leaving AS lane
        FROM free JOIN core.placement AS p USING (contract_id) JOIN core.replay_item AS i
             ON i.replay_id = free.replay_id AND i.contract_id = free.contract_id
        WHERE p.leaving IS NOT NULL AND i.finished_at IS NULL AND NOT (i.in_hand OR i.sent)
    ), {_BACK}
""")
# Confirmed with the rest of a move: what is invoiced to the end stays where it is, whatever the policy says later.
PIN: Final = sa.text("""
    INSERT INTO core.placement (contract_id, lane, replay_id, placed_at)
    SELECT i.contract_id, r.move_from, r.replay_id, :now
    FROM core.replay AS r JOIN core.replay_item AS i USING (replay_id)
    WHERE r.replay_id = :replay_id AND r.move_to IS NOT NULL AND r.undoes IS NULL
      AND i.findings @> CAST(:nothing_left AS jsonb)
    ON CONFLICT (contract_id) DO NOTHING
""")


async def store(conn: AsyncConnection, outcomes: Sequence[Outcome], *, now: datetime) -> None:
    """What these runs say of where their contracts belong. Only of those whose lease still was ours."""
    said = [(o.claimed.contract_id, o.left) for o in outcomes if o.left is not None]
    gone = [{"id": i, "lane": left.lane, "behind": left.behind.stored} for i, left in said if left.behind is not None]
    stays = [{"id": i, "lane": left.lane} for i, left in said if left.behind is None]
    if settled := [_behind(o) for o in outcomes if o.behind]:
        await conn.execute(_SETTLED, {"rows": orjson.dumps(settled).decode()})
    if gone:
        await conn.execute(_LEFT, {"rows": orjson.dumps(gone).decode(), "now": now})
    if stays:
        await conn.execute(_STAYS, {"rows": orjson.dumps(stays).decode()})


def _behind(outcome: Outcome) -> dict[str, object]:
    by_lane = {lane: behind.stored for lane, behind in outcome.behind.items()}
    return {"id": outcome.claimed.contract_id, "behind": by_lane}
