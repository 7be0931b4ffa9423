"""Somebody who looks at all replays all the time, as pages, API and command line do."""

import threading
from contextlib import AbstractContextManager
from types import TracebackType

import sqlalchemy as sa

from sync_core.clock import SystemClock
from sync_core.estate.estate import load
from sync_core.reads.paging import Window
from sync_core.reads.reads import Reads
from tests.acceptance.processes import House

_EVERY_S = 0.1


class Looks(AbstractContextManager["Looks"]):
    """`wrong`: what did not add up, or what had ended and was pending again; `seen`: the replays looked at."""

    def __init__(self, house: House) -> None:
        engine = sa.create_engine(house.urls.app, pool_size=1)
        self._reads = Reads(engine, clock=SystemClock(), estate=load(house.estate.read_text()))
        self._enough, self._thread = threading.Event(), threading.Thread(target=self._go_on)
        self._engine, self._ended = engine, dict[int, int]()
        self.wrong, self.seen, self.looks = list[str](), set[int](), 0

    def __enter__(self) -> "Looks":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._enough.set()
        self._thread.join()
        self._engine.dispose()

    def _go_on(self) -> None:
        try:
            while not self._enough.wait(_EVERY_S):
                self._look()
        except Exception as wrong:  # told by the test: a thread's error reaches nobody
            self.wrong.append(repr(wrong))
            raise

    def _look(self) -> None:
        for row in self._reads.replays(window=Window(50)).rows:
            one = self._reads.replay(row.replay_id)
            assert one is not None
            for items, states in ((row.items, row.states), (one.totals.items, one.totals.states)):
                if sum(states.values()) != row.items or items != row.items:
                    self.wrong.append(f"replay {row.replay_id} of {row.items}: {dict(states)}")
            if one.totals.ended < self._ended.get(row.replay_id, 0):
                self.wrong.append(f"replay {row.replay_id}: {one.totals.ended} ended, were more")
            self._ended[row.replay_id] = one.totals.ended
            self.seen.add(row.replay_id)
            self.looks += 1
