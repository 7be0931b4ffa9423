"""Subscribers get every event at least once, in order and signed; whoever is slow or gone is so alone."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.clock import SystemClock
from sync_core.delivery.send import LONGEST_WAIT, Sender, wait_of
from sync_core.estate.delivery import Subscriber
from sync_core.intake.signatures import signing_key
from tests.databases import DatabaseUrls
from tests.delivery.support import BASE, OLD_SECRET, SECRET, SOURCE, Receiver, add_outgoing, receiving, sending
from tests.engine.support import until


class Ahead(SystemClock):
    """The machine's clock, some way ahead: receivers check that signatures are fresh, but not to the minute."""

    def __init__(self) -> None:
        self.by = timedelta()

    def now(self) -> datetime:
        return super().now() + self.by


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving(Receiver()) as one:
        yield one


def subscriber(receiver: Receiver, name: str = "one", **given: object) -> Subscriber:
    return Subscriber(name, receiver.url, ("SECRET",), **given)  # type: ignore[arg-type]


def state(database: sa.Engine, name: str = "one") -> sa.RowMapping:
    with database.connect() as conn:
        return conn.execute(sa.text("SELECT * FROM core.subscriber WHERE name = :n"), {"n": name}).mappings().one()


async def test_events_come_signed_in_order_and_as_cloudevents(
    database: sa.Engine, async_database: AsyncEngine, receiver: Receiver
) -> None:
    async with sending(async_database, SystemClock(), subscriber(receiver)) as sender:
        add_outgoing(database, "contract.ended.v1")
        await sender.declare()  # what was before it became a subscriber is not for it
        seqs = [
            add_outgoing(database, "exception.opened.v1", data={"n": n, "links": {"page": "x"}}) for n in range(120)
        ]
        await sender.drain()
    assert [event["data"]["n"] for event in receiver.got] == list(range(120))
    first, headers = receiver.got[0], receiver.headers[0]
    assert headers["content-type"] == "application/cloudevents+json"
    assert (first["specversion"], first["source"], first["type"], first["subject"]) == (
        "1.0", SOURCE, "com.tieline.exception.opened.v1", "exception/1",
    )  # fmt: skip
    assert first["dataschema"] == f"{BASE}/v1/schemas/com.tieline.exception.opened.v1"
    assert int(first["sequence"]) == seqs[0]
    assert datetime.fromisoformat(first["time"]).tzinfo is not None
    held = state(database)
    assert (held["sent_seq"], held["failures"], held["lease_until"]) == (seqs[-1], 0, None)
    assert held["last_ok_at"] is not None


@pytest.mark.parametrize("secret", [SECRET, OLD_SECRET])
async def test_while_a_secret_is_rotated_both_verify(
    database: sa.Engine, async_database: AsyncEngine, receiver: Receiver, secret: str
) -> None:
    receiver.secret = secret
    keys = [signing_key(SECRET), signing_key(OLD_SECRET)]
    async with sending(async_database, SystemClock(), subscriber(receiver), keys=keys) as sender:
        await sender.declare()
        add_outgoing(database, "contract.ended.v1")
        await sender.drain()
    assert len(receiver.got) == 1


async def test_a_refused_event_is_tried_again_under_its_id_and_nothing_overtakes_it(
    database: sa.Engine, async_database: AsyncEngine, receiver: Receiver
) -> None:
    clock, receiver.answers = Ahead(), [200, 500, 503, 302]
    async with sending(async_database, clock, subscriber(receiver)) as sender:
        await sender.declare()
        seqs = [add_outgoing(database, "contract.ended.v1") for _ in range(3)]
        for failures, wait_s in ((1, 5), (2, 10), (3, 20)):
            await sender.drain()
            held = state(database)
            assert (held["sent_seq"], held["failures"]) == (seqs[0], failures)
            assert abs((held["next_at"] - clock.now()).total_seconds() - wait_s) < 2
            clock.by += timedelta(seconds=wait_s)
        assert "answered 302" in held["last_error"]
        await sender.drain()
    first, second, third = receiver.ids[0], receiver.ids[1], receiver.ids[-1]
    assert receiver.ids == [first, second, second, second, second, third]
    assert len({headers["webhook-timestamp"] for headers in receiver.headers[1:5]}) == 4, "each attempt has its time"
    assert (state(database)["sent_seq"], state(database)["failures"]) == (seqs[-1], 0)


