"""The course of a replay: pause, cancel, a rate, time that runs out, workers that die. Its items always add up."""

import asyncio
import json
from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.authority import Forbidden, person
from sync_core.clock import SystemClock
from sync_core.commands.desk import Changed, CommandRefused, NotFound
from sync_core.desired import Kind
from sync_core.engine.replaying import Replayer
from sync_core.engine.worker import Pace
from sync_core.errors import ErpAmbiguous, ErpUnavailable
from sync_core.ports import CallContext
from sync_core.reads import Reads
from sync_core.replay.replay import DEADLINE, ItemState, Origin
from sync_core.replay.selection import Selection, StuckFilter
from tests.databases import DatabaseUrls
from tests.engine.replays import ADA, FAST, Staff, lose, provisioned, settle
from tests.engine.support import Bench, start, until
from tests.engine.test_takeover import CallLatch, once_each
from tests.sows import cloud_event, milestone_terms, signed, tm_terms

# A killed worker's database connections break in the middle of a transaction.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

QUICK = Pace(idle_s=0.05, sweep_s=0.05, lease_s=30, call_timeout_s=5)


@pytest.fixture
def bench(async_database: AsyncEngine) -> Bench:
    return Bench(async_database)


@pytest.fixture
def staff(database: sa.Engine, bench: Bench) -> Staff:
    return Staff(database, bench)


async def previewed(bench: Bench, staff: Staff, replayer: Replayer, *names: str) -> int:
    lose(bench, names)
    made = staff.preview(*names)
    await replayer.drain()
    return made.replay_id


async def test_commands_need_no_worker_and_pause_and_cancel_hold_what_is_not_begun(bench: Bench, staff: Staff) -> None:
    names = [f"C-{n}" for n in range(4)]
    replayer = await provisioned(bench, *names)
    replay_id = await previewed(bench, staff, replayer, *names)
    staff.confirm(replay_id, per_minute=30)
    await replayer.drain()
    assert sorted(staff.ends(replay_id).values()) == ["pending"] * 3 + ["verified"]
    paused = staff.replays.pause(ADA, replay_id)
    await settle(bench, replayer)
    assert sorted(staff.ends(replay_id).values()) == ["pending"] * 3 + ["verified"]
    with pytest.raises(Changed):
        staff.replays.resume(ADA, replay_id, version=paused.version - 1)
    staff.replays.resume(ADA, replay_id, version=paused.version)
    bench.virtual.advance(timedelta(seconds=2))
    await replayer.drain()
    assert sorted(staff.ends(replay_id).values()) == ["pending"] * 2 + ["verified"] * 2
    staff.replays.cancel(ADA, replay_id, reason="enough for today")
    assert sorted(staff.ends(replay_id).values()) == ["cancelled"] * 2 + ["verified"] * 2
    await replayer.drain()
    assert staff.state(replay_id) == "cancelled"
    assert staff.rows("SELECT count(*) FROM core.contract WHERE due_at IS NOT NULL OR replay_id IS NOT NULL") == [(0,)]
    assert len(bench.erp.of(Kind.PROJECT)) == 2
    assert staff.replays.offer_again(ADA, replay_id).items == 2


async def test_a_dispatched_contract_gets_back_what_it_was_when_its_replay_is_cancelled(
    bench: Bench, staff: Staff
) -> None:
    await bench.arrive(cloud_event("e1", "signed.v1", signed("C-1", milestone_terms(tax={"tax_code": "NO-SUCH"}))))
    worker = await bench.worker()
    await worker.drain()
    before = staff.rows("SELECT state, state_since, due_at FROM core.contract")
    assert before[0][0] == "blocked"
    bench.erp.tax_codes.add("NO-SUCH")
    made, replayer = staff.preview("C-1"), Replayer(worker)
    await replayer.previewer.drain()
    await replayer.dispatcher.tick()
    staff.confirm(made.replay_id)
    await replayer.dispatcher.tick()
    assert staff.rows("SELECT state, replay_id FROM core.contract") == [("waiting", made.replay_id)]
    staff.replays.cancel(ADA, made.replay_id, reason="not now")
    assert staff.rows("SELECT state, state_since, due_at FROM core.contract") == before
    assert staff.ends(made.replay_id) == {"C-1": "cancelled"}


async def test_what_was_blocked_goes_on_once_its_cause_is_gone(bench: Bench, staff: Staff) -> None:
    await bench.arrive(cloud_event("e1", "signed.v1", signed("C-1", milestone_terms(tax={"tax_code": "NO-SUCH"}))))
    worker = await bench.worker()
    replayer = Replayer(worker)
    await replayer.drain()
    stopped = staff.preview("C-1")
    await replayer.drain()
    with pytest.raises(CommandRefused, match="no item is left"):
        staff.confirm(stopped.replay_id)
    bench.erp.tax_codes.add("NO-SUCH")
    made = staff.preview("C-1")
    await replayer.drain()
    staff.confirm(made.replay_id)
    await replayer.drain()
    assert staff.ends(made.replay_id) == {"C-1": "verified"}
    assert await bench.states() == {"C-1": "active"}


