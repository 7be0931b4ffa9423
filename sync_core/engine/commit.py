"""Batching: many callers, one transaction every few milliseconds.

`Batcher.submit` returns when the caller's item is committed. While one transaction runs the next batch fills,
so the batch grows with the load by itself. A batch that fails is halved until the poison item stands alone:
only its caller sees the error.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import sqlalchemy as sa

Item = TypeVar("Item")
Result = TypeVar("Result")
Store = Callable[[Sequence[Item]], Awaitable[Sequence[Result]]]


class Batcher(Generic[Item, Result]):
    """Groups items for `store`, which writes a sequence in one transaction and returns one result per item.

    A batch is written `gather_s` after its first item, or as soon as it holds `enough()`, asked at each item.
    """

    def __init__(
        self,
        store: Store[Item, Result],
        *,
        most: int = 200,
        gather_s: float = 0.004,
        enough: Callable[[], int] | None = None,
    ) -> None:
        self._store, self._most, self._gather_s = store, most, gather_s
        self._enough = enough or (lambda: most)
        self._full = asyncio.Event()
        self._queue: list[tuple[Item, asyncio.Future[Result]]] = []
        self._running: asyncio.Task[None] | None = None

    async def submit(self, item: Item) -> Result:
        """Raises what `store` raised for this very item."""
        done: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._queue.append((item, done))
        if len(self._queue) >= self._enough():
            self._full.set()
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._drain())
        return await done

    async def _drain(self) -> None:
        while self._queue:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._gather_s):
                    await self._full.wait()
            self._full.clear()
            batch, self._queue = self._queue[: self._most], self._queue[self._most :]
            await self._write(batch)

    async def _write(self, batch: list[tuple[Item, asyncio.Future[Result]]]) -> None:
        try:
            results = await self._store([item for item, _ in batch])
        except Exception as wrong:
            if _is_lost(wrong):
                self._fail(batch, wrong)
                return
            # A poison item fails whatever it is stored with: the halves tell who it is.
            if len(batch) == 1:
                self._fail(batch, wrong)
                return
            middle = len(batch) // 2
            await self._write(batch[:middle])
            await self._write(batch[middle:])
            return
        except BaseException as wrong:
            self._fail(batch, wrong)
            raise
        for (_, done), result in zip(batch, results, strict=True):
            if not done.done():
                done.set_result(result)

    @staticmethod
    def _fail(batch: list[tuple[Item, asyncio.Future[Result]]], wrong: BaseException) -> None:
        for _, done in batch:
            if not done.done():
                done.set_exception(wrong)


def _is_lost(wrong: Exception) -> bool:
    """The database cannot be reached: halves would fail too, each after its own time-out."""
    return isinstance(wrong, sa.exc.OperationalError) and getattr(wrong.orig, "sqlstate", None) is None
