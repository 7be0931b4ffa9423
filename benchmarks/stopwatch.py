"""Where the time of a page goes: reads (their SQL and what is worked out of it), figures, and the rest of the script.

Nothing is replaced: the product's own classes and functions run, each noting when it begins and ends. What is read
while something else is read, and what is read while a figure is made, is counted once, where it was read.
"""

import inspect
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from types import ModuleType
from typing import Any, Final

import sqlalchemy as sa

READS: Final = "reads"
FIGURES: Final = "figures"


@dataclass(slots=True)
class Lap:
    """Seconds by what they went into, and how many statements were sent. `cpu`: this process's, for reads."""

    seconds: dict[str, float] = field(default_factory=lambda: {READS: 0.0, FIGURES: 0.0, "sql": 0.0, "cpu": 0.0})
    statements: int = 0


class Stopwatch:
    """For one thread at a time, whichever it is."""

    def __init__(self) -> None:
        self._lap, self._open, self._lock = Lap(), list[str](), threading.RLock()

    def lap(self) -> Lap:
        """What was counted since the last one."""
        done, self._lap = self._lap, Lap()
        return done

    @contextmanager
    def noting(self, kind: str) -> Iterator[None]:
        outer = self._open[-1] if self._open else None
        if outer in (kind, READS):
            yield
            return
        self._open.append(kind)
        begun, cpu = time.perf_counter(), time.thread_time()
        try:
            yield
        finally:
            spent = time.perf_counter() - begun
            self._open.pop()
            if kind == READS:
                self._lap.seconds["cpu"] += time.thread_time() - cpu
            self._lap.seconds[kind] += spent
            if outer is not None:
                self._lap.seconds[outer] -= spent

    def noted(self, kind: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def timed(*given: Any, **named: Any) -> Any:
            with self.noting(kind):
                return function(*given, **named)

        return timed

    def class_of(self, known: type) -> type:
        """The same class; each public method of it notes its time as reads."""
        methods = {
            name: self.noted(READS, one)
            for name, one in inspect.getmembers(known, inspect.isfunction)
            if not name.startswith("_") and name not in ("within", "reach")
        }
        return type(known.__name__, (known,), methods)

    def figures_of(self, module: ModuleType) -> None:
        """Each public function of the module notes its time as figures, for good."""
        for name, one in inspect.getmembers(module, inspect.isfunction):
            if not name.startswith("_") and one.__module__ == module.__name__:
                setattr(module, name, self.noted(FIGURES, one))

    def listen(self, engine: sa.Engine) -> None:
        """To the statements of an engine."""
        begun: list[float] = []

        def before(*_: object) -> None:
            begun.append(time.perf_counter())

        def after(*_: object) -> None:
            self._lap.seconds["sql"] += time.perf_counter() - begun.pop()
            self._lap.statements += 1

        sa.event.listen(engine, "before_cursor_execute", before)
        sa.event.listen(engine, "after_cursor_execute", after)
