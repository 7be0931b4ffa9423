"""Answers kept for a short while, so that a thousand contracts do not ask a thousand times for the same currency."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from sync_core.clock import Clock

T = TypeVar("T")


class Kept(Generic[T]):
    """One asker fetches, the others wait for it. What is absent is not kept: a person may be just adding it."""

    def __init__(self, clock: Clock, *, lasts: timedelta) -> None:
        self._clock, self._lasts = clock, lasts
        self._held: dict[str, tuple[T, datetime]] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def get(self, key: str, fetch: Callable[[], Awaitable[T | None]]) -> T | None:
        if (held := self._fresh(key)) is not None:
            return held
        async with self._locks.setdefault(key, asyncio.Lock()):
            if (held := self._fresh(key)) is not None:
                return held
            found = await fetch()
            if found is not None:
                self._held[key] = found, self._clock.now() + self._lasts
            return found

    def _fresh(self, key: str) -> T | None:
        value, until = self._held.get(key, (None, None))
        return value if until is not None and self._clock.now() < until else None