async def test_a_write_without_an_answer_ends_unverifiable_and_one_never_sent_fails(bench: Bench, staff: Staff) -> None:
    replayer = await provisioned(bench, "C-1", "C-2")
    replay_id = await previewed(bench, staff, replayer, "C-1", "C-2")

    def silent(operation: str, ctx: CallContext) -> ErpAmbiguous | ErpUnavailable | None:
        if ctx.correlation_id == "corr-e-C-2":
            return ErpUnavailable("cloud", "refused the connection")
        return ErpAmbiguous("cloud", "no answer") if operation == "create project" else None

    bench.erp.after = silent
    staff.confirm(replay_id)
    bench.virtual.advance(timedelta(seconds=1))
    await replayer.drain()
    bench.erp.after = lambda _operation, _ctx: ErpUnavailable("cloud", "went away")
    bench.virtual.advance(DEADLINE + timedelta(seconds=1))
    await replayer.dispatcher.tick()
    found = staff.items(replay_id)
    assert {name: state for name, (state, _) in found.items()} == {"C-1": "unverifiable", "C-2": "failed"}
    assert found["C-2"][1].startswith("nothing could be sent in time")
    assert staff.state(replay_id) == "finished"
    bench.erp.after = lambda _operation, _ctx: None
    await settle(bench, replayer, rounds=30)
    assert await bench.states() == {"C-1": "active", "C-2": "active"}


async def test_a_contract_is_in_one_confirmed_replay_at_a_time(bench: Bench, staff: Staff) -> None:
    replayer = await provisioned(bench, "C-1", "C-2")
    first, second = staff.preview("C-1"), staff.preview("C-1", "C-2")
    await replayer.drain()
    staff.confirm(first.replay_id, per_minute=1)
    staff.replays.pause(ADA, first.replay_id)
    assert staff.confirm(second.replay_id).items == 1
    assert staff.items(second.replay_id)["C-1"] == ("skipped", f"replay {first.replay_id} is about to do it")
    third = staff.preview("C-1")
    assert (third.to_preview, third.state) == (0, "previewed")
    assert staff.items(third.replay_id)["C-1"][1] == f"superseded: replay {first.replay_id} is about to do it"


async def test_from_the_original_payload_quarantined_events_join_once_they_are_understood(
    bench: Bench, staff: Staff
) -> None:
    replayer = await provisioned(bench, "C-1")
    event = cloud_event(
        "e2", "amended.v1",
        {"contract_id": "C-1", "revision": 2, "amendment": {"number": 1, "executed_at": "2026-03-02T10:00:00Z"},
         "changes": {"title": "Larger rollout"}},
    )  # fmt: skip
    staff.execute(
        "INSERT INTO core.quarantine (source, event_id, type, external_id, reason, signature, body, received_by,"
        " correlation_id, occurred_at, recorded_at) VALUES (:source, 'e2', :type, 'C-1', 'not registered then', true,"
        " convert_to(:body, 'UTF8'), 'webhook', 'k', :now, :now)",
        source=event["source"], type=event["type"], body=json.dumps(event), now=bench.clock.now(),
    )  # fmt: skip
    made = staff.preview("C-1", origin=Origin.ORIGINAL)
    await replayer.previewer.drain()
    assert staff.rows("SELECT updates, plan -> 1 -> 'after' ->> 'name' FROM core.replay_item") == [
        (1, "Larger rollout")
    ]
    assert staff.rows("SELECT count(*) FROM core.quarantine WHERE released_at IS NULL") == [(0,)]
    staff.replays.cancel(ADA, made.replay_id, reason="seen enough")


async def test_reach_limits_what_is_chosen_seen_and_done(bench: Bench, staff: Staff, database: sa.Engine) -> None:
    replayer = await provisioned(bench, "C-1", "C-2")
    staff.execute("UPDATE core.contract SET legal_entity = 'GB01' WHERE external_id = 'C-2'")
    british = person("bob@example.com", ["operator@GB01"])
    with pytest.raises(NotFound):
        staff.preview("C-1", "C-2", actor=british)
    mine = staff.preview("C-2", actor=british)
    ours = staff.preview("C-1", "C-2")
    yours = staff.preview("C-1")
    await replayer.drain()
    with pytest.raises(Forbidden, match="US01"):
        staff.replays.confirm(british, ours.replay_id, reason="all of it", ticket="INC-1")
    with pytest.raises(NotFound):
        staff.replays.cancel(british, yours.replay_id, reason="not mine")
    reads = Reads(database, clock=bench.clock, estate=staff.estate).within(british)
    assert [row.replay_id for row in reads.replays().rows] == [ours.replay_id, mine.replay_id]
    seen = reads.replay(ours.replay_id)
    assert seen is not None
    assert (seen.totals.whole, seen.totals.items, seen.replay.items) == (False, 1, 2)
    assert [row.external_id for row in reads.replay_items(ours.replay_id).rows] == ["C-2"]
    assert reads.replay_item(ours.replay_id, staff.ids("C-1")[0]) is None
    assert reads.replay(yours.replay_id) is None


