"""Versions of facts that a release before had wrong say what was so, and nothing else changes of them."""

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


def test_of_an_invoice_that_nobody_disputed_nothing_was_disputed(blank: str) -> None:
    engine = sa.create_engine(blank, poolclass=sa.NullPool)
    with engine.begin() as conn:
        command.upgrade(_config(conn, "tieline_app"), "0005")
        conn.execute(sa.text("""
            INSERT INTO metrics.invoice_fact (contract_id, system, ref, legal_entity, service_line, geography, billing,
                test, kind, status, currency, amount, issued_on, period, month, disputes, disputed, dispute_state, late,
                cause, sync_cause, credited, paid, foreign_disputes, foreign_payments, known_from)
            SELECT 1, 'cloud', ref, 'US01', '', '', 'milestones', false, 'invoice', 'issued', 'JPY', 21750000,
                DATE '2026-06-03', DATE '2026-06-01', 317, disputes, disputed, '', false, '', '', 0, 0, 0, 0, :now
            FROM (VALUES ('I-1', 0, 21750000), ('I-2', 1, 100000)) AS v(ref, disputes, disputed)
        """), {"now": NOW})  # fmt: skip
    migrate(blank, app_role="tieline_app")
    with engine.connect() as conn:
        found = conn.execute(sa.text("SELECT ref, amount, disputed FROM metrics.invoice_fact ORDER BY ref"))
        assert [tuple(row) for row in found] == [("I-1", 21750000, 0), ("I-2", 21750000, 100000)]
    engine.dispose()
