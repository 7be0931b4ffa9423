"""Bringing a database to this release's tables.

Run with the owner's URL; the application's role gets its rights from the migrations and owns nothing. A
session lock lets several hosts start at once: one migrates, the others wait and find it done.
"""

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from sync_core.locks import Lock

_MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK = sa.text(f"SELECT pg_advisory_lock({Lock.MIGRATION}, 1)")
_UNLOCK = sa.text(f"SELECT pg_advisory_unlock({Lock.MIGRATION}, 1)")


def migrate(owner_url: str, *, app_role: str) -> None:
    """Upgrade to the newest revision. Commits; safe to repeat and to run from several hosts at once."""
    engine = sa.create_engine(owner_url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.execute(_LOCK)
        connection.commit()
        try:
            command.upgrade(_config(connection, app_role), "head")
            connection.commit()
        finally:
            connection.rollback()
            connection.execute(_UNLOCK)
            connection.commit()
    engine.dispose()


def _config(connection: sa.Connection, app_role: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    config.attributes["app_role"] = app_role
    return config
