"""Test only: people of each kind, and the commands over one database."""

import sqlalchemy as sa

from sync_core.authority import person
from sync_core.clock import Clock, VirtualClock
from sync_core.commands.commands import Commands
from sync_core.estate.estate import Estate
from tests import rows

TAX = person("tax@example.com", ["operator:tax"])
LEGAL = person("legal@example.com", ["operator:legal"])
FINANCE = person("finance@example.com", ["operator:finance_operations"])
DELIVERY = person("pmo@example.com", ["operator:delivery"])
EVERYTHING = person("all@example.com", ["operator"])
APPROVER = person("approver@example.com", ["approver"])
ADMINISTRATOR = person("admin@example.com", ["administrator"])
EXECUTIVE = person("chief@example.com", ["executive"])
BRITISH_TAX = person("uk-tax@example.com", ["operator:tax@GB01"])
BRITISH_APPROVER = person("uk-approver@example.com", ["approver@GB01"])


def commands(engine: sa.Engine, *, clock: Clock | None = None, estate: Estate | None = None) -> Commands:
    return Commands(engine, clock=clock or VirtualClock(rows.NOW), estate=estate or rows.estate())


def audited(engine: sa.Engine) -> list[sa.RowMapping]:
    with engine.connect() as conn:
        return list(conn.execute(sa.text("SELECT * FROM core.audit ORDER BY id")).mappings())


def history_of(engine: sa.Engine, case_id: int) -> list[sa.RowMapping]:
    with engine.connect() as conn:
        found = conn.execute(
            sa.text("SELECT * FROM core.case_history WHERE case_id = :c ORDER BY recorded_at"), {"c": case_id}
        )
        return list(found.mappings())


def case_row(engine: sa.Engine, case_id: int) -> sa.RowMapping:
    with engine.connect() as conn:
        return conn.execute(sa.text("SELECT * FROM core.case WHERE case_id = :c"), {"c": case_id}).mappings().one()
