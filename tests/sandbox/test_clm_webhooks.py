"""The sandbox CLM's webhooks: signed, batched, retried, and with the faults that were ordered."""

from datetime import timedelta

import orjson
import pytest

from app.sandbox.clm.app import SandboxClm
from app.sandbox.clm.changes import Change, ChangeKind, DeliveryFault, Fault
from app.sandbox.clm.server import build
from app.sandbox.clm.webhooks import FaultRates, Target
from app.sandbox.clm.wire import BATCH, STRUCTURED
from sync_core.clock import VirtualClock
from tests.sandbox.clm_process import SECRET, TOKEN
from tests.sandbox.clm_world import START, TARGET, Inbox, draft, signed_right


async def test_webhooks_are_structured_events_signed_by_standard_webhooks(clm: SandboxClm) -> None:
    clm.perform(draft("C-1"))
    clm.perform(draft("C-2"))
    inbox = Inbox()
    assert await clm.deliver_due(inbox.send) == 2
    assert [d.body for d in inbox.got] == clm.store.feed
    for delivery in inbox.got:
        assert delivery.headers["content-type"] == STRUCTURED
        assert delivery.headers["webhook-timestamp"] == str(int(START.timestamp()))
        assert signed_right(delivery)
    assert clm.next_due() is None


async def test_a_batch_carries_many_events_and_stays_one_over_retries(clock: VirtualClock) -> None:
    clm = build(clock, seed=1, token=TOKEN, webhook=Target(TARGET.url, SECRET, batched=True, most=3))
    for n in range(5):
        clm.perform(draft(f"C-{n}"))
    inbox = Inbox(503)
    assert await clm.deliver_due(inbox.send) == 2
    clm.perform(draft("C-5"))
    clock.advance(timedelta(minutes=1))
    assert await clm.deliver_due(inbox.send) == 2
    sizes = [len(orjson.loads(d.body)) for d in inbox.attempts]
    assert sizes == [3, 2, 3, 1]
    assert inbox.attempts[0].headers["webhook-id"] == inbox.attempts[2].headers["webhook-id"]
    assert all(signed_right(d) and d.headers["content-type"] == BATCH for d in inbox.attempts)


async def test_a_failed_delivery_is_retried_later_and_later_under_the_same_id(
    clm: SandboxClm, clock: VirtualClock
) -> None:
    clm.perform(draft("C-1"))
    inbox, waits = Inbox(503, 0, 500), []
    await clm.deliver_due(inbox.send)
    while (due := clm.next_due()) is not None:
        assert await clm.deliver_due(inbox.send) == 0  # not before its time
        waits.append((due - clock.now()).total_seconds())
        clock.advance_to(due)
        await clm.deliver_due(inbox.send)
    assert inbox.ids() == ["C-1.r1"]
    assert waits == sorted(waits)
    assert 4 <= waits[0] <= 6
    assert {d.headers["webhook-id"] for d in inbox.attempts} == {"C-1.r1"}
    assert len({d.headers["webhook-timestamp"] for d in inbox.attempts}) == 4


async def test_gone_switches_the_webhook_off_and_a_new_subscription_resumes(
    clm: SandboxClm, clock: VirtualClock
) -> None:
    clm.perform(draft("C-1"))
    inbox = Inbox(410)
    await clm.deliver_due(inbox.send)
    clm.perform(draft("C-2"))
    assert await clm.deliver_due(inbox.send) == 0
    clm.outbox.subscribe(TARGET)
    clock.advance(timedelta(minutes=1))
    await clm.deliver_due(inbox.send)
    assert sorted(inbox.ids()) == ["C-1.r1", "C-2.r1"]


async def test_a_receiver_that_never_answers_is_given_up_but_the_feed_still_has_the_event(
    clm: SandboxClm, clock: VirtualClock
) -> None:
    clm.perform(draft("C-1"))
    inbox = Inbox(*[503] * 100)
    while (due := clm.next_due()) is not None:
        clock.advance_to(due)
        await clm.deliver_due(inbox.send)
    assert (len(inbox.attempts), clm.outbox.gave_up, len(clm.store.feed)) == (16, 1, 1)


async def _delivered_with(clm: SandboxClm, clock: VirtualClock, fault: Fault) -> list[str]:
    """Two changes of one contract a minute apart, the first of which suffers the fault."""
    clm.perform(DeliveryFault("C-1", fault))
    clm.perform(draft("C-1"))
    inbox = Inbox()
    await clm.deliver_due(inbox.send)
    clock.advance(timedelta(minutes=1))
    clm.perform(Change("C-1", ChangeKind.APPROVED, {"approval": "approved"}))
    await clm.deliver_due(inbox.send)
    while (due := clm.next_due()) is not None:
        clock.advance_to(due)
        await clm.deliver_due(inbox.send)
    assert len(clm.store.feed) == 2
    return inbox.ids()


@pytest.mark.parametrize(
    ("fault", "arrived"),
    [
        (Fault.DROP, ["C-1.r2"]),
        (Fault.DUPLICATE, ["C-1.r1", "C-1.r1", "C-1.r2"]),
        (Fault.DELAY, ["C-1.r2", "C-1.r1"]),
        (Fault.REORDER, ["C-1.r2", "C-1.r1"]),
    ],
)
async def test_a_fault_ordered_for_the_next_event_of_a_contract_happens_to_it(
    clm: SandboxClm, clock: VirtualClock, fault: Fault, arrived: list[str]
) -> None:
    assert await _delivered_with(clm, clock, fault) == arrived


async def test_an_event_held_back_for_reordering_arrives_even_when_nothing_follows(
    clm: SandboxClm, clock: VirtualClock
) -> None:
    clm.perform(DeliveryFault("C-1", Fault.REORDER))
    clm.perform(draft("C-1"))
    inbox = Inbox()
    assert await clm.deliver_due(inbox.send) == 0
    due = clm.next_due()
    assert due is not None
    clock.advance_to(due)
    await clm.deliver_due(inbox.send)
    assert inbox.ids() == ["C-1.r1"]


async def _faulty_run(seed: int) -> list[str]:
    clock = VirtualClock(START)
    rates = FaultRates(drop=0.1, duplicate=0.1, delay=0.1, reorder=0.1)
    clm = build(clock, seed=seed, token=TOKEN, webhook=TARGET, faults=rates)
    inbox = Inbox()
    for n in range(300):
        clm.perform(draft(f"C-{n}"))
        clock.advance(timedelta(seconds=20))
        await clm.deliver_due(inbox.send)
    return inbox.ids()


async def test_faults_come_at_their_rate_and_the_same_seed_makes_the_same_ones() -> None:
    arrived = await _faulty_run(1)
    assert arrived == await _faulty_run(1)
    assert arrived != await _faulty_run(2)
    dropped = 300 - len(set(arrived))
    repeated = len(arrived) - len(set(arrived))
    assert 10 <= dropped <= 90  # the last delayed ones are still under way
    assert 10 <= repeated <= 60