async def test_it_waits_as_long_as_it_is_told(
    database: sa.Engine, async_database: AsyncEngine, receiver: Receiver
) -> None:
    receiver.answers, receiver.more_headers = [429], {"retry-after": "600"}
    clock = SystemClock()
    async with sending(async_database, clock, subscriber(receiver)) as sender:
        await sender.declare()
        add_outgoing(database, "contract.ended.v1")
        await sender.drain()
    assert state(database)["next_at"] > clock.now() + timedelta(minutes=9)


async def test_410_pauses_it_for_a_person(database: sa.Engine, async_database: AsyncEngine, receiver: Receiver) -> None:
    receiver.answers = [410]
    async with sending(async_database, SystemClock(), subscriber(receiver)) as sender:
        await sender.declare()
        add_outgoing(database, "contract.ended.v1")
        await sender.drain()
        await sender.drain()
    held = state(database)
    assert (len(receiver.got), held["paused_by"], held["sent_seq"]) == (1, "tieline", 0)
    assert "answered 410" in held["pause_reason"]


async def test_a_slow_one_delays_no_other(database: sa.Engine, async_database: AsyncEngine) -> None:
    slow = Receiver(gate=asyncio.Event())
    async with receiving(slow), receiving(Receiver()) as quick:
        both = (subscriber(slow, "slow"), subscriber(quick, "quick"))
        async with sending(async_database, SystemClock(), *both) as sender:
            await sender.declare()
            add_outgoing(database, "contract.ended.v1")
            async with asyncio.TaskGroup() as group:
                await sender.tick(group)
                await asyncio.wait_for(slow.arrived.wait(), 10)
                for expected in (1, 2, 3):
                    await until(_got(quick, expected))
                    add_outgoing(database, "contract.ended.v1")
                    await until(_free(sender, "quick"))
                    await sender.tick(group)
                assert (len(slow.got), state(database, "slow")["sent_seq"]) == (1, 0)
                assert slow.gate is not None
                slow.gate.set()
            await sender.drain()
        assert slow.ids == quick.ids


def _got(receiver: Receiver, count: int) -> Callable[[], Awaitable[bool]]:
    async def enough() -> bool:
        return len(receiver.got) >= count

    return enough


def _free(sender: Sender, name: str) -> Callable[[], Awaitable[bool]]:
    async def free() -> bool:
        return name not in sender._serving

    return free


async def test_a_sender_that_is_killed_between_answer_and_place_repeats_and_loses_nothing(
    database: sa.Engine, async_database: AsyncEngine, database_urls: DatabaseUrls, receiver: Receiver
) -> None:
    one = subscriber(receiver)
    async with sending(async_database, SystemClock(), one) as second:
        await second.declare()
        for _ in range(3):
            add_outgoing(database, "contract.ended.v1")
        receiver.pass_before_gate, receiver.gate = 1, asyncio.Event()
        victim = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.delivery.lone_sender", database_urls.app, receiver.url
        )
        await until(_got(receiver, 2))
        victim.kill()
        await victim.wait()
        receiver.gate.set()
        assert state(database)["sent_seq"] == 0, "two were taken, and nothing says so"
        await second.drain()
        assert len(receiver.got) == 2, "the dead one's lease has not lapsed yet"
        with database.begin() as conn:
            conn.execute(sa.text("UPDATE core.subscriber SET lease_until = now() - interval '1 s'"))
        await second.drain()
    first, held = receiver.ids[:2]
    assert receiver.ids[2:4] == [first, held]
    assert len(set(receiver.ids)) == 3


async def test_a_sender_that_is_asked_to_stop_gives_back_what_it_has(
    database: sa.Engine, async_database: AsyncEngine, receiver: Receiver
) -> None:
    one = subscriber(receiver)
    receiver.pass_before_gate, receiver.gate = 1, asyncio.Event()
    async with sending(async_database, SystemClock(), one) as first:
        await first.declare()
        seqs = [add_outgoing(database, "contract.ended.v1") for _ in range(2)]
        stopping = asyncio.create_task(first.drain())
        await until(_got(receiver, 2))
        stopping.cancel()
        await asyncio.gather(stopping, return_exceptions=True)
    receiver.gate.set()
    assert (state(database)["sent_seq"], state(database)["lease_until"]) == (seqs[0], None)