async def test_a_selection_by_filter_is_frozen(bench: Bench, staff: Staff) -> None:
    bad = milestone_terms(tax={"tax_code": "NO-SUCH"})
    await bench.arrive(*(cloud_event(f"e{n}", "signed.v1", signed(f"C-{n}", bad)) for n in range(3)))
    worker = await bench.worker()
    await worker.drain()
    stuck = Selection(stuck=StuckFilter(cause="tax_profile_missing", legal_entity="US01"))
    made = staff.replays.preview(ADA, stuck, title="tax codes are there")
    await bench.arrive(cloud_event("e9", "signed.v1", signed("C-9", bad)))
    await Replayer(worker).drain()
    assert (made.items, len(staff.items(made.replay_id))) == (3, 3)


@pytest.mark.parametrize("landed", [False, True], ids=["before it took effect", "after it took effect"])
@pytest.mark.parametrize("at_call", [1, 2, 4, 6, 8])
async def test_killed_in_the_middle_of_an_item_another_worker_verifies_it_and_nothing_is_double(
    bench: Bench, staff: Staff, database_urls: DatabaseUrls, at_call: int, landed: bool
) -> None:
    bench.clock, bench.settle_s = SystemClock(), 0.3
    staff = Staff(staff.engine, bench)
    await bench.arrive(cloud_event("e1", "signed.v1", signed("C-1", tm_terms())))
    first = await start(bench, database_urls.app_libpq, pace=QUICK)
    await until(lambda: _count(bench, "SELECT count(*) FROM core.contract WHERE state = 'active'", 1))
    lose(bench, ["C-1"])
    made = staff.preview("C-1")
    await until(lambda: _count(bench, "SELECT count(*) FROM core.replay WHERE state = 'previewed'", 1))
    reached, never = asyncio.Event(), asyncio.Event()
    hang = CallLatch(at_call).hook(reached, never)
    bench.erp.pause_after, bench.erp.pause_before = (hang, None) if landed else (None, hang)
    staff.confirm(made.replay_id)
    done = asyncio.create_task(until(lambda: _count(bench, _OVER, 1)))
    await asyncio.wait({asyncio.create_task(reached.wait()), done}, return_when="FIRST_COMPLETED")
    await first.kill()
    bench.erp.pause_after = bench.erp.pause_before = None
    second = await start(bench, database_urls.app_libpq, pace=QUICK)
    await done
    await second.finish()
    assert staff.items(made.replay_id)["C-1"] == ("verified", "")
    assert once_each(bench.erp)


_OVER = "SELECT count(*) FROM core.replay WHERE state = 'finished'"


async def _count(bench: Bench, sql: str, wanted: int) -> bool:
    return bool((await bench.rows(sql))[0][0] == wanted)


async def test_totals_add_up_at_every_moment_while_two_workers_run(
    bench: Bench, staff: Staff, database: sa.Engine, database_urls: DatabaseUrls
) -> None:
    bench.clock = SystemClock()
    staff = Staff(staff.engine, bench)
    names = [f"C-{n:02d}" for n in range(60)]
    await bench.arrive(*(cloud_event(f"e-{name}", "signed.v1", signed(name)) for name in names))
    workers = [await start(bench, database_urls.app_libpq, pace=QUICK) for _ in range(2)]
    await until(lambda: _count(bench, "SELECT count(*) FROM core.contract WHERE state = 'active'", 60))
    lose(bench, names[:40])
    bench.erp.latency_s = 0.005
    made = staff.preview(*names)
    reads = Reads(database, clock=bench.clock, estate=staff.estate)
    await until(lambda: _count(bench, "SELECT count(*) FROM core.replay WHERE state = 'previewed'", 1))
    staff.confirm(made.replay_id, per_minute=FAST // 20)
    seen = set()

    async def over() -> bool:
        detail = await asyncio.to_thread(reads.replay, made.replay_id)
        assert detail is not None
        assert sum(detail.totals.states.values()) == detail.totals.items == 60
        assert detail.totals.waiting + detail.totals.in_hand == detail.totals.states[ItemState.PENDING]
        seen.add(detail.totals.ended)
        return detail.replay.finished_at is not None

    await until(over, within_s=40)
    for worker in workers:
        await worker.finish()
    assert len(seen) > 2
    assert set(staff.ends(made.replay_id).values()) == {"verified"}
    assert len(bench.erp.of(Kind.PROJECT)) == 60
