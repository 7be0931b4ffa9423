"""The notifier: reads outgoing events for each rule of the estate and sends what is news as one message.

A rule's place moves behind events only once their message was taken, so a failure repeats and never loses. What cannot
wait has a place of its own before the digest, and goes at once, then at most once a minute.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.clock import Clock
from sync_core.delivery import notify_sql
from sync_core.delivery.channel import NotSent
from sync_core.delivery.notices import CLOSING, Note, Told, select, types_of
from sync_core.delivery.wording import Text, compose
from sync_core.estate.calendar import working_intervals
from sync_core.estate.delivery import Notify, Severity
from sync_core.estate.estate import Estate, WorkingTime

log = logging.getLogger(__name__)

URGENT_GAP: Final = timedelta(minutes=1)
TICK_S: Final = 3.0
_LEASE_S, _MOST = 120.0, 5_000
_FIRST_WAIT, _LONGEST_WAIT = timedelta(seconds=30), timedelta(minutes=15)


class Sends(Protocol):
    """A channel; blocking. Raises NotSent."""

    def send(self, text: Text) -> None: ...


@dataclass(frozen=True, slots=True)
class _Turn:
    """One rule under our lease."""

    rule: Notify
    urgent_seq: int
    digest_seq: int
    urgent_at: datetime | None
    failures: int
    token: int

    @property
    def fence(self) -> dict[str, object]:
        return {"name": self.rule.name, "token": self.token}

    @property
    def relevant(self) -> dict[str, object]:
        entities = self.rule.entities
        return {"types": types_of(self.rule), "entities": None if entities is None else list(entities)}


def may_disturb(rule: Notify, estate: Estate, now: datetime) -> bool:
    """A quiet rule waits for working hours of any of its legal entities, or of the group's zone without any."""
    if not rule.quiet:
        return True
    calendars = [(e.working_time, e.timezone) for code in rule.entities or () if (e := estate.entities.get(code))]
    calendars = calendars or [(WorkingTime(), estate.group.timezone)]
    return any(opens <= now for hours, zone in calendars for opens, _ in working_intervals(now, hours, zone, days=2))


