"""Moving contracts between ERPs, by real PostgreSQL and two memory ERPs: what is invoiced stays, the rest goes once."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.commands.desk import CommandRefused, InvalidInput
from sync_core.commands.moves import Leaving
from sync_core.desired import Kind
from sync_core.engine.replaying import Replayer
from sync_core.errors import ErpRejected, ErpUnavailable
from sync_core.ports import CallContext
from tests.engine.moves import NEW, OLD, Movers, TwoErps, amounts, moved, settled, value
from tests.engine.replays import ADA
from tests.sows import cloud_event, milestone_terms, signed, tm_terms

DESIGN, GOLIVE = "clm/C-1#M:design", "clm/C-1#M:golive"


@pytest.fixture
def bench(async_database: AsyncEngine) -> TwoErps:
    return TwoErps(async_database)


@pytest.fixture
def movers(database: sa.Engine, bench: TwoErps) -> Movers:
    return Movers(database, bench)


async def provisioned(bench: TwoErps, *names: str, terms: dict[str, object] | None = None) -> Replayer:
    await bench.arrive(*(cloud_event(f"e-{name}", "signed.v1", signed(name, terms)) for name in names))
    worker = await bench.worker()
    await worker.drain()
    assert set((await bench.states()).values()) == {"active"}
    return Replayer(worker)


async def test_what_is_invoiced_stays_and_the_rest_goes_over_once(bench: TwoErps, movers: Movers) -> None:
    replayer = await provisioned(bench, "C-1")
    bench.invoice(bench.old, DESIGN)
    move_id = await moved(bench, movers, replayer)
    assert movers.items(move_id) == {"C-1": ("verified", "")}
    assert (amounts(bench.old), value(bench.old)) == ({}, [])
    assert (amounts(bench.erp), value(bench.erp)) == ({GOLIVE: "15000"}, ["15000"])
    assert amounts(bench.erp, Kind.CONTRACT_LINE) == {"clm/C-1#L:1": "15000"}
    assert [str(f.key) for f in bench.old.of(Kind.MILESTONE)] == [DESIGN]
    assert bench.billable() == {"clm/C-1": 1}
    assert movers.placed() == [("C-1", NEW, None)]
    assert movers.rows("SELECT state, lane FROM core.contract") == [("active", NEW)]
    behind = movers.rows("SELECT behind FROM core.placement")[0][0]
    assert behind == {OLD: {"billed": "10000", "milestones": {DESIGN: "10000"}}}


async def test_a_preview_shows_both_erps_and_writes_to_neither(bench: TwoErps, movers: Movers) -> None:
    replayer = await provisioned(bench, "C-1")
    bench.invoice(bench.old, DESIGN)
    made = movers.preview()
    before = (len(bench.old.objects), len(bench.erp.objects))
    await replayer.drain()
    assert (len(bench.old.objects), len(bench.erp.objects)) == before
    plan = movers.rows("SELECT plan, billed, to_bill FROM core.replay_item WHERE replay_id = :id", id=made.replay_id)
    effects, billed, to_bill = plan[0]
    assert (billed, to_bill) == (10000, 15000)
    told = [(e["system"], e["action"], e["key"]) for e in effects]  # type: ignore[attr-defined]
    assert (OLD, "close", "clm/C-1") in told
    assert (OLD, "close", GOLIVE) in told
    assert (OLD, "no_op", DESIGN) in told
    assert (NEW, "create", GOLIVE) in told
    assert (NEW, "create", DESIGN) not in told


async def test_the_new_erp_gets_nothing_before_the_old_one_was_read_back_as_closed(
    bench: TwoErps, movers: Movers
) -> None:
    replayer = await provisioned(bench, "C-1")
    made = movers.preview()
    await replayer.drain()
    movers.confirm(made.replay_id)
    bench.old.before = lambda op, _ctx: ErpUnavailable(OLD, "refused the connection") if op == "close" else None
    await settled(bench, replayer)
    assert bench.erp.of(Kind.PROJECT) == []
    assert movers.items(made.replay_id)["C-1"][0] == "pending"
    bench.old.before = lambda _op, _ctx: None
    await settled(bench, replayer, rounds=30)
    assert movers.items(made.replay_id)["C-1"] == ("verified", "")
    assert (value(bench.old), value(bench.erp)) == ([], ["25000"])


async def test_hours_that_were_invoiced_are_taken_off_value_cap_and_line(bench: TwoErps, movers: Movers) -> None:
    replayer = await provisioned(bench, "C-1", terms=tm_terms())
    bench.invoice_hours(bench.old, "8000")
    move_id = await moved(bench, movers, replayer)
    assert movers.items(move_id) == {"C-1": ("verified", "")}
    (project,) = bench.erp.of(Kind.PROJECT)
    assert (project.fields["value"], project.fields["not_to_exceed"]) == ("40000", "40000")
    assert amounts(bench.erp, Kind.CONTRACT_LINE) == {"clm/C-1#L:1": "40000"}


async def test_hours_of_an_erp_that_does_not_say_how_much_stop_the_move(bench: TwoErps, movers: Movers) -> None:
    replayer = await provisioned(bench, "C-1", terms=tm_terms())
    for found in bench.old.of(Kind.LABOUR_RATE):
        bench.old.hold(type(found)(found.kind, found.key, found.ref, found.fields, found.parent, billed=True))
    made = movers.preview()
    await replayer.drain()
    with pytest.raises(CommandRefused, match="no item is left"):
        movers.confirm(made.replay_id)


async def test_what_is_invoiced_to_the_end_stays_whatever_the_policy_says(bench: TwoErps, movers: Movers) -> None:
    replayer = await provisioned(bench, "C-1")
    bench.invoice(bench.old, DESIGN, GOLIVE)
    made = movers.preview()
    await replayer.drain()
    done = movers.confirm(made.replay_id)
    assert (done.items, done.skipped) == (0, 1)
    await settled(bench, replayer)
    assert movers.placed() == [("C-1", OLD, None)]
    await bench.reroute(NEW)
    await bench.arrive(cloud_event("e-2", "signed.v1", signed("C-1", milestone_terms(title="Renamed"), revision=2)))
    await (await bench.worker()).drain()
    assert await bench.states() == {"C-1": "active"}
    assert bench.erp.of(Kind.PROJECT) == []


async def test_an_amendment_after_the_move_changes_the_new_erp_alone(bench: TwoErps, movers: Movers) -> None:
    replayer = await provisioned(bench, "C-1")
    bench.invoice(bench.old, DESIGN)
    await moved(bench, movers, replayer)
    terms = milestone_terms(value="30000.00")
    terms["lines"][0]["amount"], terms["milestones"][1]["amount"] = "30000.00", "20000.00"  # type: ignore[index]
    header = {"number": 1, "executed_at": "2026-03-02T11:00:00Z"}
    changes = {name: terms[name] for name in ("value", "lines", "milestones")}
    amended = {"contract_id": "C-1", "revision": 2, "amendment": header, "changes": changes}
    await bench.arrive(cloud_event("e-2", "amended.v1", amended))
    await settled(bench, replayer)
    assert (amounts(bench.erp), value(bench.erp)) == ({GOLIVE: "20000"}, ["20000"])
    assert value(bench.old) == []


async def test_a_move_is_taken_back_where_nothing_is_billed_since(bench: TwoErps, movers: Movers) -> None:
    replayer = await provisioned(bench, "C-1", "C-2")
    bench.invoice(bench.old, DESIGN)
    move_id = await moved(bench, movers, replayer)
    bench.invoice(bench.erp, "clm/C-2#M:design")
    back = movers.moves.undo(ADA, move_id)
    await replayer.drain()
    movers.confirm(back.replay_id)
    await settled(bench, replayer)
    ends = movers.items(back.replay_id)
    assert ends["C-1"] == ("verified", "")
    assert ends["C-2"][0] == "skipped"
    assert "has invoiced 10000 since the move" in ends["C-2"][1]
    assert amounts(bench.old) == {GOLIVE: "15000"}
    # With the first one, which is closed and has billed 10,000, it is the contract.
    assert value(bench.old) == ["15000"]
    assert amounts(bench.old, Kind.CONTRACT_LINE) == {"clm/C-1#L:1": "15000"}
    assert movers.differences(move_id) == movers.differences(back.replay_id) == {0}
    assert bench.billable() == {"clm/C-1": 1, "clm/C-2": 1}
    assert movers.placed() == [("C-1", OLD, None), ("C-2", NEW, None)]


async def test_what_changed_since_the_preview_is_not_moved(bench: TwoErps, movers: Movers) -> None:
    replayer = await provisioned(bench, "C-1")
    made = movers.preview()
    await replayer.drain()
    bench.invoice(bench.old, DESIGN)
    movers.confirm(made.replay_id)
    await settled(bench, replayer)
    state, words = movers.items(made.replay_id)["C-1"]
    assert (state, words.startswith("changed:")) == ("skipped", True), words
    assert movers.placed() == []
    assert movers.rows("SELECT state, lane, replay_id FROM core.contract") == [("active", OLD, None)]
    assert bench.billable() == {"clm/C-1": 1}


async def test_what_the_new_erp_lacks_stops_a_contract_before_anything_is_closed(
    bench: TwoErps, movers: Movers
) -> None:
    replayer = await provisioned(bench, "C-1")
    bench.erp.tax_codes.clear()
    made = movers.preview()
    await replayer.drain()
    found = movers.rows(
        "SELECT findings -> 0 ->> 'cause' FROM core.replay_item WHERE replay_id = :id", id=made.replay_id
    )
    assert found == [("tax_profile_missing",)]
    with pytest.raises(CommandRefused):
        movers.confirm(made.replay_id)
    assert bench.billable() == {"clm/C-1": 1}


async def test_a_close_that_is_refused_is_an_exception_and_the_contract_goes_on_once_it_is_mended(
    bench: TwoErps, movers: Movers
) -> None:
    replayer = await provisioned(bench, "C-1")
    made = movers.preview()
    await replayer.drain()
    movers.confirm(made.replay_id)
    bench.old.before = lambda op, _ctx: ErpRejected(OLD, "the period is closed") if op == "close" else None
    await settled(bench, replayer, rounds=2)
    assert movers.items(made.replay_id)["C-1"] == ("failed", "legacy: the period is closed")
    assert await bench.states() == {"C-1": "blocked"}
    bench.old.before = lambda _op, _ctx: None
    bench.virtual.advance(timedelta(hours=2))
    await settled(bench, replayer)
    assert (value(bench.old), value(bench.erp)) == ([], ["25000"])
    assert await bench.states() == {"C-1": "active"}


async def test_cancelled_before_its_turn_a_contract_stays_where_it_was(bench: TwoErps, movers: Movers) -> None:
    replayer = await provisioned(bench, "C-1", "C-2")
    made = movers.preview()
    await replayer.drain()
    movers.confirm(made.replay_id, per_minute=1)
    await replayer.dispatcher.tick()
    assert len(movers.placed()) == 1
    movers.replays.cancel(ADA, made.replay_id, reason="not this month")
    await settled(bench, replayer)
    assert movers.placed() == []
    assert {state for state, _ in movers.items(made.replay_id).values()} == {"cancelled"}
    assert sorted(value(bench.old)) == ["25000", "25000"]
    assert bench.erp.of(Kind.PROJECT) == []
    assert set((await bench.states()).values()) == {"active"}


async def test_a_new_route_waits_for_a_move_that_is_under_way_and_is_an_exception_without_one(
    bench: TwoErps, movers: Movers
) -> None:
    await provisioned(bench, "C-1")
    await bench.reroute(NEW)
    changed = signed("C-1", milestone_terms(title="Renamed"), revision=2)
    await bench.arrive(cloud_event("e-2", "signed.v1", changed))
    replayer = Replayer(await bench.worker())
    await replayer.drain()
    assert await bench.states() == {"C-1": "blocked"}
    assert movers.rows("SELECT cause FROM core.case WHERE state = 'open'") == [("project_elsewhere",)]
    made = movers.preview()
    bench.virtual.advance(timedelta(hours=2))
    await settled(bench, replayer)
    assert await bench.states() == {"C-1": "blocked"}  # a preview that nobody confirms decides nothing
    movers.confirm(made.replay_id)
    movers.replays.pause(ADA, made.replay_id)
    bench.virtual.advance(timedelta(hours=2))
    await settled(bench, replayer)
    assert await bench.states() == {"C-1": "active"}
    assert (value(bench.old), value(bench.erp)) == (["25000"], [])
    assert movers.rows("SELECT count(*) FROM core.case WHERE state = 'open'") == [(0,)]


async def test_two_erps_of_the_estate_and_a_selection_are_asked_for(bench: TwoErps, movers: Movers) -> None:
    await provisioned(bench, "C-1")
    for way, words in (((OLD, OLD), "is no move"), ((OLD, "mars"), "is no ERP of the estate")):
        with pytest.raises(InvalidInput, match=words):
            movers.moves.preview(ADA, Leaving(legal_entity="US01"), move_from=way[0], move_to=way[1])
    with pytest.raises(InvalidInput, match="choose contracts"):
        movers.moves.preview(ADA, Leaving(), move_from=OLD, move_to=NEW)
    with pytest.raises(InvalidInput, match="no contract within your reach is in cloud"):
        movers.moves.preview(ADA, Leaving(legal_entity="US01"), move_from=NEW, move_to=OLD)


async def test_a_request_of_a_lost_worker_cannot_bring_the_old_project_back_to_life(
    bench: TwoErps, movers: Movers
) -> None:
    """Its `activate` lands after the close was read back: the contract is not let go before that is seen."""
    replayer = await provisioned(bench, "C-1")
    made = movers.preview()
    await replayer.drain()
    movers.confirm(made.replay_id)
    await replayer.dispatcher.tick()
    with movers.engine.begin() as conn:
        conn.execute(sa.text("UPDATE core.contract SET unclean_at = :now"), {"now": bench.clock.now()})
    bench.virtual.advance(timedelta(seconds=0.06))
    seen: list[list[str]] = []

    def note(operation: str, _ctx: CallContext) -> None:
        if operation == "create project":
            seen.append(value(bench.old))

    bench.erp.before = note
    await replayer.drain()
    assert bench.erp.of(Kind.PROJECT) == []  # closed and read back, but not for sure
    await settled(bench, replayer)
    assert seen == [[]]
    assert bench.billable() == {"clm/C-1": 1}
