"""What tells the measures of a change that leaves no event, run, history or financial fact.

Those four they find by themselves, by their transactions. Any other change of what they measure marks its contracts
here, in its own transaction; the next refresh looks at them again. Only the table is known: the core imports nothing of
the measures.

A mark that is there already is locked, not passed over: a refresh that took it before the change was committed would
measure what was before, and take the mark away. In the order of the contracts, so that no two wait for each other.
"""

import sqlalchemy as sa

_MARK = """INSERT INTO metrics.dirty (contract_id) SELECT DISTINCT contract_id FROM {rows} ORDER BY contract_id
    ON CONFLICT (contract_id) DO UPDATE SET contract_id = excluded.contract_id"""


def marking(rows: str) -> str:
    """A common table expression: marks the contracts of `rows`, which has a contract_id."""
    return f"marked_for_measures AS ({_MARK.format(rows=rows)})"


MARK = sa.text(_MARK.format(rows="unnest(CAST(:ids AS bigint[])) AS gone(contract_id)"))
