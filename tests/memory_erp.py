"""An ERP in memory that keeps the promises of the port, with what goes wrong in real ones on demand.

Many workers may share one `MemoryErp` ("the ERP"); each has its own `MemoryConnector`. Without upsert a second
create of a key makes a second object, as Tryton does.
"""

import asyncio
import itertools
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from sync_core.desired import ErpObject, Found, Kind, LabourCategory, Project, fields_of
from sync_core.errors import LeaseLost, TielineError
from sync_core.keys import BusinessKey, ErpRef, owning_contract
from sync_core.lanes.lanes import LaneGate
from sync_core.ports import (
    CallContext,
    Capabilities,
    FinancialPage,
    Observation,
    ProjectPage,
    References,
    Refs,
    Scope,
)

Fault = Callable[[str, CallContext], TielineError | None]
Pause = Callable[[str, CallContext], Awaitable[None]]


@dataclass
class MemoryErp:
    """What the ERP holds. `before` and `after` may raise for an operation, before or after it took effect."""

    objects: dict[ErpRef, Found] = field(default_factory=dict)
    by_owner: dict[str, set[ErpRef]] = field(default_factory=lambda: defaultdict(set))  # contract or shared key
    customers: set[str] = field(default_factory=lambda: {"CUST-1"})
    tax_codes: set[str] = field(default_factory=lambda: {"US-CA-STD", "GB-STD"})
    creates: Counter[tuple[Kind, str]] = field(default_factory=Counter)
    calls: list[str] = field(default_factory=list)
    before: Fault = lambda _operation, _ctx: None
    after: Fault = lambda _operation, _ctx: None
    pause_before: Pause | None = None  # holds a request before, or its answer after, it took effect
    pause_after: Pause | None = None
    latency_s: float = 0.0
    upsert: bool = False
    dated_rates: bool = False
    currency: str = "USD"  # of its legal entities' books
    in_flight: int = 0
    most_in_flight: int = 0
    _refs: "itertools.count[int]" = field(default_factory=itertools.count)

    def hold(self, found: Found) -> None:
        self.objects[found.ref] = found
        self.by_owner[found.key if found.kind.shared else owning_contract(found.key)].add(found.ref)

    def under(self, *owners: str) -> list[Found]:
        """Objects of these contracts and shared keys, oldest first: active ones, and closed projects that billed or may
        bill.
        """
        held = [self.objects[ref] for ref in sorted(ref for owner in owners for ref in self.by_owner.get(owner, ()))]
        return [f for f in held if f.active or f.billed_amount is not None or f.earned]

    def of(self, kind: Kind) -> list[Found]:
        return [f for f in self.objects.values() if f.kind is kind and f.active]

    def next_ref(self) -> ErpRef:
        return ErpRef(f"E{next(self._refs):05d}")


