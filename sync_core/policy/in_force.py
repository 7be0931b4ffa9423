"""The policy that people activated, which stands above the file that a process is started with."""

from dataclasses import dataclass

import sqlalchemy as sa

# No table: a database that `tieline migrate` has not brought to this release yet.
_TABLE = sa.text("SELECT to_regclass('core.policy_proposal') IS NOT NULL")
_LATEST = sa.text("""
    SELECT policy_id, body FROM core.policy WHERE proposal_id IS NOT NULL ORDER BY policy_id DESC LIMIT 1
""")


@dataclass(frozen=True, slots=True)
class InForce:
    policy_id: int
    body: str


NOBODYS = 0  # policy id while nobody has activated one


def latest(conn: sa.Connection) -> InForce | None:
    """None: nobody has activated one, so the file's holds."""
    if not conn.scalar(_TABLE):
        return None
    row = conn.execute(_LATEST).one_or_none()
    return InForce(int(row.policy_id), row.body) if row else None
