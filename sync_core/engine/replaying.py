"""A worker's part in replays: its previewer and its dispatcher, beside its reconciler and on the same lanes."""

import asyncio

from sync_core.engine.dispatch import Dispatcher
from sync_core.engine.preview import Previewer
from sync_core.engine.worker import Worker

TICK_S = 0.5


class Replayer:
    """Of one worker. `run` goes on until it is cancelled, and raises when the database is lost."""

    def __init__(self, worker: Worker) -> None:
        w = worker
        self._worker = worker
        self.previewer = Previewer(w.engine, w.connectors, w.lanes, w.estate, w.clock, w.worker_id, w.pace)
        nightly = [lane for lane, connector in w.connectors.items() if connector.capabilities.batches is not None]
        self.dispatcher = Dispatcher(w.engine, w.clock, nightly)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.previewer.run())
            group.create_task(self._dispatch())

    async def drain(self) -> None:
        """Preview, dispatch and reconcile until nothing is due at this moment of the clock."""
        while True:
            busy = await self.previewer.drain()
            busy += await self.dispatcher.tick()
            busy += await self._worker.drain()
            if not busy:
                return

    async def _dispatch(self) -> None:
        while True:
            if await self.dispatcher.tick():
                self._worker.wake.set()
            await asyncio.sleep(TICK_S)
