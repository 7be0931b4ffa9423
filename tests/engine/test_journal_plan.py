"""The group commit looks its rows up by index, however large the tables are."""

from datetime import UTC, datetime

import sqlalchemy as sa

from sync_core.journal.sql import STORE
from tests.databases import DatabaseUrls
from tests.rows import seed

NOW = datetime(2026, 11, 25, tzinfo=UTC)
LARGE = ("contract", "crosswalk", "progress", "case")
DOCUMENT = '{"contracts": [], "runs": [], "operations": [], "crosswalk": [], "progress": [], "cases": [], "items": []}'


def test_no_large_table_is_read_as_a_whole(database_urls: DatabaseUrls, database: sa.Engine) -> None:
    seed(database_urls.owner, 20_000)
    with database.begin() as conn:
        explained = sa.text(f"EXPLAIN (COSTS OFF) {STORE.text}").bindparams(doc=DOCUMENT, now=NOW, worker=1, policy="")
        plan = "\n".join(conn.execute(explained).scalars())
    read_whole = [table for table in LARGE if f"Seq Scan on {table} " in plan or f"Seq Scan on {table}\n" in plan]
    assert read_whole == [], plan
