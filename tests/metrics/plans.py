"""Test only: contracts with schedules, and what is foreseen of them."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import sqlalchemy as sa

from metrics.asking import Ask, Window
from metrics.kpi import Answer
from metrics.measures import Measures
from sync_core.clock import VirtualClock
from tests import rows
from tests.metrics.billing import LONG
from tests.metrics.support import caught_up
from tests.reads.handmade import add_contract

NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)


class Plans:
    def __init__(self, engine: sa.Engine) -> None:
        self.engine, self.clock, self.estate = engine, VirtualClock(NOW), rows.estate()
        self.measures = Measures(engine, clock=self.clock, estate=self.estate)

    def contract(self, external_id: str, **columns: object) -> int:
        kept = {"billing": "milestones", "external_id": external_id} | columns
        return add_contract(self.engine, took=1.0, **kept)  # type: ignore[arg-type]

    def refresh(self) -> datetime:
        self.clock.advance(timedelta(minutes=1))
        return caught_up(self.engine, self.clock, self.estate).at

    def answer(self, window: Window = LONG) -> Answer:
        return self.measures.kpi("forecast-accuracy", Ask(window)).answer

    def planned(self) -> dict[tuple[str, str], Decimal]:
        """By contract and month."""
        with self.engine.connect() as conn:
            found = conn.execute(sa.text("""
                SELECT c.external_id, CAST(f.month AS text), f.amount FROM metrics.schedule_fact AS f
                JOIN core.contract AS c USING (contract_id)
                WHERE f.known_to IS NULL AND f.milestones > 0"""))  # fmt: skip
            return {(row[0], row[1]): row[2] for row in found}
