"""What an ERP that takes its writes in batches adds: a window, groups handed over, and what it answers in the morning.

Pure. Such an ERP posts a group whole or not at all: a contract's own writes are one group, each new shared object is
one of its own. Until it has answered, a group lies in the ERP's inbox and is seen there by whoever looks.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import orjson

from sync_core.desired import Kind
from sync_core.keys import BusinessKey, ErpRef
from sync_core.plan import Action, Operation, Plan

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class BatchWindow:
    """When batches are taken and answered, in the ERP's own zone. Opening and closing at the same time: always open."""

    opens: time
    closes: time
    answers: time  # of the morning after
    zone: str  # IANA

    def is_open(self, now: datetime) -> bool:
        at = now.astimezone(ZoneInfo(self.zone)).time()
        if self.opens < self.closes:
            return self.opens <= at < self.closes
        return at >= self.opens or at < self.closes

    def opens_after(self, now: datetime) -> datetime:
        return self._next(self.opens, now)

    def answer_after(self, now: datetime) -> datetime:
        """When a batch that is handed over now is answered: the first answer once its window has closed."""
        return self.answer_after_close(self._next(self.closes, now) - timedelta(microseconds=1))

    def answer_after_close(self, after: datetime) -> datetime:
        """The next time of answers."""
        return self._next(self.answers, after)

    def _next(self, at: time, after: datetime) -> datetime:
        """The next moment after `after` at which it is `at` there."""
        zone = ZoneInfo(self.zone)
        day = after.astimezone(zone).date() - _DAY
        while True:
            moment = datetime.combine(day, at, zone).astimezone(after.tzinfo)
            if moment > after:
                return moment
            day += _DAY


@dataclass(frozen=True, slots=True)
class Group:
    """Writes that are posted whole or not at all. `shared`: of one object that serves many contracts."""

    owner: BusinessKey  # the contract, or the shared object
    operations: tuple[Operation, ...]
    shared: Kind | None = None
    project: ErpRef | None = None  # what its parts belong to, where that stands already

    @property
    def mark(self) -> str:
        """Names the effect: the ERP keeps it with the group, so that a refusal is known to be of this very wish."""
        effects = [[o.action, o.kind, o.key, o.ref, o.before, o.after] for o in self.operations]
        return hashlib.sha256(orjson.dumps(effects, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Handed:
    """A group that lies in the inbox, not answered yet."""

    owner: BusinessKey
    shared: Kind | None
    batch: str
    answer_due: datetime


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of the last group of an owner that was answered. `refusals`: the ERP's words; none: it is posted."""

    owner: BusinessKey
    shared: Kind | None
    batch: str
    mark: str
    handed_at: datetime
    answered_at: datetime
    refusals: tuple[str, ...] = ()
    posted: frozenset[ErpRef] = frozenset()


def groups_of(plan: Plan, handed: Iterable[Handed]) -> tuple[Group, list[Group]]:
    """The contract's own group, and those of the shared objects that no batch has yet."""
    there = {(one.shared, one.owner) for one in handed}
    project = next((o.ref for o in plan.operations if o.kind is Kind.PROJECT and o.action is Action.NO_OP), None)
    own = Group(plan.contract, tuple(o for o in plan.writes if not o.kind.shared), project=project)
    shared = [o for o in plan.writes if o.kind.shared and (o.kind, o.key) not in there]
    return own, [Group(o.key, (o,), o.kind) for o in shared]


def own_handed(plan: Plan, handed: Sequence[Handed]) -> Handed | None:
    return next((one for one in handed if one.shared is None and one.owner == plan.contract), None)


def own_answer(plan: Plan, answers: Sequence[Answer]) -> Answer | None:
    return next((one for one in answers if one.shared is None and one.owner == plan.contract), None)


def posted_refs(
    answers: Iterable[Answer], contract: BusinessKey, known: Mapping[BusinessKey, ErpRef]
) -> frozenset[ErpRef]:
    """Documents that the last answer made for this contract, and that nobody has journalled yet."""
    made = {ref for one in answers if one.shared is None and one.owner == contract for ref in one.posted}
    return frozenset(made - set(known.values()))
