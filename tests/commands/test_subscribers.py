"""Subscribers are held back, let go on, sent to again and tried; and where they stand can be read."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.authority import Forbidden, person
from sync_core.clock import SystemClock, VirtualClock
from sync_core.commands.commands import Commands
from sync_core.commands.desk import Changed, CommandRefused, InvalidInput, NotFound
from sync_core.estate.delivery import Notify, Subscriber, Word
from sync_core.estate.estate import Estate
from sync_core.reads import Reads
from sync_core.reads.deliveries import DeliveryFilter
from tests.commands.people import ADMINISTRATOR, EXECUTIVE, audited
from tests.delivery.support import Receiver, add_outgoing, estate, receiving, sending
from tests.rows import NOW

ALL = Subscriber("all", "https://all.example/events", ("ALL",))
BRITISH = Subscriber("british", "https://uk.example/events", ("UK",), ("com.tieline.exception.*",), ("GB01",))
BRITISH_ADMINISTRATOR = person("uk-admin@example.com", ["administrator@GB01"])
RULE = Notify("ops", "OPS", (Word.LANE,))


def firm() -> Estate:
    return estate(RULE, subscribers=(ALL, BRITISH))


def commands(engine: sa.Engine) -> Commands:
    return Commands(engine, clock=VirtualClock(NOW), estate=firm())


def reads(engine: sa.Engine, now: datetime = NOW) -> Reads:
    return Reads(engine, clock=VirtualClock(now), estate=firm())


def state(database: sa.Engine, name: str = "all") -> sa.RowMapping:
    with database.connect() as conn:
        return conn.execute(sa.text("SELECT * FROM core.subscriber WHERE name = :n"), {"n": name}).mappings().one()


def test_pause_and_resume_are_audited_and_take_it_from_whoever_sends(database: sa.Engine) -> None:
    facade = commands(database)
    paused = facade.subscribers.pause(ADMINISTRATOR, "all", "their server is being moved")
    held = state(database)
    assert (held["paused_by"], held["paused_at"], held["pause_reason"], held["lease_token"]) == (
        "admin@example.com", NOW, "their server is being moved", 1,
    )  # fmt: skip
    with pytest.raises(CommandRefused, match="paused already, by admin"):
        facade.subscribers.pause(ADMINISTRATOR, "all", "once more, please")
    with pytest.raises(CommandRefused, match="resume it first"):
        facade.subscribers.test(ADMINISTRATOR, "all")
    with pytest.raises(Changed):
        facade.subscribers.resume(ADMINISTRATOR, "all", version=paused.version - 1)
    facade.subscribers.resume(ADMINISTRATOR, "all", version=paused.version)
    assert (state(database)["paused_at"], state(database)["lease_token"]) == (None, 2)
    assert [(row["action"], row["subject"], row["reason"]) for row in audited(database)] == [
        ("subscriber.pause", "subscriber all", "their server is being moved"),
        ("subscriber.resume", "subscriber all", ""),
    ]


def test_events_are_sent_again_from_a_number_or_a_moment(database: sa.Engine) -> None:
    seqs = [add_outgoing(database, "contract.ended.v1", recorded_at=NOW + timedelta(hours=n)) for n in range(4)]
    again = commands(database).subscribers.replay_from
    assert again(ADMINISTRATOR, "all", "they lost a day", seq=seqs[1]).from_seq == seqs[1]
    assert state(database)["sent_seq"] == seqs[0]
    assert again(ADMINISTRATOR, "all", "they lost more", since=NOW + timedelta(minutes=90)).from_seq == seqs[2]
    assert again(ADMINISTRATOR, "all", "only what comes", since=NOW + timedelta(days=9)).from_seq == seqs[3] + 1
    for wrong in ({}, {"seq": 0}, {"seq": seqs[3] + 2}, {"seq": 1, "since": NOW}, {"since": NOW.replace(tzinfo=None)}):
        with pytest.raises(InvalidInput):
            again(ADMINISTRATOR, "all", "a reason", **wrong)


async def test_a_ping_goes_to_one_alone_and_at_once(database: sa.Engine, async_database: AsyncEngine) -> None:
    async with receiving(Receiver()) as one, receiving(Receiver(answers=[500])) as other:
        subscribers = (replace(ALL, url=other.url), replace(BRITISH, url=one.url))
        async with sending(async_database, SystemClock(), *subscribers) as sender:
            await sender.declare()
            add_outgoing(database, "contract.ended.v1")
            await sender.drain()
            assert state(database)["next_at"] is not None
            facade = commands(database)
            queued = [facade.subscribers.test(ADMINISTRATOR, name).seq for name in ("all", "british")]
            await sender.drain()
        assert [event["type"] for event in other.got][1:] == [
            "com.tieline.contract.ended.v1",
            "com.tieline.test.ping.v1",
        ]
        assert [event["data"]["subscriber"] for event in one.got] == ["british"]
    assert [state(database, name)["sent_seq"] for name in ("all", "british")] == [queued[1], queued[1]]


def test_who_may_and_for_whom(database: sa.Engine) -> None:
    facade = commands(database)
    with pytest.raises(Forbidden):
        facade.subscribers.resume(EXECUTIVE, "all")
    for actor, name in ((BRITISH_ADMINISTRATOR, "all"), (ADMINISTRATOR, "nobody"), (ADMINISTRATOR, "<b>")):
        with pytest.raises(NotFound):
            facade.subscribers.resume(actor, name)
    assert facade.subscribers.resume(BRITISH_ADMINISTRATOR, "british").name == "british"
    with pytest.raises(Forbidden):
        reads(database).within(EXECUTIVE).subscribers()
    assert [one.name for one in reads(database).within(BRITISH_ADMINISTRATOR).subscribers()] == ["british"]


def test_what_waits_for_whom_can_be_read(database: sa.Engine) -> None:
    assert [(one.sent_seq, one.behind, one.lag) for one in reads(database).subscribers()] == [(None, 0, None)] * 2
    for name in ("all", "british"):
        commands(database).subscribers.resume(ADMINISTRATOR, name)
    add_outgoing(database, "exception.opened.v1", legal_entity="US01", contract_id=7)
    british = add_outgoing(database, "exception.opened.v1", legal_entity="GB01", recorded_at=NOW + timedelta(hours=1))
    later = reads(database, NOW + timedelta(hours=3))
    assert [(one.name, one.behind, one.lag) for one in later.subscribers()] == [
        ("all", 2, timedelta(hours=3)), ("british", 1, timedelta(hours=2)),
    ]  # fmt: skip
    page = later.deliveries()
    assert [(row.seq, row.waiting_for) for row in page.rows] == [(british, ("all", "british")), (british - 1, ("all",))]
    assert [row.contract_id for row in later.deliveries(DeliveryFilter(contract_id=7)).rows] == [7]
    assert later.deliveries(DeliveryFilter("contract.")).total == 0
    assert later.deliveries(DeliveryFilter("exception.")).total == 2
    limited = later.within(BRITISH_ADMINISTRATOR).deliveries()
    assert [(row.seq, row.waiting_for) for row in limited.rows] == [(british, ("british",))]
    assert [(one.name, one.on, one.last_ok_at) for one in later.notices()] == [("ops", ("lane",), None)]