async def test_whoever_lost_its_lease_moves_nothing(
    database: sa.Engine, async_database: AsyncEngine, receiver: Receiver
) -> None:
    receiver.gate = asyncio.Event()
    async with sending(async_database, SystemClock(), subscriber(receiver)) as sender:
        await sender.declare()
        add_outgoing(database, "contract.ended.v1")
        late = asyncio.create_task(sender.drain())
        await asyncio.wait_for(receiver.arrived.wait(), 10)
        with database.begin() as conn:
            conn.execute(sa.text("UPDATE core.subscriber SET lease_token = lease_token + 1, paused_at = now()"))
        receiver.gate.set()
        await late
    assert state(database)["sent_seq"] == 0


async def test_two_senders_share_the_subscribers_out(database: sa.Engine, async_database: AsyncEngine) -> None:
    async with receiving(Receiver()) as receiver:
        many = [subscriber(receiver, f"s{n}") for n in range(6)]
        async with sending(async_database, SystemClock(), *many) as one:
            await one.declare()
            for _ in range(10):
                add_outgoing(database, "contract.ended.v1")
            async with sending(async_database, SystemClock(), *many) as other:
                await asyncio.gather(one.drain(), other.drain())
        assert len(receiver.got) == 60


async def test_each_gets_its_types_and_its_legal_entities(
    database: sa.Engine, async_database: AsyncEngine, receiver: Receiver
) -> None:
    one = subscriber(receiver, types=("com.tieline.exception.*", "com.tieline.lane.stopped.v1"), entities=("GB01",))
    async with sending(async_database, SystemClock(), one) as sender:
        await sender.declare()
        wanted = [
            add_outgoing(database, "exception.opened.v1", legal_entity="GB01"),
            add_outgoing(database, "lane.stopped.v1", legal_entity="*"),
            add_outgoing(database, "test.ping.v1", addressee="one", legal_entity="*"),
        ]
        add_outgoing(database, "exception.opened.v1", legal_entity="US01")
        add_outgoing(database, "exception.opened.v1", legal_entity=None)
        add_outgoing(database, "lane.restored.v1", legal_entity="*")
        add_outgoing(database, "exceptionally.v1", legal_entity="GB01")
        last = add_outgoing(database, "exception.opened.v1", addressee="other", legal_entity="GB01")
        await sender.drain()
    assert [int(event["sequence"]) for event in receiver.got] == wanted
    assert state(database)["sent_seq"] == last, "what is not for it is passed over"


async def test_who_cannot_be_reached_or_hangs_says_so_without_its_address(
    database: sa.Engine, async_database: AsyncEngine, receiver: Receiver
) -> None:
    receiver.gate = asyncio.Event()
    gone = Subscriber("gone", "http://127.0.0.1:9/x?key=s3cret", ("SECRET",))
    async with sending(async_database, SystemClock(), subscriber(receiver), gone, timeout_s=0.5) as sender:
        await sender.declare()
        add_outgoing(database, "contract.ended.v1")
        await sender.drain()
    receiver.gate.set()
    assert "cannot be reached" in state(database, "gone")["last_error"]
    assert "s3cret" not in state(database, "gone")["last_error"]
    assert "no answer within 0.5 s" in state(database)["last_error"]


async def test_without_a_secret_it_gets_nothing_and_says_why(
    database: sa.Engine, async_database: AsyncEngine, receiver: Receiver
) -> None:
    async with sending(async_database, SystemClock(), subscriber(receiver), keys=()) as sender:
        await sender.declare()
        add_outgoing(database, "contract.ended.v1")
        await sender.drain()
    assert "set SECRET" in state(database)["last_error"]
    assert receiver.got == []


def test_waits_double_with_jitter_up_to_an_hour() -> None:
    assert [wait_of(n, 1.0).total_seconds() for n in (1, 2, 3)] == [5, 10, 20]
    assert wait_of(1, 0.0).total_seconds() == 2.5
    assert wait_of(1_000, 1.0) == LONGEST_WAIT
