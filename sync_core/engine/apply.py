"""Carrying out a plan: shared objects, project, parts side by side, read-back, activation, read-back.

Every operation is journalled with its times, whether it worked or not. The order is the order of dependence;
what is independent runs at the same time.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Protocol

from sync_core.clock import Clock
from sync_core.connectors import tracing
from sync_core.desired import Desired, ErpObject, Kind, Project
from sync_core.engine.outcome import Done, Outcome
from sync_core.engine.shared import Reservation
from sync_core.errors import READ_BACK_WORDS, ErrorClass, LeaseLost, ReadBackMismatch, TielineError
from sync_core.keys import BusinessKey, ErpRef
from sync_core.plan import Action, Operation, Plan, diff
from sync_core.ports import CallContext, ErpConnector, Observation, Refs, Scope

Known = Mapping[BusinessKey, ErpRef]
_PARTS = (Kind.CONTRACT_LINE, Kind.MILESTONE, Kind.LABOUR_RATE)


class SharedPending(TielineError):
    """Another contract is creating a shared object that this one needs; look again in a moment."""

    code = "engine.shared_pending"
    error_class = ErrorClass.TRANSIENT


class SharedObjects(Protocol):
    """Reservations of shared objects, committed before they return."""

    async def reserve(self, wanted: Reservation) -> bool: ...

    async def confirm(self, made: Reservation, ref: ErpRef) -> None: ...

    async def abandon(self, wanted: Reservation) -> None: ...


@dataclass(slots=True)
class Applier:
    """Applies one plan of one contract; appends to the outcome what it did."""

    connector: ErpConnector
    shared: SharedObjects
    clock: Clock
    ctx: CallContext
    outcome: Outcome
    scope: Scope
    refs: dict[tuple[Kind, BusinessKey], ErpRef] = field(default_factory=dict)
    posted: frozenset[ErpRef] = frozenset()  # made by a batch, and journalled as that

    async def apply(self, desired: Desired, plan: Plan, observed: Observation, known: Known) -> Observation:
        """The last read-back, in which everything is as wanted. Raises ReadBackMismatch when it is not."""
        # Of doubles the one that the plan keeps is the one to build on.
        self.refs.update({(o.kind, o.key): o.ref for o in plan.operations if o.ref and o.wanted is not None})
        self._learn(observed)
        self.outcome.operations += [
            noted(o, "no_op" if o.kind.shared or o.ref == known.get(o.key) else "adopted", self.clock.now())
            for o in plan.operations
            if o.action is Action.NO_OP and o.ref not in self.posted
        ]
        if not plan.writes:
            return observed
        if await self._shared(plan):
            observed = await self.connector.observe(self.scope, self.ctx)
            self._learn(observed)
        await self._close(plan)
        await self._create(plan, Kind.PROJECT)
        await self._parts(plan)
        observed = await self._read_back(desired, known, until=Action.ACTIVATE)
        activations = [o for o in plan.writes if o.action is Action.ACTIVATE]
        if not activations:
            return observed
        for operation in activations:
            await self._activate(operation)
        return await self._read_back(desired, known)

    def _learn(self, observed: Observation) -> None:
        for found in observed.found:
            if found.active:
                self.refs.setdefault((found.kind, found.key), found.ref)

    async def _shared(self, plan: Plan) -> bool:
        wanted = [o for o in plan.writes if o.kind.shared and o.action is Action.CREATE]
        for operation in wanted:
            await self._create_shared(operation)
        return bool(wanted)

    async def _create_shared(self, operation: Operation) -> None:
        reservation = Reservation(self.connector.name, operation.kind, operation.key)
        # The contract's lease may be renewed, the reservation is not: send no later than it surely stands.
        ctx = replace(self.ctx)
        if not await self.shared.reserve(reservation):
            raise SharedPending(f"{operation.kind} {operation.key} is being created for another contract")
        try:
            # Between our look and the reservation its last holder may have finished.
            again = await self.connector.observe(self.scope, ctx)
            held = next((f for f in again.found if (f.kind, f.key) == (operation.kind, operation.key)), None)
            if held is None:
                await self._create_all([operation], ctx)
            else:
                self.refs[held.kind, held.key] = held.ref
        except BaseException:
            await self.shared.abandon(reservation)
            raise
        await self.shared.confirm(reservation, self.refs[operation.kind, operation.key])

    async def _close(self, plan: Plan) -> None:
        for operation in plan.writes:
            if operation.action is Action.CLOSE and operation.ref is not None:
                close = partial(self.connector.close, operation.kind, operation.ref, self.ctx)
                await self._journalled([operation], close)

    async def _create(self, plan: Plan, kind: Kind) -> None:
        operations = [o for o in plan.writes if o.kind is kind and o.action is Action.CREATE]
        if operations:
            await self._create_all(operations, self.ctx)

    async def _create_all(self, operations: Sequence[Operation], ctx: CallContext) -> None:
        objects = [o.wanted for o in operations if o.wanted is not None]

        async def create() -> None:
            self.refs.update(keyed(objects, await self.connector.create(objects, self._depends(), ctx)))

        await self._journalled(operations, create)

    def _depends(self) -> Refs:
        return self.refs

    async def _parts(self, plan: Plan) -> None:
        """Creates per kind and single updates, side by side; the first failure is raised once all have ended."""
        kinds, updates = list(_PARTS), [o for o in plan.writes if o.action is Action.UPDATE]
        if any(o.kind is Kind.LABOUR_RATE for o in updates):
            # A new price takes its days from another one before that is priced anew.
            kinds.remove(Kind.LABOUR_RATE)
            await self._create(plan, Kind.LABOUR_RATE)
        work = [*(self._create(plan, kind) for kind in kinds), *map(self._update, updates)]
        ended = await asyncio.gather(*work, return_exceptions=True)
        failed = [result for result in ended if isinstance(result, BaseException)]
        if failed:
            raise max(failed, key=_weight)

    async def _update(self, operation: Operation) -> None:
        if operation.wanted is None or operation.ref is None:
            raise ValueError(f"an update of {operation.key} without object or reference; the diff is wrong")
        changed = list(operation.after or {})
        update = partial(self.connector.update, operation.wanted, operation.ref, changed, self.ctx)
        await self._journalled([operation], update)

    async def _activate(self, operation: Operation) -> None:
        if not isinstance(operation.wanted, Project):
            raise ValueError(f"only a project can be activated, not {operation.kind}; the diff is wrong")
        ref = operation.ref or self.refs[Kind.PROJECT, operation.key]
        await self._journalled([operation], partial(self.connector.activate, operation.wanted, ref, self.ctx))

    async def _read_back(self, desired: Desired, known: Known, *, until: Action | None = None) -> Observation:
        observed = await self.connector.observe(self.scope, self.ctx)
        self._learn(observed)
        kept = {**known, **{key: ref for (_, key), ref in self.refs.items()}}
        left = [o for o in diff(desired, observed.found, keep=kept).writes if o.action is not until]
        if left:
            listed = ", ".join(f"{o.action} {o.kind} {o.key}" for o in left[:3])
            raise ReadBackMismatch(self.connector.name, f"{READ_BACK_WORDS}: {listed}")
        return observed

    async def _journalled(self, operations: Iterable[Operation], call: Callable[[], Awaitable[None]]) -> None:
        """Run one call that serves `operations`; each gets its row, with the error if there was one."""
        operations = list(operations)
        started, span = self.clock.now(), ""
        error: BaseException | None = None
        try:
            with tracing.operation(_called(operations), parent=self.ctx.traceparent) as step:
                span = step.span_id
                await call()
        except BaseException as wrong:
            error = wrong
            raise
        finally:
            ended = self.clock.now()
            self.outcome.operations += [self._done(o, started, ended, span, error) for o in operations]

    def _done(
        self, operation: Operation, started: datetime, ended: datetime, span: str, error: BaseException | None
    ) -> Done:
        ref = operation.ref or self.refs.get((operation.kind, operation.key))
        return sent(replace(operation, ref=ref), started, ended, error, span=span)


def _called(operations: Sequence[Operation]) -> str:
    """All are of one kind and action."""
    return f"{operations[0].kind}.{operations[0].action}"


def _weight(error: BaseException) -> int:
    """Of several failures the one that asks for most care is told: a write whose outcome is unknown."""
    if isinstance(error, TielineError) and error.error_class is ErrorClass.AMBIGUOUS:
        return 2
    return 1 if isinstance(error, LeaseLost) else 0


def keyed(objects: Sequence[ErpObject], made: Mapping[BusinessKey, ErpRef]) -> dict[tuple[Kind, BusinessKey], ErpRef]:
    return {(o.kind, o.key): made[o.key] for o in objects}


def sent(
    operation: Operation, started: datetime, ended: datetime, error: BaseException | None, *, span: str | None = None
) -> Done:
    """The row of an operation that was carried out, or was to be."""
    return Done(
        operation.action, operation.kind, operation.key, operation.ref, "done" if error is None else "failed",
        operation.before, operation.after, started, ended, span,
        getattr(error, "error_class", None) if error else None,
        str(error) if error else operation.words or None,
    )  # fmt: skip


def noted(operation: Operation, status: str, now: datetime) -> Done:
    """The row of an operation that sends nothing."""
    return Done(
        operation.action, operation.kind, operation.key, operation.ref, status, operation.before, operation.after,
        now, now, None, operation.why, operation.words or None,
    )  # fmt: skip
