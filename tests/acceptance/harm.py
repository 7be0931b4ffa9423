"""What a host does to workers: it kills one in the middle of its work, or lets one stand still beyond its lease."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from tests.acceptance.processes import House, Process

_IN_HAND = """
    SELECT count(*) FROM core.contract WHERE lease_owner IN (SELECT worker_id FROM core.worker WHERE name LIKE %s)
"""
_SOON_S = 40.0


@dataclass
class Crew:
    """Workers on one database, and how much of their work is done (any number that grows)."""

    house: House
    workers: list[Process]
    dice: random.Random
    work_done: Callable[[], int]
    finished: Callable[[], bool]

    def suffer(self, moments: list[int]) -> None:
        """At each moment one worker that works: by turns killed and replaced, or paused beyond its lease."""
        for turn, moment in enumerate(moments):
            self._until(f"{moment} is done", lambda moment=moment: self.work_done() >= moment)  # type: ignore[misc]
            victim = self.dice.choice(self.workers)
            self._until("it works", lambda victim=victim: self._in_hand(victim) > 0)  # type: ignore[misc]
            if turn % 2 == 0:
                victim.kill()
                self.workers[self.workers.index(victim)] = self.house.worker()
            else:
                self._stall(victim, moment)

    def _stall(self, victim: Process, moment: int) -> None:
        """It goes on when others have taken its contracts and worked on them."""
        victim.pause()
        self._until("its contracts are taken from it", lambda: self._in_hand(victim) == 0)
        self._until("others went on", lambda: self.work_done() > moment + 3)
        victim.go_on()

    def _until(self, what: str, condition: Callable[[], bool]) -> None:
        self.house.until(what, lambda: condition() or self.finished(), within_s=_SOON_S)

    def _in_hand(self, worker: Process) -> int:
        return self.house.number(_IN_HAND, f"%:{worker.pid}")