class Notifier:
    """`channels`: by rule. Safe to run on every worker at once."""

    def __init__(
        self, engine: AsyncEngine, clock: Clock, estate: Estate, channels: Mapping[str, Sends], *, base_url: str
    ) -> None:
        self._engine, self._clock, self._estate, self._channels = engine, clock, estate, channels
        self._rules = {rule.name: rule for rule in estate.notify}
        self._base_url = base_url.rstrip("/")
        self._busy: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Until cancelled. Raises when the database is lost."""
        if not self._rules:
            return
        async with asyncio.TaskGroup() as group:
            while True:
                await self.tick(group)
                await asyncio.sleep(TICK_S)

    async def drain(self) -> None:
        """Send all that is due at this moment of the clock."""
        async with asyncio.TaskGroup() as group:
            await self.tick(group)

    async def tick(self, group: asyncio.TaskGroup) -> None:
        """Begin with every rule for which something may be due; a slow channel delays no other."""
        free = sorted(name for name in self._rules if name not in self._busy)
        async with self._engine.begin() as conn:
            await conn.execute(notify_sql.DECLARE, {"names": free})
            bound = {"names": free, "now": self._clock.now(), "lease_s": _LEASE_S}
            claimed = (await conn.execute(notify_sql.CLAIM, bound)).all()
        for row in claimed:
            turn = _Turn(
                self._rules[row.name], row.urgent_seq, row.digest_seq, row.urgent_at, row.failures, row.lease_token
            )
            self._busy[row.name] = group.create_task(self._serve(turn))

    async def _serve(self, turn: _Turn) -> None:
        try:
            await self._tell(turn)
            await self._write(notify_sql.GIVE_BACK, turn)
        except NotSent as wrong:
            await self._failed(turn, wrong.words)
        except (sa.exc.SQLAlchemyError, OSError):
            raise  # the database's
        except Exception as wrong:
            # The boundary of one rule: a fault of ours with it must stop no other.
            log.exception("notify %s failed by a fault of ours", turn.rule.name)
            await self._failed(turn, f"a fault of Tieline's own ({type(wrong).__name__}); see the log")
        finally:
            del self._busy[turn.rule.name]

    async def _tell(self, turn: _Turn) -> None:
        now, rule = self._clock.now(), turn.rule
        telling = [name for name in types_of(rule) if name not in CLOSING]
        asked = {"types": telling, "urgent_seq": turn.urgent_seq, "digest_seq": turn.digest_seq}
        async with self._engine.connect() as conn:
            waiting = (await conn.execute(notify_sql.WAITING, {**turn.relevant, **asked})).one()
        nothing = {}
        if not waiting.urgent:
            nothing["urgent_seq"] = waiting.head
        if waiting.digest_since is None:
            nothing["digest_seq"] = waiting.head
        if nothing:
            await self._move(turn, **nothing)
        if not may_disturb(rule, self._estate, now):
            return
        if waiting.urgent and (turn.urgent_at is None or turn.urgent_at + URGENT_GAP <= now):
            await self._send(turn, "urgent_seq", turn.urgent_seq, waiting.head)
        since: datetime | None = waiting.digest_since
        if since is not None and since + timedelta(minutes=rule.digest_minutes) <= now:
            await self._send(turn, "digest_seq", turn.digest_seq, waiting.head)

    async def _send(self, turn: _Turn, place: str, after: int, head: int) -> None:
        """One message of all that waits there, if any of it is news. Raises NotSent."""
        urgent, now = place == "urgent_seq", self._clock.now()
        bound = {**turn.relevant, "after": after, "head": head, "urgent": urgent, "most": _MOST}
        async with self._engine.connect() as conn:
            notes = [_note(row) for row in await conn.execute(notify_sql.READ, bound)]
            abouts = sorted({note.about for note in notes if note.type not in CLOSING})
            known = await conn.execute(notify_sql.TOLD, {"name": turn.rule.name, "abouts": abouts})
            told = {row.about: Told(row.type, Severity(row.severity), row.told_at) for row in known}
        news = select(notes, turn.rule, told, now=now)
        if news:
            text = compose(news, base_url=self._base_url)
            await asyncio.to_thread(self._channels[turn.rule.name].send, text)
            log.info("notify %s: %s", turn.rule.name, text.title)
        reached = notes[-1].seq if len(notes) == _MOST else head
        moment = {"ok_at": now} if news else {}
        await self._move(turn, news, **{place: reached}, **moment, **({"urgent_at": now} if urgent and news else {}))

    async def _move(self, turn: _Turn, news: Sequence[Note] = (), **values: object) -> None:
        unset = {"urgent_seq": None, "digest_seq": None, "urgent_at": None, "ok_at": None}
        async with self._engine.begin() as conn:
            bound = {**turn.fence, **unset, **values, "lease_s": _LEASE_S}
            mine = (await conn.execute(notify_sql.MOVE, bound)).rowcount
            if news and mine:
                listed = [{"about": n.about, "type": n.type, "severity": n.severity} for n in news]
                told = {"name": turn.rule.name, "now": self._clock.now(), "told": orjson.dumps(listed).decode()}
                await conn.execute(notify_sql.REMEMBER, told)

    async def _failed(self, turn: _Turn, words: str) -> None:
        wait = min(_FIRST_WAIT * 2 ** min(turn.failures, 10), _LONGEST_WAIT)
        log.warning("notify %s: %s; again in %d s", turn.rule.name, words, wait.total_seconds())
        await self._write(notify_sql.FAILED, turn, words=words, next_at=self._clock.now() + wait)

    async def _write(self, statement: sa.TextClause, turn: _Turn, **values: object) -> None:
        async with self._engine.begin() as conn:
            await conn.execute(statement, {**turn.fence, **values})


def _note(row: sa.Row[Any]) -> Note:
    severity = Severity(row.severity)
    return Note(row.seq, row.type, row.subject, severity, row.function, row.occurred_at, row.data)
