"""The approver of the demo's past: decides by the real command, days after it was asked, and is behind at the end."""

import asyncio
import logging
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final

import sqlalchemy as sa

from app.sandbox.chance import chance
from sync_core.authority import person
from sync_core.cases.approvals import NEEDED
from sync_core.commands.commands import Commands
from sync_core.commands.desk import CommandRefused

log = logging.getLogger(__name__)

APPROVER: Final = person("group-finance-director@meridian.example", ["approver"])
OPENS_AT: Final = 9  # UTC
AT_LEAST_DAYS, AT_MOST_DAYS = 0.5, 3.0
LEFT, LEFT_WITHIN = 2, timedelta(days=21)  # so many that are so young at the end still wait
REASONS: Final = (
    "Margin and payment terms are within the policy",
    "The board agreed in its last meeting",
    "The customer's credit was checked, no objection",
)

_WAITING = sa.text("""
    SELECT k.case_id, k.opened_at, c.external_id FROM core.case AS k JOIN core.contract AS c USING (contract_id)
    WHERE k.state = 'open' AND k.cause = :cause AND k.decided_by IS NULL ORDER BY k.opened_at, k.case_id
""")


@dataclass(slots=True)
class Approver:
    """One person; the same decisions for the same past."""

    engine: sa.Engine
    commands: Commands
    seed: object
    until: datetime
    looked_on: date | None = field(default=None, init=False)

    async def decide(self, now: datetime) -> int:
        """Once on a working day, what has waited long enough; how many contracts may go on."""
        if now.weekday() > 4 or now.hour < OPENS_AT or now.date() == self.looked_on:
            return 0
        self.looked_on = now.date()
        return await asyncio.to_thread(self._decide, now)

    def _decide(self, now: datetime) -> int:
        with self.engine.connect() as conn:
            waiting = conn.execute(_WAITING, {"cause": NEEDED}).all()
        left = {row.case_id for row in waiting[-LEFT:] if row.opened_at > self.until - LEFT_WITHIN}
        decided = 0
        for row in waiting:
            rng = chance(self.seed, "approval", row.external_id)
            takes = timedelta(days=rng.uniform(AT_LEAST_DAYS, AT_MOST_DAYS))
            if row.case_id not in left and row.opened_at + takes <= now:
                decided += self._approve(row.case_id, rng.choice(REASONS))
        return decided

    def _approve(self, case_id: int, reason: str) -> bool:
        try:
            self.commands.approvals.decide(APPROVER, case_id, True, reason)
        except CommandRefused as wait:
            log.info("the approver looks again tomorrow: %s", wait.message)  # the contract changed just now
            return False
        return True
