"""A snapshot that was made reaches a subscriber's own server: signed, once, and with hashes that its files have."""

import hashlib

import sqlalchemy as sa
from jsonschema import Draft202012Validator, FormatChecker
from sqlalchemy.ext.asyncio import create_async_engine

from metrics.snapshot import keeping
from metrics.snapshot.making import files_of
from metrics.snapshot.package import BOARD_PACK, MANIFEST, WORKBOOK
from sync_core.clock import SystemClock
from sync_core.delivery.messages import OUTGOING
from sync_core.estate.delivery import Subscriber
from tests.delivery.support import BASE, SOURCE, Receiver, receiving, sending
from tests.metrics.snapshot.firm import Firm


def made(one: Firm) -> int:
    """As a worker makes one that somebody asked for; its id."""
    asked = one.ask()
    assert one.maker.make_next() is not None
    return asked


def said(engine: sa.Engine, name: str) -> sa.RowMapping:
    with engine.connect() as conn:
        return conn.execute(sa.text("SELECT * FROM core.subscriber WHERE name = :n"), {"n": name}).mappings().one()


async def test_a_snapshot_is_told_to_who_hears_of_the_whole_group_and_to_nobody_else(one: Firm) -> None:
    database = create_async_engine(one.engine.url)
    async with receiving(Receiver()) as board, receiving(Receiver()) as british:
        hears = Subscriber("board", board.url, ("SECRET",), types=(keeping.EVENT,))
        limited = Subscriber("british", british.url, ("SECRET",), entities=("GB01",))
        async with sending(database, SystemClock(), hears, limited) as sender:
            await sender.declare()
            snapshot_id = made(one)
            await sender.drain()
            await sender.drain()
    await database.dispose()
    [event] = board.got
    assert british.got == [], "a snapshot is of every legal entity"
    assert (event["type"], event["source"], event["subject"]) == (
        "com.tieline.snapshot.made.v1", SOURCE, f"snapshot/{snapshot_id}",
    )  # fmt: skip
    assert event["dataschema"] == f"{BASE}/v1/schemas/com.tieline.snapshot.made.v1"
    told = event["data"]
    Draft202012Validator(OUTGOING[keeping.EVENT].schema(), format_checker=FormatChecker()).validate(told)
    assert (told["week"], told["policy_version"]) == ("2026-W47", one.estate.rules_version)
    assert told["links"]["page"] == f"{BASE}/snapshots?snapshot={snapshot_id}"
    with one.engine.connect() as conn:
        files = files_of(conn, snapshot_id)
    assert {BOARD_PACK, WORKBOOK, MANIFEST} <= files.keys()
    assert {file["name"]: file["sha256"] for file in told["files"]} == {
        name: hashlib.sha256(body).hexdigest() for name, body in files.items()
    }
    assert told["content_id"] == hashlib.sha256(files[MANIFEST]).hexdigest()
    assert said(one.engine, "board")["sent_seq"] == int(event["sequence"])


async def test_a_server_that_refuses_it_gets_the_same_event_again(one: Firm) -> None:
    database = create_async_engine(one.engine.url)
    async with receiving(Receiver(answers=[503])) as board:
        hears = Subscriber("board", board.url, ("SECRET",))
        async with sending(database, SystemClock(), hears) as sender:
            await sender.declare()
            made(one)
            await sender.drain()
            assert said(one.engine, "board")["failures"] == 1
            with one.engine.begin() as conn:
                conn.execute(sa.text("UPDATE core.subscriber SET next_at = now() - interval '1 s'"))
            await sender.drain()
    await database.dispose()
    first, second = board.got
    assert first == second
    assert said(one.engine, "board")["failures"] == 0
