"""Exceptions and quarantined events of the first release live on under the second."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from alembic import command

from app.postgres.embedded import Endpoint
from sync_core.store.migrate import _config, migrate
from tests import databases

NOW = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
def blank(server: Endpoint) -> Iterator[str]:
    """The owner's URL of an empty database."""
    urls = databases.clone(server, databases.template(server, "tieline_blank", lambda url: None))
    yield urls.owner
    databases.drop(server, urls)


def test_existing_exceptions_keep_their_state_and_get_what_is_new(blank: str) -> None:
    engine = sa.create_engine(blank, poolclass=sa.NullPool)
    with engine.begin() as conn:
        command.upgrade(_config(conn, "tieline_app"), "0001")
        conn.execute(sa.text("""
            INSERT INTO core.contract (source, external_id, state, state_since, received_at, updated_at, legal_entity)
            VALUES ('s', 'C-1', 'blocked', :now, :now, :now, 'US01')
        """), {"now": NOW})  # fmt: skip
        conn.execute(sa.text("""
            INSERT INTO core.case (contract_id, cause, error_class, function, severity, message, state, opened_at,
                                   seen_at, resolved_at)
            SELECT contract_id, cause, 'missing_data', 'tax', 'low', 'm', v.state, :now, :now, at
            FROM core.contract, (VALUES ('a', 'open', NULL), ('b', 'resolved', CAST(:now AS timestamptz)))
                AS v(cause, state, at)
        """), {"now": NOW})  # fmt: skip
        conn.execute(sa.text("""
            INSERT INTO core.case_history (case_id, what, function, occurred_at, recorded_at)
            SELECT case_id, 'opened', function, opened_at, opened_at FROM core.case
        """))  # fmt: skip
    migrate(blank, app_role="tieline_app")
    with engine.begin() as conn:
        rows = conn.execute(sa.text("SELECT cause, state, closed_how, group_key, version FROM core.case ORDER BY 1"))
        assert [tuple(row) for row in rows] == [
            ("a", "open", None, "a US01", 1), ("b", "resolved", "read_back", "b US01", 1),
        ]  # fmt: skip
        assert conn.scalar(sa.text("SELECT count(*) FROM core.case_history WHERE actor = 'tieline'")) == 2
        again = """INSERT INTO core.case (contract_id, cause, error_class, function, severity, message, state,
            opened_at, seen_at) SELECT contract_id, :cause, 'x', 'tax', 'low', 'm', 'open', :now, :now
            FROM core.contract"""
        conn.execute(sa.text(again), {"cause": "b", "now": NOW})
        with pytest.raises(sa.exc.IntegrityError, match="case_open_cause"), conn.begin_nested():
            conn.execute(sa.text(again), {"cause": "a", "now": NOW})
    engine.dispose()
