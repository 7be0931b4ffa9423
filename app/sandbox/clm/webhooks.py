"""Pushes the sandbox CLM's events: CloudEvents over HTTP, structured or batched, signed by Standard Webhooks 1.0.0.

At least once: a delivery is over when the receiver answered 2xx. Failures are retried with back-off; 410
switches the subscription off. `webhook-id` stays the same over retries, the timestamp is each attempt's own.
Sending is passed in, so that the same code runs in a simulation and in a process of its own.
"""

import base64
import hashlib
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush

import orjson
from standardwebhooks import Webhook

from app.sandbox.chance import chance
from app.sandbox.clm.changes import Fault
from app.sandbox.clm.store import Store
from app.sandbox.clm.wire import BATCH, STRUCTURED
from sync_core.clock import Clock

_GONE = 410
_FIRST_RETRY, _LONGEST_RETRY, _ATTEMPTS = timedelta(seconds=5), timedelta(hours=1), 16
_BEHIND_NEXT_AT_MOST = timedelta(minutes=10)


class DeliveryFailed(Exception):
    """The receiver could not be reached; the delivery is retried."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where events are pushed. The secret is `whsec_` and base64 of 24 to 64 bytes."""

    url: str
    secret: str = field(repr=False)
    batched: bool = False
    most: int = 100  # events in a batch

    def __post_init__(self) -> None:
        """Raises ValueError now rather than at the first delivery; the package takes any secret."""
        try:
            key = base64.b64decode(self.secret.removeprefix("whsec_"), validate=True)
        except ValueError:
            key = b""
        if not 24 <= len(key) <= 64:
            raise ValueError("a webhook secret is whsec_ and base64 of 24 to 64 bytes; make a new one")


