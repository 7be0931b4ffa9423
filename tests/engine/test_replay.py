"""Replay, by real PostgreSQL and a memory ERP: what was confirmed is done once and read back, and nothing else is."""

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.authority import person
from sync_core.commands.desk import CommandRefused
from sync_core.desired import Kind
from sync_core.errors import ErpRejected, ErpUnavailable
from sync_core.estate.estate import ReplayPolicy
from sync_core.ports import CallContext
from sync_core.replay.selection import Missed, Selection
from tests.engine.replays import ADA, BEN, Staff, lose, provisioned, settle
from tests.engine.support import Bench

WRITES = ("create", "update", "activate", "close")


@pytest.fixture
def bench(async_database: AsyncEngine) -> Bench:
    return Bench(async_database)


@pytest.fixture
def staff(database: sa.Engine, bench: Bench) -> Staff:
    return Staff(database, bench)


def writes(bench: Bench) -> int:
    return sum(call.startswith(WRITES) for call in bench.erp.calls)


async def test_a_preview_writes_nothing_and_says_field_by_field_what_would_be_done(bench: Bench, staff: Staff) -> None:
    replayer = await provisioned(bench, "C-1", "C-2")
    lose(bench, ["C-1"])
    before = writes(bench)
    made = staff.preview("C-1", "C-2")
    assert (made.items, made.to_preview, made.state) == (2, 2, "previewing")
    await replayer.drain()
    assert writes(bench) == before
    assert staff.state(made.replay_id) == "previewed"
    found = staff.rows(
        "SELECT c.external_id, i.eligibility, i.preview, i.creates, i.activates, i.no_ops, i.money,"
        " i.plan -> 1 ->> 'key', i.plan -> 1 -> 'after' ->> 'value'"
        " FROM core.replay_item AS i JOIN core.contract AS c USING (contract_id)"
        " ORDER BY 1"
    )
    assert [tuple(map(str, row)) for row in found] == [
        ("C-1", "already_confirmed", "done", "4", "1", "1", "25000.00", "clm/C-1", "25000"),
        ("C-2", "already_confirmed", "done", "0", "0", "5", "25000.00", "clm/C-2", "None"),
    ]


async def test_what_was_confirmed_is_done_read_back_and_linked_to_its_run(bench: Bench, staff: Staff) -> None:
    replayer = await provisioned(bench, "C-1", "C-2")
    lose(bench, ["C-1"])
    made = staff.preview("C-1", "C-2")
    await replayer.drain()
    confirmed = staff.confirm(made.replay_id)
    assert (confirmed.state, confirmed.items, confirmed.approval_why) == ("running", 2, "")
    await settle(bench, replayer)
    assert staff.ends(made.replay_id) == {"C-1": "verified", "C-2": "verified"}
    assert staff.state(made.replay_id) == "finished"
    assert {str(f.key) for f in bench.erp.of(Kind.PROJECT)} == {"clm/C-1", "clm/C-2"}
    runs = staff.rows("SELECT r.outcome FROM core.replay_item AS i JOIN core.run AS r USING (run_id)")
    assert runs == [("converged",), ("converged",)]
    assert staff.rows("SELECT count(*) FROM core.contract WHERE replay_id IS NOT NULL OR state <> 'active'") == [(0,)]
    assert staff.rows("SELECT action, actor, items FROM core.audit ORDER BY id") == [
        ("replay.preview", "ada@example.com", 2),
        ("replay.confirm", "ada@example.com", 2),
        ("replay.finish", "tieline", 2),
    ]


async def test_a_plan_that_changed_after_its_preview_is_not_carried_out(bench: Bench, staff: Staff) -> None:
    replayer = await provisioned(bench, "C-1")
    made = staff.preview("C-1")
    await replayer.drain()
    lose(bench, ["C-1"])
    staff.confirm(made.replay_id)
    before = writes(bench)
    await settle(bench, replayer)
    state, words = staff.items(made.replay_id)["C-1"]
    assert (state, words.startswith("changed: now: create project clm/C-1")) == ("skipped", True), words
    assert writes(bench) == before
    assert staff.rows("SELECT state, due_at, replay_id FROM core.contract") == [("active", None, None)]
    again = staff.replays.offer_again(ADA, made.replay_id)
    await replayer.drain()
    staff.confirm(again.replay_id)
    await settle(bench, replayer)
    assert staff.ends(again.replay_id) == {"C-1": "verified"}


