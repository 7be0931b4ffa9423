"""Lines that a library logs at each failed attempt: one a minute, with how many there were."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

EVERY_S: Final = 60.0


class Seldom(logging.Filter):
    """For the handlers of one logger or several, of which the first line of a minute passes; for all threads."""

    def __init__(self, every_s: float = EVERY_S, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._every_s, self._now = every_s, now
        self._lock = threading.Lock()
        self._next, self._held = 0.0, 0

    def filter(self, record: logging.LogRecord) -> bool:
        with self._lock:
            if self._now() < self._next:
                self._held += 1
                return False
            held, self._held, self._next = self._held, 0, self._now() + self._every_s
        if held:
            record.msg, record.args = f"{record.getMessage()} (and {held:,} such lines before, not shown)", None
        return True
