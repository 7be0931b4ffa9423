"""Alembic's entry point; the connection is passed in by sync_core.store.migrate, so there is no ini file."""

from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection, version_table="schema_version", transaction_per_migration=True)
with context.begin_transaction():
    context.run_migrations()