async def test_an_erp_that_says_yes_and_stores_nothing_is_a_mismatch_at_once(bench: Bench, staff: Staff) -> None:
    replayer = await provisioned(bench, "C-1")
    lose(bench, ["C-1"])
    made = staff.preview("C-1")
    await replayer.drain()

    def forget(operation: str, _ctx: CallContext) -> None:
        if operation.startswith("create milestone"):
            for found in bench.erp.of(Kind.MILESTONE):
                bench.erp.by_owner["clm/C-1"].discard(found.ref)
                del bench.erp.objects[found.ref]

    bench.erp.after = forget
    staff.confirm(made.replay_id)
    await replayer.drain()
    state, words = staff.items(made.replay_id)["C-1"]
    assert (state, "after the write it still needs" in words) == ("mismatch", True), words
    assert staff.state(made.replay_id) == "finished"


async def test_what_the_erp_refuses_fails_in_its_words(bench: Bench, staff: Staff) -> None:
    replayer = await provisioned(bench, "C-1")
    lose(bench, ["C-1"])
    made = staff.preview("C-1")
    await replayer.drain()
    bench.erp.before = lambda op, _ctx: ErpRejected("cloud", "period closed") if op == "create project" else None
    staff.confirm(made.replay_id)
    await settle(bench, replayer, rounds=3)
    assert staff.items(made.replay_id)["C-1"] == ("failed", "cloud: period closed")


async def test_an_outage_holds_an_item_until_it_is_over(bench: Bench, staff: Staff) -> None:
    replayer = await provisioned(bench, "C-1")
    lose(bench, ["C-1"])
    made = staff.preview("C-1")
    await replayer.drain()
    bench.erp.before = lambda _op, _ctx: ErpUnavailable("cloud", "refused the connection")
    staff.confirm(made.replay_id)
    await settle(bench, replayer, rounds=4)
    assert staff.ends(made.replay_id) == {"C-1": "pending"}
    bench.erp.before = lambda _op, _ctx: None
    await settle(bench, replayer, rounds=20)
    assert staff.ends(made.replay_id) == {"C-1": "verified"}


async def test_missed_since_a_backup_finds_what_the_erp_lost(bench: Bench, staff: Staff) -> None:
    replayer = await provisioned(bench, "C-1", "C-2", "C-3")
    lose(bench, ["C-2", "C-3"])
    made = staff.replays.preview(ADA, Selection(missed=Missed("cloud", bench.clock.now())), title="restored")
    await replayer.drain()
    assert made.items == 3
    creating = "SELECT count(*) FROM core.replay_item WHERE creates > 0"
    assert staff.rows(creating) == [(2,)]
    staff.confirm(made.replay_id)
    await settle(bench, replayer)
    assert set(staff.ends(made.replay_id).values()) == {"verified"}
    assert len(bench.erp.of(Kind.PROJECT)) == 3


async def test_the_one_who_confirmed_cannot_approve(bench: Bench, database: sa.Engine) -> None:
    staff = Staff(
        database, bench, policy=ReplayPolicy(second_person_from_count=1, per_minute=60_000, ticket_required=False)
    )
    replayer = await provisioned(bench, "C-1")
    both = person("Ada@Example.com", ["operator", "approver"])
    made = staff.preview("C-1")
    await replayer.drain()
    confirmed = staff.confirm(made.replay_id)
    assert confirmed.state == "awaiting_approval"
    assert confirmed.approval_why == "1 items are 1 or more"
    with pytest.raises(CommandRefused, match="another person"):
        staff.replays.approve(both, made.replay_id, reason="looks fine")
    await settle(bench, replayer, rounds=2)
    assert staff.ends(made.replay_id) == {"C-1": "pending"}
    staff.replays.approve(BEN, made.replay_id, reason="looks fine")
    await settle(bench, replayer, rounds=3)
    assert staff.ends(made.replay_id) == {"C-1": "verified"}
