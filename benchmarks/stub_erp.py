"""An ERP that costs next to nothing: a connector with its records in memory, and a latency to choose.

What is measured against it is Tieline alone. It keeps what the port asks for; every call holds a slot of its lane.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from sync_core.desired import ErpObject, Found, Kind, Project, fields_of
from sync_core.keys import BusinessKey, ErpRef, owning_contract
from sync_core.lanes.lanes import LaneGate
from sync_core.ports import CallContext, Capabilities, FinancialPage, Observation, References, Refs, Scope

_REFERENCES = References(ErpRef("1"), "USD", tax_profile=True, customer_tax_profile=True, payment_terms=True)


class StubErp:
    """ErpConnector. `latency_s` of each call can be changed while it runs."""

    capabilities = Capabilities(upsert=True)

    def __init__(self, name: str, gate: LaneGate, *, latency_s: float = 0.0) -> None:
        self.name, self.latency_s = name, latency_s
        self._gate = gate
        self._held: dict[str, dict[ErpRef, Found]] = defaultdict(dict)  # by contract or shared key

    @asynccontextmanager
    async def _call(self) -> AsyncIterator[None]:
        async with self._gate.slot():
            await asyncio.sleep(self.latency_s)
            yield

    async def observe(self, scope: Scope, ctx: CallContext) -> Observation:
        async with self._call():
            customer = Found(Kind.CUSTOMER, scope.customer, ErpRef(f"C-{scope.customer}"), {})
            shared = [Found(Kind.LABOUR_CATEGORY, key, ErpRef(f"L-{key}"), {}) for key in scope.labour_categories]
            return Observation(_REFERENCES, (customer, *shared, *self._held[scope.contract].values()))

    async def create(self, objects: Sequence[ErpObject], refs: Refs, ctx: CallContext) -> Mapping[BusinessKey, ErpRef]:
        async with self._call():
            made = {}
            for wanted in objects:
                fields = fields_of(wanted)
                if isinstance(wanted, Project):
                    fields["billable"] = False
                contract, ref = owning_contract(wanted.key), ErpRef(f"{wanted.kind}-{wanted.key}")
                parent = None if isinstance(wanted, Project) else refs.get((Kind.PROJECT, BusinessKey(contract)))
                self._held[contract][ref] = Found(wanted.kind, wanted.key, ref, fields, parent)
                made[wanted.key] = ref
            return made

    async def update(self, wanted: ErpObject, ref: ErpRef, changed: Sequence[str], ctx: CallContext) -> None:
        async with self._call():
            self._change(owning_contract(wanted.key), ref, {name: fields_of(wanted)[name] for name in changed})

    async def activate(self, project: Project, ref: ErpRef, ctx: CallContext) -> None:
        async with self._call():
            self._change(project.key, ref, {"billable": True})

    def _change(self, contract: str, ref: ErpRef, fields: Mapping[str, str | bool | None]) -> None:
        held = self._held[contract][ref]
        self._held[contract][ref] = replace(held, fields={**held.fields, **fields})

    async def close(self, kind: Kind, ref: ErpRef, ctx: CallContext) -> None:
        async with self._call():
            for held in self._held.values():
                held.pop(ref, None)

    async def financial_status(self, cursor: str | None, ctx: CallContext) -> FinancialPage:
        return FinancialPage((), cursor or "", more=False)

    async def ping(self, ctx: CallContext) -> None:
        async with self._call():
            return

    async def aclose(self) -> None:
        return
