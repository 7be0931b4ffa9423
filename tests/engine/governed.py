"""Test only: a bench whose estate asks approvals, with people's commands on the same database and clock."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from sync_core.commands.commands import Commands
from sync_core.engine.worker import Worker
from sync_core.estate.estate import Estate, load
from sync_core.reads import Reads
from tests.engine.support import Bench
from tests.sows import ESTATE_TOML

RULES = """
[[owner]]
function = "finance_operations"
name = "Finance"
email = "finance@example.test"

[[approval]]
name = "Large contracts"
from_amount = 100000
"""


def governed_estate() -> Estate:
    return load(ESTATE_TOML + RULES)


@dataclass
class Desk(Bench):
    """`people` and `reads` see what the workers did, and the other way round."""

    sync: sa.Engine | None = None
    estate: Estate = field(default_factory=governed_estate)
    _worker: Worker | None = None

    @property
    def people(self) -> Commands:
        assert self.sync is not None
        return Commands(self.sync, clock=self.clock, estate=self.estate)

    @property
    def reads(self) -> Reads:
        assert self.sync is not None
        return Reads(self.sync, clock=self.clock, estate=self.estate)

    async def run(self, *, after: timedelta = timedelta()) -> None:
        """Let one worker do all that is due after so much time."""
        self.virtual.advance(after)
        self._worker = self._worker or await self.worker()
        await self._worker.drain()

    async def cases(self) -> list[tuple[Any, ...]]:
        return await self.rows("SELECT cause, function, state FROM core.case ORDER BY case_id")

    async def case_id(self, cause: str) -> int:
        """The newest of that cause."""
        return int((await self.rows("SELECT max(case_id) FROM core.case WHERE cause = :c", c=cause))[0][0])

    async def told(self, case_id: int) -> list[str]:
        """Its history."""
        found = await self.rows("SELECT what FROM core.case_history WHERE case_id = :c ORDER BY recorded_at", c=case_id)
        return [str(row[0]) for row in found]
