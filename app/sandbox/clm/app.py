"""The sandbox CLM as one object: contracts, feed and webhooks behind an ASGI application.

In a simulation nothing runs by itself: the driver asks `next_due` and calls `deliver_due(send)`. As a process
of its own, app/sandbox/clm/process.py does that.
"""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

from starlette.types import ASGIApp, Receive, Scope
from starlette.types import Send as AsgiSend

from app.sandbox.clm.changes import Change, DeliveryFault, Repeat
from app.sandbox.clm.journal import Journal
from app.sandbox.clm.store import Recorded, Store
from app.sandbox.clm.webhooks import FaultRates, Outbox, Send, Target
from sync_core.clock import Clock

Action: TypeAlias = Change | Repeat | DeliveryFault
SOURCE = "urn:tieline:clm:sandbox"


class SandboxClm:
    """Callable as an ASGI application; `perform` does the same work without HTTP."""

    def __init__(
        self,
        clock: Clock,
        *,
        seed: int,
        token: str,
        source: str = SOURCE,
        webhook: Target | None = None,
        faults: FaultRates = FaultRates(),
        journal: Path | None = None,
    ) -> None:
        self.clock, self.token = clock, token
        self._journal = Journal(journal) if journal else None
        self.store = Store(source=source, seed=seed, journal=self._journal)
        self.outbox = Outbox(self.store, clock, seed=seed, rates=faults)
        self.adopts: frozenset[str] = frozenset()  # fields of a write-back that this CLM takes over and publishes
        self.on_event: Callable[[], None] | None = None  # told of each new event; set by whoever pumps
        self.asgi: ASGIApp | None = None
        if webhook is not None:
            self.outbox.subscribe(webhook)

    def perform(self, action: Action) -> Recorded | None:
        """Do it now, durably. Raises what Store.record raises."""
        if isinstance(action, DeliveryFault):
            self.outbox.demand(action.contract_id, action.fault)
            return None
        done = self._recorded(action)
        self.outbox.enqueue(done.position, done.contract_id)
        if self.on_event is not None:
            self.on_event()
        return done

    def _recorded(self, action: Change | Repeat) -> Recorded:
        if isinstance(action, Repeat):
            return self.store.repeat(action)
        return self.store.record(action, self.clock.now())

    async def deliver_due(self, send: Send) -> int:
        """Attempt the webhook deliveries that are due; returns how many requests were sent."""
        return await self.outbox.deliver_due(send)

    def next_due(self) -> datetime | None:
        return self.outbox.next_due()

    def close(self) -> None:
        """Release the journal; the object is of no use afterwards."""
        if self._journal is not None:
            self._journal.close()

    async def __call__(self, scope: Scope, receive: Receive, send: AsgiSend) -> None:
        if self.asgi is None:
            raise RuntimeError("this sandbox CLM has no routes; make it with app.sandbox.clm.server.build")
        await self.asgi(scope, receive, send)
