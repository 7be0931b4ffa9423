"""How far the contracts signed in a window came: the number that reached each step, so that a loss shows.

Whoever became active passed every step before it, so the journal is read only for those who did not.
"""

from datetime import datetime

import pandas as pd
import sqlalchemy as sa

from sync_core.progress import FUNNEL
from sync_core.reads.scope import CONTRACT, Entities, bound

REACHED = sa.text(f"""
    WITH stuck AS MATERIALIZED (
        SELECT contract_id FROM core.contract
        WHERE signed_at >= :since AND signed_at <= :now AND NOT test AND first_active_at IS NULL
          AND {CONTRACT}
    ), reached AS (
        SELECT contract_id, max(array_position(CAST(:funnel AS text[]), step)) AS step
        FROM core.progress WHERE contract_id = ANY(ARRAY(SELECT contract_id FROM stuck)) GROUP BY contract_id
    )
    SELECT greatest(reached.step, 2) AS step, count(*) AS contracts
    FROM stuck LEFT JOIN reached USING (contract_id) GROUP BY 1
""")


def funnel(
    conn: sa.Connection, *, since: datetime, now: datetime, active: int, quarantined: int, entities: Entities
) -> pd.DataFrame:
    """Columns: step (Step, in order), cases. `quarantined` signatures were never captured: the first step has them."""
    steps = [step.value for step in FUNNEL]
    furthest = [0] * len(steps)
    furthest[0], furthest[-1] = quarantined, active
    for row in conn.execute(REACHED, {"since": since, "now": now, "funnel": steps, **bound(entities)}):
        furthest[row.step - 1] += row.contracts
    cases = [sum(furthest[at:]) for at in range(len(steps))]
    return pd.DataFrame({"step": steps, "cases": cases})
