"""What tells the measures of a change that leaves no event, run, history or financial fact.

Those four they find by themselves, by the ids of their transactions. Any other change of what they measure notes its
contracts here, in its own transaction, and is found in the same way. Notes are only ever added by the core and never
unique, so nobody who works waits for somebody who measures. Only the table is known: the core imports nothing of the
measures.
"""

import sqlalchemy as sa

_MARK = "INSERT INTO metrics.mark (contract_id) SELECT DISTINCT contract_id FROM {rows}"


def marking(rows: str) -> str:
    """A common table expression: marks the contracts of `rows`, which has a contract_id."""
    return f"marked_for_measures AS ({_MARK.format(rows=rows)})"


MARK = sa.text(_MARK.format(rows="unnest(CAST(:ids AS bigint[])) AS gone(contract_id)"))
