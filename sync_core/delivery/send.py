"""The sender: takes events to subscribers, at least once and in order for each of them.

A subscriber's place moves behind an event only after its 2xx, so a crash repeats and never loses; a receiver tells
repeats by the webhook-id. Subscribers are served side by side, each under a lease: a slow one delays no other, and a
dead worker's are taken over when the lease lapses.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import aiohttp
import httpx
import sqlalchemy as sa
from httpx_aiohttp import HttpxAiohttpClient
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.clock import Clock
from sync_core.connectors.http import never_sent
from sync_core.delivery import envelope, send_sql
from sync_core.delivery.envelope import Outgoing
from sync_core.estate.delivery import Subscriber
from sync_core.intake.signatures import SigningKey

log = logging.getLogger(__name__)

FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=5), timedelta(hours=1)
TIMEOUT_S: Final = 15.0
LEASE_S: Final = 60.0
_BATCH, _MOVE_AFTER, _MOVE_AFTER_S = 50, 20, 1.0
_MOST_READ: Final = 1 << 16
_GONE, _COME_LATER = 410, frozenset({429, 503})
_PART_S: Final = 2.0
TICK_S: Final = 1.0


class NotDelivered(Exception):
    """An attempt that failed; the message is for whoever looks after the subscriber and holds no secret."""

    def __init__(self, words: str, *, gone: bool = False, wait: timedelta = timedelta()) -> None:
        super().__init__(words)
        self.words, self.gone, self.wait = words, gone, wait


@dataclass(slots=True)
class _Turn:
    """One subscriber under our lease. `send_before`: local monotonic time."""

    subscriber: Subscriber
    after: int  # the last event that is over
    failures: int
    token: int
    send_before: float
    moved_at: float = field(default_factory=time.monotonic)
    unmoved: int = 0  # delivered since the place was stored

    @property
    def fence(self) -> dict[str, object]:
        return {"name": self.subscriber.name, "token": self.token}


def http_client(timeout_s: float = TIMEOUT_S) -> httpx.AsyncClient:
    """Follows no redirect: a signed event goes where the estate says, or nowhere."""
    return HttpxAiohttpClient(timeout=timeout_s, follow_redirects=False, trust_env=False)


def wait_of(failures: int, chance: float) -> timedelta:
    """Before the attempt after `failures` in a row, at least one; `chance` in [0, 1) is the jitter."""
    longest_s = min(FIRST_WAIT.total_seconds() * 2.0 ** min(failures - 1, 20), LONGEST_WAIT.total_seconds())
    return timedelta(seconds=longest_s * (0.5 + chance / 2))


class Sender:
    """`keys`: by subscriber; one without a key gets nothing and says so. Safe to run on every worker at once."""

    def __init__(
        self,
        engine: AsyncEngine,
        clock: Clock,
        subscribers: Sequence[Subscriber],
        keys: Mapping[str, Sequence[SigningKey]],
        client: httpx.AsyncClient,
        *,
        source: str,
        base_url: str,
        timeout_s: float = TIMEOUT_S,
        lease_s: float = LEASE_S,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._engine, self._clock, self._keys, self._client = engine, clock, keys, client
        self._subscribers = {one.name: one for one in subscribers}
        self._source, self._base_url = source, base_url.rstrip("/")
        self._timeout_s, self._lease_s, self._chance = timeout_s, lease_s, chance
        self._serving: dict[str, asyncio.Task[None]] = {}

    async def declare(self) -> None:
        """Give subscribers that are new to the estate their place: at the end. Commits."""
        async with self._engine.begin() as conn:
            await conn.execute(send_sql.DECLARE, {"names": sorted(self._subscribers)})

    async def run(self) -> None:
        """Until cancelled. Raises when the database is lost."""
        if not self._subscribers:
            return
        await self.declare()
        async with asyncio.TaskGroup() as group:
            while True:
                await self.tick(group)
                await asyncio.sleep(TICK_S)

    async def drain(self) -> None:
        """Send all that is due at this moment of the clock."""
        await self.declare()
        while True:
            async with asyncio.TaskGroup() as group:
                if not await self.tick(group):
                    return

    async def tick(self, group: asyncio.TaskGroup) -> int:
        """Begin to serve what is due and served by nobody; how many."""
        free = sorted(name for name in self._subscribers if name not in self._serving)
        if not free:
            return 0
        before = time.monotonic() + self._lease_s - self._timeout_s
        async with self._engine.begin() as conn:
            bound = {"names": free, "now": self._clock.now(), "lease_s": self._lease_s}
            claimed = (await conn.execute(send_sql.CLAIM, bound)).all()
        for row in claimed:
            turn = _Turn(self._subscribers[row.name], row.sent_seq, row.failures, row.lease_token, before)
            self._serving[row.name] = group.create_task(self._serve(turn))
        return len(claimed)

    async def _serve(self, turn: _Turn) -> None:
        try:
            while await self._batch(turn):
                pass
        except NotDelivered as wrong:
            await self._failed(turn, wrong)
        except asyncio.CancelledError:
            await self._part(turn)
            raise
        except (sa.exc.SQLAlchemyError, OSError):
            raise  # the database's
        except Exception as wrong:
            # The boundary of one subscriber: a fault of ours with it must stop no other.
            log.exception("subscriber %s could not be served by a fault of ours", turn.subscriber.name)
            await self._failed(turn, NotDelivered(f"a fault of Tieline's own ({type(wrong).__name__}); see the log"))
        finally:
            del self._serving[turn.subscriber.name]

    async def _part(self, turn: _Turn) -> None:
        """On a clean stop: keep what was delivered, and let others have it at once. Without it the lease lapses."""
        with contextlib.suppress(sa.exc.SQLAlchemyError, OSError, TimeoutError):
            async with asyncio.timeout(_PART_S):
                if not turn.unmoved or await self._move(turn):
                    await self._write(send_sql.GIVE_BACK, turn)

    async def _batch(self, turn: _Turn) -> bool:
        """Send the next events; whether there may be more. Raises NotDelivered."""
        head, events = await self._next(turn)
        for event in events:
            if time.monotonic() >= turn.send_before:
                return False  # another worker has it by now, or will soon
            await self._attempt(turn, event)
            turn.after, turn.unmoved = event.seq, turn.unmoved + 1
            long_ago = time.monotonic() - turn.moved_at > _MOVE_AFTER_S
            if (turn.unmoved >= _MOVE_AFTER or long_ago) and not await self._move(turn):
                return False
        if len(events) < _BATCH:
            turn.after = max(turn.after, head)
        if not await self._move(turn):
            return False
        if len(events) == _BATCH:
            return True
        await self._write(send_sql.GIVE_BACK, turn)
        return False

    async def _next(self, turn: _Turn) -> tuple[int, list[Outgoing]]:
        one = turn.subscriber
        bound = {
            "after": turn.after,
            "name": one.name,
            "entities": None if one.entities is None else list(one.entities),
            "prefixes": list(one.prefixes),
            "most": _BATCH,
        }
        async with self._engine.connect() as conn:
            rows = (await conn.execute(send_sql.NEXT, bound)).all()
        return rows[0].head, [Outgoing.of(row) for row in rows if row.seq is not None]

    async def _attempt(self, turn: _Turn, event: Outgoing) -> None:
        one = turn.subscriber
        keys = self._keys.get(one.name, ())
        if not keys:
            raise NotDelivered(f"there is no usable secret; set {one.secret_env[0]} (whsec_...) for the workers")
        content = envelope.body(event, source=self._source, base_url=self._base_url)
        headers = envelope.headers(event, content, keys=keys, at=self._clock.now())
        try:
            async with asyncio.timeout(self._timeout_s):
                status, wait = await self._post(one.url, content, headers)
        except (httpx.HTTPError, aiohttp.ClientError, OSError, TimeoutError) as wrong:
            raise NotDelivered(self._words(wrong)) from wrong
        if not 200 <= status < 300:
            raise NotDelivered(f"answered {status} to {event.type}", gone=status == _GONE, wait=wait)

    async def _post(self, url: str, content: bytes, headers: Mapping[str, str]) -> tuple[int, timedelta]:
        read = 0
        async with self._client.stream("POST", url, content=content, headers=dict(headers)) as answer:
            async for chunk in answer.aiter_raw():  # read, so that the connection can be used again
                read += len(chunk)
                if read > _MOST_READ:
                    break
            asked = answer.headers.get("retry-after", "") if answer.status_code in _COME_LATER else ""
        seconds = int(asked[:6]) if asked.isascii() and asked.isdigit() else 0
        return answer.status_code, min(timedelta(seconds=seconds), LONGEST_WAIT)

    def _words(self, wrong: Exception) -> str:
        cause = wrong.__cause__
        name = type(cause if isinstance(cause, aiohttp.ClientError) else wrong).__name__
        if never_sent(wrong):
            return f"cannot be reached ({name})"
        return f"gave no answer within {self._timeout_s:g} s or broke the connection ({name})"

    async def _move(self, turn: _Turn) -> bool:
        """Store the place and renew the lease; False: the lease is not ours any more."""
        before = time.monotonic() + self._lease_s - self._timeout_s
        ok_at = self._clock.now() if turn.unmoved else None
        mine = await self._write(send_sql.ADVANCE, turn, seq=turn.after, ok_at=ok_at, lease_s=self._lease_s)
        if turn.unmoved:
            turn.failures = 0
        turn.unmoved, turn.moved_at, turn.send_before = 0, time.monotonic(), before
        return mine

    async def _failed(self, turn: _Turn, wrong: NotDelivered) -> None:
        name, now = turn.subscriber.name, self._clock.now()
        if turn.unmoved and not await self._move(turn):
            return
        if wrong.gone:
            log.warning("subscriber %s is paused: it %s", name, wrong.words)
            await self._write(send_sql.GONE, turn, words=wrong.words, now=now)
            return
        wait = max(wait_of(turn.failures + 1, self._chance()), wrong.wait)
        log.warning("subscriber %s: %s; again in %d s", name, wrong.words, wait.total_seconds())
        await self._write(send_sql.FAILED, turn, words=wrong.words, now=now, next_at=now + wait)

    async def _write(self, statement: sa.TextClause, turn: _Turn, **values: object) -> bool:
        async with self._engine.begin() as conn:
            return (await conn.execute(statement, {**turn.fence, **values})).rowcount > 0