@dataclass(frozen=True, slots=True)
class FaultRates:
    """Share of deliveries, 0 to 1, that suffer each fault."""

    drop: float = 0.0
    duplicate: float = 0.0
    delay: float = 0.0
    reorder: float = 0.0
    longest_delay: timedelta = timedelta(minutes=20)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One signed request, ready to be POSTed."""

    url: str
    headers: dict[str, str]
    body: bytes


Send = Callable[[Delivery], Awaitable[int]]
"""POSTs a delivery and returns the HTTP status; raises DeliveryFailed when there was no answer."""


@dataclass(order=True, frozen=True, slots=True)
class _Parcel:
    due_at: datetime
    serial: int
    name: str = field(compare=False)  # the webhook-id
    positions: tuple[int, ...] = field(compare=False)
    attempt: int = field(default=0, compare=False)


class Outbox:
    """Deliveries under way. What is unsettled in the store when it starts is due at once."""

    def __init__(self, store: Store, clock: Clock, *, seed: int, rates: FaultRates = FaultRates()) -> None:
        self.target: Target | None = None
        self.rates = rates
        self.gave_up = 0
        self._store, self._clock, self._seed = store, clock, seed
        self._parcels: list[_Parcel] = []
        self._held: dict[str, _Parcel] = {}  # by contract: to arrive behind its next event
        self._demanded: dict[str, Fault] = {}
        self._serial = 0

    def subscribe(self, target: Target) -> None:
        """Push to `target` from now on; what an earlier subscription left undelivered goes out first."""
        resumed = self.target is None
        self.target = target
        self._store.subscribe()
        if resumed and self._store.subscribed_from is not None:
            waiting = range(self._store.subscribed_from, len(self._store.feed))
            queued = {p for parcel in (*self._parcels, *self._held.values()) for p in parcel.positions}
            for position in waiting:
                if position not in self._store.delivered and position not in queued:
                    self._push(self._event_id(position), (position,), self._clock.now())

    def demand(self, contract_id: str, fault: Fault) -> None:
        """Let the contract's next event suffer `fault`."""
        self._demanded[contract_id] = fault

    def enqueue(self, position: int, contract_id: str) -> None:
        if self.target is None:
            return
        now, event_id = self._clock.now(), self._event_id(position)
        rng = chance(self._seed, "delivery", position, event_id)
        fault = self._demanded.pop(contract_id, None) or self._unlucky(rng.random())
        released = self._held.pop(contract_id, None)
        if fault is Fault.DROP:
            self._store.settle([position], "dropped")
        elif fault is Fault.REORDER:
            self._held[contract_id] = self._parcel(event_id, (position,), now + _BEHIND_NEXT_AT_MOST)
        else:
            late = rng.uniform(0.1, 1) * self.rates.longest_delay if fault is Fault.DELAY else timedelta()
            self._push(event_id, (position,), now + late)
            if fault is Fault.DUPLICATE:
                self._push(event_id, (position,), now + rng.random() * timedelta(seconds=30))
        if released is not None:
            self._push(released.name, released.positions, now)

    def next_due(self) -> datetime | None:
        """When `deliver_due` has something to do; None: nothing waits."""
        return min((parcel.due_at for parcel in (*self._parcels[:1], *self._held.values())), default=None)

    async def deliver_due(self, send: Send) -> int:
        """Attempt all that is due, oldest first; returns how many requests were sent."""
        sent = 0
        for parcel in self._due():
            if self.target is None:
                heappush(self._parcels, parcel)
                continue
            sent += 1
            await self._attempt(parcel, self.target, send)
        return sent

    def _unlucky(self, dice: float) -> Fault | None:
        for fault in Fault:
            share: float = getattr(self.rates, fault.value)
            if dice < share:
                return fault
            dice -= share
        return None

    def _due(self) -> list[_Parcel]:
        now = self._clock.now()
        for contract_id in [c for c, parcel in self._held.items() if parcel.due_at <= now]:
            heappush(self._parcels, self._held.pop(contract_id))
        due = []
        while self._parcels and self._parcels[0].due_at <= now:
            due.append(heappop(self._parcels))
        if self.target is None or not self.target.batched:
            return due
        retried = [p for p in due if p.attempt]
        return [*retried, *self._batches([p for p in due if not p.attempt], self.target.most)]

    def _batches(self, fresh: list[_Parcel], most: int) -> Iterable[_Parcel]:
        for start in range(0, len(fresh), most):
            group = fresh[start : start + most]
            names = hashlib.blake2b(".".join(p.name for p in group).encode(), digest_size=12).hexdigest()
            positions = tuple(position for p in group for position in p.positions)
            yield self._parcel(f"batch_{names}", positions, group[0].due_at)

    async def _attempt(self, parcel: _Parcel, target: Target, send: Send) -> None:
        try:
            status = await send(self._signed(parcel, target))
        except DeliveryFailed:
            status = 0
        if 200 <= status < 300:
            self._store.settle(parcel.positions, "delivered")
            return
        if status == _GONE:
            self.target = None
        attempt = parcel.attempt + 1
        if attempt >= _ATTEMPTS:
            self.gave_up += 1
            self._store.settle(parcel.positions, "gave up")
            return
        jitter = chance(self._seed, parcel.name, attempt).uniform(0.8, 1.2)
        wait = min(_FIRST_RETRY * 2**parcel.attempt, _LONGEST_RETRY) * jitter
        heappush(self._parcels, replace(parcel, due_at=self._clock.now() + wait, attempt=attempt))

    def _signed(self, parcel: _Parcel, target: Target) -> Delivery:
        events = [self._store.feed[position] for position in parcel.positions]
        batched = target.batched or len(events) > 1  # a batch stays one, whatever the target is now
        body = b"[" + b",".join(events) + b"]" if batched else events[0]
        # The package signs a wrong time for anything but UTC.
        at = self._clock.now().astimezone(UTC)
        headers = {
            "content-type": BATCH if batched else STRUCTURED,
            "webhook-id": parcel.name,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": Webhook(target.secret).sign(parcel.name, at, body.decode()),
        }
        return Delivery(target.url, headers, body)

    def _push(self, name: str, positions: tuple[int, ...], due_at: datetime) -> None:
        heappush(self._parcels, self._parcel(name, positions, due_at))

    def _parcel(self, name: str, positions: tuple[int, ...], due_at: datetime) -> _Parcel:
        self._serial += 1
        return _Parcel(due_at, self._serial, name, positions)

    def _event_id(self, position: int) -> str:
        event_id: str = orjson.loads(self._store.feed[position])["id"]
        return event_id
