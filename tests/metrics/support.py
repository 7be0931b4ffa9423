"""Test only: measures that have taken in all that the test has committed, and the statements that they send."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from metrics.refresh import Refreshed, refresh
from sync_core.clock import Clock, VirtualClock
from sync_core.estate.estate import Estate
from tests import rows

_MARK = sa.text("SELECT CAST(CAST(pg_current_xact_id() AS text) AS bigint)")
_OLDEST = sa.text("SELECT CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint)")


def caught_up(
    engine: sa.Engine, clock: Clock, estate: Estate, *, batch: int = 2_000, release: str | None = None
) -> Refreshed:
    """One refresh, once nothing committed before can be left out."""
    settled(engine)
    return refresh(engine, clock=clock, estate=estate, batch=batch, release=release)


def measured(contracts: int) -> Callable[[str], None]:
    """Fills a database (tests/filled.py) with as many contracts of tests/rows.py, measured once."""

    def fill(owner_url: str) -> None:
        rows.seed(owner_url, contracts)
        engine = sa.create_engine(owner_url, poolclass=sa.NullPool)
        caught_up(engine, VirtualClock(rows.NOW), rows.estate())
        engine.dispose()

    return fill


def settled(engine: sa.Engine) -> None:
    """Waits until the next refresh leaves out nothing that is committed: other tests' transactions on the same server,
    which it would have to wait behind and a second one follow, have ended.
    """
    with engine.begin() as conn:
        mark: int = conn.scalar(_MARK) or 0
    deadline = time.monotonic() + 120
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        while (conn.scalar(_OLDEST) or 0) <= mark:
            assert time.monotonic() < deadline, "transactions of others have kept the measures back for two minutes"


@contextmanager
def statements(engine: sa.Engine) -> Iterator[list[str]]:
    """What is sent in the block."""
    sent: list[str] = []

    def note(_conn: object, _cursor: object, statement: str, *_: object) -> None:
        sent.append(statement)

    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)
