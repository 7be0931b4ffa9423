"""The audit as the database holds it, streamed in the order of ids for `audit_verify`.

One read-only snapshot, so that commands that go on meanwhile are not taken for additions behind the head. A time that
Python cannot hold can only be an edit: it is read as none, and the row does not fit then.
"""

import threading
from collections.abc import Generator
from contextlib import closing
from typing import Final

import psycopg
import sqlalchemy as sa

from sync_core.audit.audit import Row
from sync_core.audit.checkpoint import Checkpoint
from sync_core.audit.verify import Head, Verdict, verify
from sync_core.errors import TielineError

_AT_ONCE: Final = 2_000

_HEAD = sa.text("SELECT id, hash FROM core.audit_head ORDER BY id DESC LIMIT 1")
_ROWS: Final = """
    SELECT id, CASE WHEN occurred_at > '0001-01-02' AND occurred_at < '9999-12-31' THEN occurred_at END AS occurred_at,
           actor, actor_kind, roles, action, subject, reason, contract_id, legal_entity, correlation_id, detail, items,
           items_root, previous, hash
    FROM core.audit ORDER BY id
"""


class Interrupted(TielineError):
    """The verification was told to stop before its end; it says nothing about the audit."""

    code = "audit.interrupted"


def verify_database(
    engine: sa.Engine, checkpoints: list[Checkpoint], *, stop: threading.Event | None = None
) -> Verdict:
    """Reads all rows once; a million take no more memory than a thousand. Raises Interrupted once `stop` is set."""
    options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with engine.connect().execution_options(**options) as conn, conn.begin(), closing(_rows(conn, stop)) as rows:
        return verify(rows, _head(conn), checkpoints)


def _head(conn: sa.Connection) -> Head | None:
    found = conn.execute(_HEAD).one_or_none()
    return None if found is None else Head(int(found.id), bytes(found.hash))


def _rows(conn: sa.Connection, stop: threading.Event | None) -> Generator[Row]:
    driver = conn.connection.driver_connection
    if not isinstance(driver, psycopg.Connection):
        raise TypeError("the audit is read through psycopg; give an engine of postgresql+psycopg")
    # SQLAlchemy's own streaming held all rows in the end: 1.9 GB for a million. This is a cursor of the server's.
    with driver.cursor(name="audit_verification") as cursor:
        cursor.itersize = _AT_ONCE
        cursor.execute(_ROWS, binary=True)
        while some := cursor.fetchmany(_AT_ONCE):
            if stop is not None and stop.is_set():
                raise Interrupted("the verification of the audit was stopped before its end; run it again")
            yield from map(Row._make, some)
