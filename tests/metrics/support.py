"""Test only: measures that have taken in all that the test has committed."""

import time
from dataclasses import replace

import sqlalchemy as sa

from metrics.refresh import Refreshed, refresh
from sync_core.clock import Clock
from sync_core.estate.estate import Estate

_MARK = sa.text("SELECT CAST(CAST(pg_current_xact_id() AS text) AS bigint)")
_CUT = sa.text("SELECT CAST(CAST(cut AS text) AS bigint) FROM metrics.refresh ORDER BY at DESC LIMIT 1")


def caught_up(
    engine: sa.Engine, clock: Clock, estate: Estate, *, batch: int = 2_000, release: str | None = None
) -> Refreshed:
    """Refresh until nothing committed before is left out: other tests' transactions on the same server hold it up."""
    with engine.begin() as conn:
        mark: int = conn.scalar(_MARK) or 0
    deadline, measured = time.monotonic() + 120, 0
    while time.monotonic() < deadline:
        done = refresh(engine, clock=clock, estate=estate, batch=batch, release=release)
        measured += done.contracts
        with engine.connect() as conn:
            if (conn.scalar(_CUT) or 0) > mark:
                return replace(done, contracts=measured)
    raise AssertionError("transactions of others have kept the measures back for two minutes")