@dataclass
class MemoryConnector:
    """One worker's connection to a MemoryErp."""

    erp: MemoryErp
    gate: LaneGate
    name: str = "cloud"
    settle_s: float = 0.05

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(upsert=self.erp.upsert, settle_s=self.settle_s, dated_rates=self.erp.dated_rates)

    @asynccontextmanager
    async def _call(self, operation: str, ctx: CallContext) -> AsyncIterator[None]:
        async with self.gate.slot():
            if time.monotonic() > ctx.send_before:
                raise LeaseLost("the lease is nearly over")
            self.erp.calls.append(operation)
            self.erp.in_flight += 1
            self.erp.most_in_flight = max(self.erp.most_in_flight, self.erp.in_flight)
            try:
                if wrong := self.erp.before(operation, ctx):
                    raise wrong
                await asyncio.sleep(self.erp.latency_s)
                if self.erp.pause_before:
                    await self.erp.pause_before(operation, ctx)
                yield
                if self.erp.pause_after:
                    await self.erp.pause_after(operation, ctx)
                if wrong := self.erp.after(operation, ctx):
                    raise wrong
            finally:
                self.erp.in_flight -= 1

    async def observe(self, scope: Scope, ctx: CallContext) -> Observation:
        async with self._call("observe", ctx):
            known = [
                Found(Kind.CUSTOMER, BusinessKey(c), ErpRef(f"C-{c}"), {})
                for c in self.erp.customers
                if c == scope.customer
            ]
            held = self.erp.under(scope.customer, *scope.labour_categories, scope.contract)
            tax = scope.tax_code is None or scope.tax_code in self.erp.tax_codes
            references = References(ErpRef("1"), self.erp.currency, tax, True, True)
            return Observation(references, (*known, *held))

    async def create(self, objects: Sequence[ErpObject], refs: Refs, ctx: CallContext) -> Mapping[BusinessKey, ErpRef]:
        async with self._call(f"create {objects[0].kind}", ctx):
            return {obj.key: self._made(obj, refs) for obj in objects}

    def _made(self, obj: ErpObject, refs: Refs) -> ErpRef:
        self.erp.creates[obj.kind, obj.key] += 1
        owner = obj.key if obj.kind.shared else owning_contract(obj.key)
        if self.erp.upsert:
            held = next((f for f in self.erp.under(owner) if f.active and (f.kind, f.key) == (obj.kind, obj.key)), None)
            if held is not None:
                return held.ref
        parent = None
        if not isinstance(obj, Project) and not obj.kind.shared:
            parent = refs[Kind.PROJECT, BusinessKey(owning_contract(obj.key))]
        fields = fields_of(obj)
        if isinstance(obj, Project):
            fields["billable"] = False
        if isinstance(obj, LabourCategory):
            self.erp.calls.append(f"category {obj.key}")
        ref = self.erp.next_ref()
        self.erp.hold(Found(obj.kind, obj.key, ref, fields, parent))
        return ref

    async def update(self, wanted: ErpObject, ref: ErpRef, changed: Sequence[str], ctx: CallContext) -> None:
        async with self._call(f"update {wanted.kind}", ctx):
            after = fields_of(wanted)
            held = self.erp.objects[ref]
            self.erp.hold(replace(held, fields={**held.fields, **{name: after[name] for name in changed}}))

    async def activate(self, project: Project, ref: ErpRef, ctx: CallContext) -> None:
        async with self._call("activate", ctx):
            held = self.erp.objects[ref]
            self.erp.hold(replace(held, fields={**held.fields, "billable": True}))

    async def close(self, kind: Kind, ref: ErpRef, ctx: CallContext) -> None:
        async with self._call("close", ctx):
            for held in list(self.erp.objects.values()):
                if held.ref == ref or (held.parent == ref and not held.billed):  # what was invoiced stays in the books
                    self.erp.hold(replace(held, active=False))

    async def projects(self, cursor: str | None, ctx: CallContext) -> ProjectPage:
        async with self._call("list projects", ctx):
            begin, held = int(cursor or 0), self.erp.of(Kind.PROJECT)
            return ProjectPage(tuple(held[begin : begin + 2]), str(begin + 2), more=len(held) > begin + 2)

    async def project(self, ref: ErpRef, ctx: CallContext) -> Found | None:
        async with self._call("read project", ctx):
            return next((held for held in self.erp.of(Kind.PROJECT) if held.ref == ref), None)

    async def parts(self, project: Found, ctx: CallContext) -> Sequence[Found]:
        async with self._call("list parts", ctx):
            return [held for held in self.erp.objects.values() if held.parent == project.ref]

    async def relabel(self, kind: Kind, ref: ErpRef, key: BusinessKey, ctx: CallContext) -> None:
        async with self._call(f"relabel {kind}", ctx):
            held = self.erp.objects[ref]
            self.erp.by_owner[owning_contract(held.key)].discard(ref)
            self.erp.hold(replace(held, key=key))

    async def financial_status(self, cursor: str | None, ctx: CallContext) -> FinancialPage:
        return FinancialPage((), cursor or "", more=False)

    async def ping(self, ctx: CallContext) -> None:
        async with self._call("ping", ctx):
            return

    async def aclose(self) -> None:
        return
