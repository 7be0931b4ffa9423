"""Answers kept for a short while, so that a thousand contracts do not ask a thousand times for the same currency."""

import asyncio
import weakref
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from sync_core.clock import Clock

T = TypeVar("T")
_MANY = 1000


class Kept(Generic[T]):
    """One asker fetches, the others wait for it. What is absent is not kept: a person may be just adding it."""

    def __init__(self, clock: Clock, *, lasts: timedelta) -> None:
        self._clock, self._lasts = clock, lasts
        self._held: dict[str, tuple[T, datetime]] = {}
        # A lock is gone once nobody waits for it.
        self._locks: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()

    async def get(self, key: str, fetch: Callable[[], Awaitable[T | None]]) -> T | None:
        if (held := self._fresh(key)) is not None:
            return held
        async with self._locks.setdefault(key, asyncio.Lock()):
            if (held := self._fresh(key)) is not None:
                return held
            found = await fetch()
            if found is not None:
                self._keep(key, found, self._clock.now())
            return found

    def _keep(self, key: str, found: T, now: datetime) -> None:
        if len(self._held) >= _MANY:
            self._held = {name: held for name, held in self._held.items() if held[1] > now}
        self._held[key] = found, now + self._lasts

    def _fresh(self, key: str) -> T | None:
        value, until = self._held.get(key, (None, None))
        return value if until is not None and self._clock.now() < until else None
