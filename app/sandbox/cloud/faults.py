"""Faults on demand: what goes wrong, in which operations, how often. Seeded, so that a run can be repeated."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase

from app.sandbox.cloud.problems import invalid


class Effect(StrEnum):
    LATENCY = "latency"  # works, `seconds` late: after its client gave up, perhaps
    STATUS = "status"  # answers `status`
    HANG = "hang"  # never answers
    RESET = "reset"  # drops the connection
    DRIP = "drip"  # works, and sends its answer byte by byte over `seconds`
    RATE_LIMIT = "rate_limit"  # 429, with `retry_after` if given
    STORES_NOTHING = "stores_nothing"  # answers as if it had worked
    UNAUTHORISED = "unauthorised"  # 401


@dataclass(slots=True)
class Fault:
    """`operation` is a pattern such as "project.*"; `write` and `read` stand for all of these.

    `after_commit` lets STATUS, HANG and RESET strike once the work is done and stored.
    """

    effect: Effect
    operation: str = "*"
    count: int | None = None  # how many more times; None: until cleared
    probability: float = 1.0
    seconds: float = 5.0
    status: int = 500
    retry_after: str | None = None
    after_commit: bool = False
    struck: int = 0

    def fits(self, operation: str, write: bool) -> bool:
        if self.count is not None and self.struck >= self.count:
            return False
        return self.operation == ("write" if write else "read") or fnmatchcase(operation, self.operation)


@dataclass(slots=True)
class Faults:
    """The faults that are set now; of several that fit, the first one that its dice allow strikes."""

    seed: int = 0
    active: list[Fault] = field(default_factory=list)
    dice: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)  # noqa: S311 - a rehearsed failure, not a secret

    def add(self, fault: Fault) -> None:
        self.active.append(fault)

    def clear(self) -> None:
        self.active.clear()

    def take(self, operation: str, *, write: bool) -> Fault | None:
        for fault in self.active:
            if fault.fits(operation, write) and (fault.probability >= 1 or self.dice.random() < fault.probability):
                fault.struck += 1
                return fault
        return None


_NUMBERS = {"count": int, "probability": float, "seconds": float, "status": int}


def fault_of(body: Mapping[str, object]) -> Fault:
    """A fault from the JSON of the admin API."""
    try:
        fault = Fault(Effect(str(body.get("effect"))), str(body.get("operation", "*")))
        for name, number in _NUMBERS.items():
            value = body.get(name)
            if value is not None:
                setattr(fault, name, number(str(value)))
    except ValueError as error:
        raise invalid("invalid_fault", f"{error}; effects are {', '.join(Effect)}") from error
    retry_after = body.get("retry_after")
    fault.retry_after = None if retry_after is None else str(retry_after)
    fault.after_commit = body.get("after_commit") is True
    return fault
