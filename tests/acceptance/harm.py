"""What a host does to workers: it kills one in the middle of its work, or lets one stand still beyond its lease."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from tests.acceptance.processes import House, Process

_BUSY = """
    SELECT w.name FROM core.worker AS w JOIN core.contract AS c ON c.lease_owner = w.worker_id GROUP BY 1 ORDER BY 1
"""
_UNFINISHED = "SELECT count(*) FROM core.contract WHERE state <> 'active'"
_LEFT = "SELECT count(*) FROM core.replay_item WHERE state = 'pending'"
_SOON_S = 40.0


@dataclass
class Crew:
    """Workers on one database; `work_done` is any number that grows with their work."""

    house: House
    workers: list[Process]
    dice: random.Random
    work_done: Callable[[], int]
    harmed: int = 0

    def suffer(self, *, at: int, kill: bool) -> None:
        """Once so much is done, one that has work in hand: killed and replaced, or paused beyond its lease.

        Nothing happens when all work that came is finished before a busy one is found.
        """
        self.house.until(f"{at} is done", lambda: self.work_done() >= at, within_s=_SOON_S)
        self._until("somebody is busy", lambda: bool(self._busy()))
        busy = self._busy()
        if not busy:
            return
        self.harmed += 1
        victim = self.dice.choice(busy)
        if kill:
            victim.kill()
            self.workers[self.workers.index(victim)] = self.house.worker()
        else:
            self._stall(victim)

    def _stall(self, victim: Process) -> None:
        """It goes on when others have taken its contracts and worked on them."""
        victim.pause()
        before = self.work_done()
        self._until("its contracts are taken from it", lambda: victim not in self._busy())
        self._until("others went on", lambda: self.work_done() > before + 3)
        victim.go_on()

    def _busy(self) -> list[Process]:
        pids = {str(name).rpartition(":")[2] for (name,) in self.house.rows(_BUSY)}
        return [worker for worker in self.workers if str(worker.pid) in pids]

    def _until(self, what: str, condition: Callable[[], bool]) -> None:
        self.house.until(what, lambda: condition() or self.house.number(_UNFINISHED) == 0, within_s=_SOON_S)


class ReplayCrew(Crew):
    """There is work as long as an item is pending; a worker that previews is not seen to be busy."""

    def _until(self, what: str, condition: Callable[[], bool]) -> None:
        self.house.until(what, lambda: condition() or self.house.number(_LEFT) == 0, within_s=60)
