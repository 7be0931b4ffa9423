"""Of the contracts that the watch for drift knows, those that ended and were compared since leave its turn."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from alembic import command

from app.postgres.embedded import Endpoint
from sync_core.store.migrate import _config, migrate
from tests import databases

NOW = datetime(2026, 11, 1, tzinfo=UTC)
COMPARED = NOW + timedelta(hours=1)


@pytest.fixture
def blank(server: Endpoint) -> Iterator[str]:
    """The owner's URL of an empty database."""
    urls = databases.clone(server, databases.template(server, "tieline_blank", lambda url: None))
    yield urls.owner
    databases.drop(server, urls)


def test_ended_contracts_that_were_compared_since_leave_the_turn(blank: str) -> None:
    engine = sa.create_engine(blank, poolclass=sa.NullPool)
    known = [("ended", "same", NOW), ("newer", "same", COMPARED + timedelta(hours=1)), ("differs", "differs", NOW),
             ("active", "same", NOW)]  # fmt: skip
    with engine.begin() as conn:
        command.upgrade(_config(conn, "tieline_app"), "0006")
        for name, outcome, updated_at in known:
            conn.execute(sa.text("""
                WITH made AS (
                    INSERT INTO core.contract (source, external_id, state, state_since, received_at, updated_at,
                                               legal_entity)
                    VALUES ('s', :name, :state, :now, :now, :at, 'US01') RETURNING contract_id)
                INSERT INTO core.drift_check (contract_id, lane, checked_at, outcome)
                SELECT contract_id, 'cloud', :compared, :outcome FROM made
            """), {"name": name, "state": "active" if name == "active" else "ended", "now": NOW, "at": updated_at,
                   "compared": COMPARED, "outcome": outcome})  # fmt: skip
    migrate(blank, app_role="tieline_app")
    with engine.connect() as conn:
        left = conn.execute(sa.text("""
            SELECT c.external_id, d.left_at FROM core.drift_check AS d JOIN core.contract AS c USING (contract_id)
            WHERE d.left_at IS NOT NULL
        """))  # fmt: skip
        assert [tuple(row) for row in left] == [("ended", COMPARED)]
        together = """SELECT count(*) FROM core.drift_check AS d JOIN pg_attribute AS a ON a.xmin = d.xmin
                      WHERE a.attrelid = CAST('core.drift_check' AS regclass) AND a.attname = 'left_at'"""
        assert conn.scalar(sa.text(together)) == 0, "the lock of adding the column outlasts the walk over all rows"
        turn = conn.scalars(sa.text("SELECT indexname FROM pg_indexes WHERE tablename = 'drift_check' ORDER BY 1"))
        assert turn.all() == ["drift_check_asked", "drift_check_pkey", "drift_check_turn"]
    engine.dispose()
