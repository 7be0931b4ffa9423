"""What programs read of contracts, for the audit: one thing asked for by its id at once, lists summed by the minute.

A row for each page of a list would make the audit a log of requests. So each process collects which contracts it
showed to whom, and appends one row for each program, permission and minute: how many requests, how many contracts, and
a Merkle root over their ids. A process that is killed loses the lists of its last minute; nothing else.
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from sync_core.audit import audit
from sync_core.authority import Actor, Permission
from sync_core.clock import Clock

NAMED: Final = 500  # ids that stand in the row itself; of more there is the root
MOST_HELD: Final = 200_000  # ids in memory, over all; beyond, the rows are written before their minute is over
_MINUTE: Final = timedelta(minutes=1)

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Seen:
    actor: Actor
    permission: Permission
    minute: datetime
    requests: int = 0
    contracts: set[int] = field(default_factory=set)

    @property
    def entry(self) -> audit.Entry:
        ids = sorted(self.contracts)
        named = {"contract_ids": ids} if len(ids) <= NAMED else {"first": ids[0], "last": ids[-1]}
        detail = {"minute": self.minute, "requests": self.requests, "contracts": len(ids), **named}
        subject = f"{self.permission} {self.minute:%Y-%m-%d %H:%M}"
        return audit.Entry("api.list", subject, detail=detail, items=ids)


class AccessLog:
    """Safe for many threads. `engine` has the application's rights, to the primary."""

    def __init__(self, engine: sa.Engine, clock: Clock) -> None:
        self._engine, self._clock = engine, clock
        self._lock = threading.Lock()
        self._seen: dict[tuple[str, str, Permission, datetime], _Seen] = {}

    def one(self, actor: Actor, entry: audit.Entry) -> None:
        """Audit it now. Call it before what was read is sent."""
        with self._engine.begin() as conn:
            audit.append(conn, actor, [entry], now=self._clock.now())

    def listed(self, actor: Actor, permission: Permission, contract_ids: Iterable[int]) -> None:
        """One request that showed these contracts, perhaps none."""
        minute = self._clock.now().replace(second=0, microsecond=0)
        with self._lock:
            seen = self._seen.setdefault(
                (actor.name, actor.roles, permission, minute), _Seen(actor, permission, minute)
            )
            seen.requests += 1
            seen.contracts.update(contract_ids)
            full = sum(len(one.contracts) for one in self._seen.values()) > MOST_HELD
        if full:
            self.write()

    def write(self, *, before: datetime | None = None) -> int:
        """Append what was collected, of minutes before `before` or all; the number of rows. Raises what SQL raises.

        What could not be appended is kept for the next time.
        """
        with self._lock:
            keys = [key for key, seen in self._seen.items() if before is None or seen.minute < before]
            taken = [self._seen.pop(key) for key in keys]
        try:
            self._append(taken)
        except sa.exc.SQLAlchemyError:
            self._put_back(taken)
            raise
        return len(taken)

    def _append(self, taken: list[_Seen]) -> None:
        if not taken:
            return
        with self._engine.begin() as conn:
            for seen in taken:
                audit.append(conn, seen.actor, [seen.entry], now=self._clock.now())

    def _put_back(self, taken: list[_Seen]) -> None:
        with self._lock:
            for one in taken:
                key = (one.actor.name, one.actor.roles, one.permission, one.minute)
                seen = self._seen.setdefault(key, _Seen(one.actor, one.permission, one.minute))
                seen.requests += one.requests
                seen.contracts |= one.contracts

    async def run(self) -> None:
        """Write each minute once it is over, until cancelled; then what is left."""
        try:
            while True:
                now = self._clock.now()
                await asyncio.sleep(60 - now.second - now.microsecond / 1e6 + 0.01)
                await asyncio.to_thread(self._write_or_say, finished=True)
        finally:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.shield(asyncio.to_thread(self._write_or_say, finished=False))

    def _write_or_say(self, *, finished: bool) -> None:
        minute = self._clock.now().replace(second=0, microsecond=0)
        try:
            self.write(before=minute if finished else None)
        except sa.exc.SQLAlchemyError as wrong:
            kept = "kept for the next minute" if finished else "lost with this process"
            _log.error("lists that programs read could not be audited, %s: %s", kept, wrong)
