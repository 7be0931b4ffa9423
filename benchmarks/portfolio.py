"""A firm's contracts of four years with all that hangs on them, set by set: what the dashboard benchmark reads.

Deterministic for a size. Each contract has ten operations and about 25 further rows. Half a per cent is on its way or
blocked, which is as many as a week of signatures; one in five was amended, one in eight had an exception, one in fifty
of its invoices was disputed. `C-<n>` is the n-th; what became of it follows from n.
"""

from datetime import UTC, datetime
from typing import Final

import sqlalchemy as sa

from benchmarks.portfolio_sql import CHANGES, MARK, STATEMENTS
from sync_core.estate.estate import Estate, load

TURNS: Final = 4
NOW: Final = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
SOURCE: Final = "urn:bench:clm"
ENTITIES: Final = ("US01", "GB01", "DE01", "FR01")

_ESTATE: Final = f"""
[group]
name = "Bench Partners"
reporting_currency = "USD"
timezone = "Europe/London"

[[clm]]
name = "clm"
source = "{SOURCE}"
kind = "sandbox"

[[revenue]]
recognition = "over_time"
account = "4000"
category = "consulting"
"""
_LANES: Final = ("cloud", "legacy")
_PLACES: Final = (
    ("US01", "US", "USD", "America/New_York", "cloud"), ("GB01", "GB", "GBP", "Europe/London", "cloud"),
    ("DE01", "DE", "EUR", "Europe/Berlin", "legacy"), ("FR01", "FR", "EUR", "Europe/Paris", "legacy"),
)  # fmt: skip
_RATES: Final = (("GBP", "1.25"), ("EUR", "1.10"))


def estate() -> Estate:
    """The estate that the contracts belong to."""
    parts = [_ESTATE]
    parts += [f'[[erp]]\nname = "{lane}"\nkind = "{lane}"\n' for lane in _LANES]
    parts += [
        f'[[entity]]\ncode = "{code}"\nname = "Bench {country}"\ncountry = "{country}"\ncurrency = "{currency}"\n'
        f'timezone = "{zone}"\nerp = "{lane}"\n'
        for code, country, currency, zone, lane in _PLACES
    ]
    parts += [
        f'[[exchange_rate]]\ncurrency = "{currency}"\nrate = {rate}\nvalid_from = 2020-01-01\n'
        for currency, rate in _RATES
    ]
    return load("\n".join(parts))


def seed(owner: sa.Engine, contracts: int) -> None:
    """Into an empty, migrated database; then vacuum and analyse, as a database at rest would be."""
    values = {"contracts": contracts, "now": NOW, "source": SOURCE}
    with owner.begin() as conn:
        conn.execute(sa.text("SET LOCAL synchronous_commit = off; SET LOCAL work_mem = '64MB';"
                             " SET LOCAL maintenance_work_mem = '512MB'; SELECT setseed(0.42)"))  # fmt: skip
        # Built once at the end, indexes cost half of what they cost row by row.
        indexes = conn.execute(_PLAIN_INDEXES).all()
        for index in indexes:
            conn.execute(sa.text(f"DROP INDEX {index.name}"))
        for statement in STATEMENTS:
            conn.execute(statement, {name: values[name] for name in statement.compile().params})
        for index in indexes:
            conn.exec_driver_sql(index.definition)
    settle(owner)


def change(owner: sa.Engine, contracts: int, *, turn: int) -> None:
    """A first amendment of so many active contracts comes and is read back; others at each `turn` up to TURNS."""
    with owner.begin() as conn:
        for statement in CHANGES:
            values = {"contracts": contracts, "now": NOW, "turn": turn}
            conn.execute(statement, {name: values[name] for name in statement.compile().params})


def mark(owner: sa.Engine, contracts: int, *, turn: int) -> None:
    """The same contracts are to be looked at again, though nothing happened to them."""
    with owner.begin() as conn:
        conn.execute(MARK, {"contracts": contracts, "turn": turn})


def settle(owner: sa.Engine) -> None:
    """As autovacuum leaves it. Statistics of the rollups, too, which a refresh has filled."""
    with owner.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(sa.text("VACUUM (ANALYZE)"))


_PLAIN_INDEXES = sa.text("""
    SELECT CAST(CAST(indexrelid AS regclass) AS text) AS name, pg_get_indexdef(indexrelid) AS definition
    FROM pg_index JOIN pg_class ON pg_class.oid = indrelid
    WHERE relnamespace = CAST('core' AS regnamespace) AND NOT indisunique
""")
