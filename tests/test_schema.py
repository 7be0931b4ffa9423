"""The tables: made by the migration, with the rights that the architecture promises."""

import pytest
import sqlalchemy as sa


@pytest.mark.parametrize("table", ["event", "run", "operation", "progress", "case_history", "financial_fact"])
def test_the_application_cannot_change_or_delete_facts(database: sa.Engine, table: str) -> None:
    column = {"operation": "status", "event": "id"}.get(table, "recorded_at")
    for statement in (f"DELETE FROM core.{table}", f"UPDATE core.{table} SET {column} = NULL"):
        with database.begin() as conn, pytest.raises(sa.exc.ProgrammingError, match="permission denied"):
            conn.execute(sa.text(statement))
