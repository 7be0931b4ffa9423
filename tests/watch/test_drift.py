"""The watch: what was changed behind our back is found, classified, kept as rows, repaired by a replay, and closed."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa

from sync_core.authority import person
from sync_core.commands.desk import CommandRefused
from sync_core.desired import Found, Kind
from sync_core.engine.replaying import Replayer
from sync_core.errors import ErpUnavailable
from sync_core.keys import BusinessKey, ErpRef
from sync_core.reads.drift import DriftFilter
from sync_core.watch.drift_rows import enrol
from tests.engine.governed import Desk
from tests.sows import cloud_event, signed, tm_terms, two_prices
from tests.watch.drifting import ADA, alter, found, look


async def test_where_all_say_the_same_nothing_is_opened(desk: Desk) -> None:
    assert await look(desk) == "2 compared, 0 differences opened, 0 closed"
    assert found(desk, state="all") == []
    state = desk.reads.drift_watch()
    assert (state.watched, state.never, state.unread) == (2, 0, 0)


async def test_each_price_over_time_is_compared_by_itself(desk: Desk) -> None:
    desk.erp.dated_rates = True
    await desk.arrive(cloud_event("dated", "signed.v1", signed("R-1", tm_terms(rates=two_prices()))))
    await desk.run()
    alter(desk, Kind.LABOUR_RATE, "clm/R-1#R:SR@2026-06-15", rate="1")
    await look(desk)
    assert [one for one in found(desk) if one[0] == "R-1"] == [("R-1", "labour_rate", "rate", "260", "1", "ours")]
    alter(desk, Kind.LABOUR_RATE, "clm/R-1#R:SR@2026-06-15", rate="260", valid_from="2026-06-01")
    await look(desk)
    assert [one for one in found(desk) if one[0] == "R-1"] == [
        ("R-1", "labour_rate", "valid_from", "2026-06-15", "2026-06-01", "ours")
    ]  # fmt: skip


async def test_new_contracts_are_looked_for_among_the_latest_or_among_all(desk: Desk) -> None:
    watched = "SELECT external_id FROM core.drift_check JOIN core.contract USING (contract_id) ORDER BY 1"
    ((newest,),) = await desk.rows("SELECT external_id FROM core.contract ORDER BY contract_id DESC LIMIT 1")
    async with desk.engine.begin() as conn:
        assert await enrol(conn, "cloud", whole=False, recent=1)
    assert await desk.rows(watched) == [(newest,)]
    async with desk.engine.begin() as conn:
        assert await enrol(conn, "cloud", whole=True)
    assert await desk.rows(watched) == [("A-1",), ("B-1",)]


async def test_value_dates_rates_milestones_po_tax_and_status_are_compared(desk: Desk) -> None:
    alter(desk, Kind.PROJECT, "clm/A-1", value="1", starts_on="2026-01-01", po_number="PO-0", tax_code=None,
          billable=False)  # fmt: skip
    alter(desk, Kind.MILESTONE, "clm/A-1#M:golive", amount="1", bill_on="2026-01-01")
    alter(desk, Kind.LABOUR_RATE, "clm/B-1#R:SR", rate="1")
    await look(desk)
    assert found(desk) == [
        ("A-1", "milestone", "amount", "15000", "1", "ours"),
        ("A-1", "milestone", "bill_on", "2026-09-30", "2026-01-01", "ours"),
        ("A-1", "project", "billable", "yes", "no", "ours"),
        ("A-1", "project", "po_number", "PO-77", "PO-0", "ours"),
        ("A-1", "project", "starts_on", "2026-04-01", "2026-01-01", "ours"),
        ("A-1", "project", "tax_code", "US-CA-STD", None, "ours"),
        ("A-1", "project", "value", "25000", "1", "ours"),
        ("B-1", "labour_rate", "rate", "240", "1", "ours"),
    ]
    assert await desk.cases() == [], "nothing of it is for a person to decide"
    assert desk.erp.calls.count("update project") == 0, "the watch writes nothing"


async def test_what_is_ours_is_repaired_by_a_previewed_replay_and_closed_by_read_back(desk: Desk) -> None:
    alter(desk, Kind.MILESTONE, "clm/A-1#M:golive", amount="1")
    await look(desk)
    with pytest.raises(CommandRefused, match="nothing that is ours"):
        desk.people.drift.repair(ADA, entity="GB01")
    made = desk.people.drift.repair(ADA)
    assert made.items == 1
    assert desk._worker is not None
    await Replayer(desk._worker).drain()
    detail = desk.reads.replay(made.replay_id)
    assert detail is not None
    assert (detail.totals.updates, detail.totals.creates) == (1, 0)
    desk.people.replays.confirm(ADA, made.replay_id, reason="the ERP was changed by hand", ticket="CHG-1")
    await Replayer(desk._worker).drain()
    await desk.run(after=timedelta(minutes=1))
    await Replayer(desk._worker).drain()
    assert await desk.rows("SELECT state FROM core.replay_item") == [("verified",)]
    [held] = [one for one in desk.erp.of(Kind.MILESTONE) if one.key == "clm/A-1#M:golive"]
    assert held.fields["amount"] == "15000"
    assert found(desk) != [], "a difference is closed by a comparison, not by the hope that it is gone"
    assert await look(desk, most=1) == "1 compared, 0 differences opened, 1 closed", "what was repaired comes first"
    assert found(desk) == []
    [row] = desk.reads.drift(DriftFilter(state="closed")).rows
    assert row.closed_at == desk.clock.now()


async def test_what_was_deleted_and_what_was_added_in_the_erp_is_found(desk: Desk) -> None:
    [lost] = [one for one in desk.erp.of(Kind.MILESTONE) if one.key == "clm/A-1#M:design"]
    desk.erp.hold(replace(lost, active=False))
    extra = Found(Kind.MILESTONE, BusinessKey("clm/A-1#M:extra"), ErpRef("E99"), {"amount": "5"}, lost.parent)
    desk.erp.hold(extra)
    await look(desk)
    assert found(desk) == [
        ("A-1", "milestone", "", "there", None, "ours"), ("A-1", "milestone", "", None, "there", "ours"),
    ]  # fmt: skip


async def test_a_billed_milestone_that_differs_is_for_its_owner_and_becomes_an_exception(desk: Desk) -> None:
    alter(desk, Kind.MILESTONE, "clm/A-1#M:golive", amount="14000")
    [held] = [one for one in desk.erp.of(Kind.MILESTONE) if one.key == "clm/A-1#M:golive"]
    desk.erp.hold(replace(held, billed=True))
    await look(desk)
    assert [one[-1] for one in found(desk)] == ["owner"]
    await desk.run()
    assert ("billed_differs", "finance_operations", "open") in await desk.cases()
    runs = await desk.rows("SELECT count(*) FROM core.run")
    await look(desk)
    await desk.run()
    assert await desk.rows("SELECT count(*) FROM core.run") == runs, "it is not woken again for what is known"
    desk.erp.hold(replace(held, billed=True, fields={**held.fields, "amount": "15000"}))
    await look(desk)
    assert found(desk) == []
    await desk.run()
    assert [state for cause, _, state in await desk.cases() if cause == "billed_differs"] == ["resolved"]


async def test_nothing_is_repaired_without_a_preview_beside_what_an_owner_decides(desk: Desk) -> None:
    [held] = [one for one in desk.erp.of(Kind.MILESTONE) if one.key == "clm/A-1#M:golive"]
    desk.erp.hold(replace(held, billed=True, fields={**held.fields, "amount": "14000"}))
    alter(desk, Kind.PROJECT, "clm/A-1", po_number="PO-0")
    await look(desk)
    assert sorted(one[-1] for one in found(desk)) == ["ours", "owner"]
    await desk.run()
    [project] = [one for one in desk.erp.of(Kind.PROJECT) if one.key == "clm/A-1"]
    assert project.fields["po_number"] == "PO-0"


async def test_master_data_that_says_otherwise_is_allowed(desk: Desk) -> None:
    desk.erp.customers.clear()
    desk.erp.hold(Found(Kind.CUSTOMER, BusinessKey("CUST-1"), ErpRef("C-CUST-1"), {"name": "Harbour Mutual Ltd"}))
    await look(desk)
    assert ("A-1", "customer", "name", "Harbour Mutual", "Harbour Mutual Ltd", "allowed") in found(desk)
    with pytest.raises(CommandRefused):
        desk.people.drift.repair(ADA)


async def test_a_contract_with_work_on_its_way_is_not_compared(desk: Desk) -> None:
    header = {"number": 1, "executed_at": "2026-03-02T10:00:00+00:00"}
    data = {"contract_id": "A-1", "revision": 2, "amendment": header, "changes": {"title": "Soon"}}
    await desk.arrive(cloud_event("a2", "amended.v1", data))
    assert await look(desk) == "1 compared, 0 differences opened, 0 closed"
    assert found(desk) == []


async def test_what_happens_meanwhile_makes_a_comparison_void(desk: Desk) -> None:
    alter(desk, Kind.PROJECT, "clm/A-1", po_number="PO-0")
    header = {"number": 1, "executed_at": "2026-03-02T10:00:00+00:00"}
    data = {"contract_id": "A-1", "revision": 2, "amendment": header, "changes": {"po_number": "PO-0"}}

    async def arrives(operation: str, _ctx: object) -> None:
        desk.erp.pause_before = None
        await desk.arrive(cloud_event("a2", "amended.v1", data))

    desk.erp.pause_before = arrives
    await look(desk)
    assert found(desk) == []


async def test_trouble_of_the_erp_ends_the_round_and_opens_nothing(desk: Desk) -> None:
    desk.erp.before = lambda _operation, _ctx: ErpUnavailable("cloud", "down")
    with pytest.raises(ErpUnavailable):
        await look(desk)
    assert found(desk, state="all") == []
    async with desk.engine.begin() as conn:
        await conn.execute(sa.text("UPDATE core.lane SET breaker = 'open'"))
    assert await look(desk) == "the lane is not open"


async def test_the_oldest_comparison_comes_first_and_what_is_asked_for_before_it(desk: Desk) -> None:
    await look(desk, most=1)
    desk.virtual.advance(timedelta(minutes=1))
    await look(desk, most=1)
    checked = await desk.rows("SELECT checked_at FROM core.drift_check ORDER BY contract_id")
    assert len({at for [at] in checked}) == 2, "each once before any twice"
    [[second]] = await desk.rows("SELECT contract_id FROM core.contract WHERE external_id = 'B-1'")
    assert desk.people.drift.compare(ADA, [second]).contracts == 1
    desk.virtual.advance(timedelta(minutes=1))
    await look(desk, most=0)
    [[at]] = await desk.rows(f"SELECT checked_at FROM core.drift_check WHERE contract_id = {second}")
    assert at == desk.clock.now()
    assert desk.reads.drift_watch().asked == 0


async def test_an_ended_contract_leaves_the_turn_once_it_was_compared_and_nothing_differs(desk: Desk) -> None:
    ended = {"contract_id": "A-1", "revision": 2, "ended_on": desk.clock.now().date().isoformat()}
    await desk.arrive(cloud_event("x", "terminated.v1", ended))
    await desk.run()
    assert (await desk.states())["A-1"] == "ended"
    desk.virtual.advance(timedelta(minutes=1))
    assert (await look(desk)).startswith("2 compared")
    desk.virtual.advance(timedelta(minutes=1))
    assert (await look(desk)).startswith("1 compared")
    assert desk.reads.drift_watch().oldest_at == desk.clock.now(), "who has left makes the watch no older"
    [[first]] = await desk.rows("SELECT contract_id FROM core.contract WHERE external_id = 'A-1'")
    assert desk.people.drift.compare(ADA, [first]).contracts == 1
    assert (await look(desk)).startswith("2 compared"), "who asks has it compared"


async def test_differences_beyond_reach_are_neither_shown_nor_repaired(desk: Desk) -> None:
    alter(desk, Kind.PROJECT, "clm/A-1", po_number="PO-0")
    await look(desk)
    british = person("gb@example.com", ["operator@GB01"])
    assert desk.reads.within(british).drift().rows == ()
    assert desk.reads.within(british).drift_watch().watched == 0
    for refused in (desk.people.drift.compare, desk.people.drift.repair):
        with pytest.raises(CommandRefused):
            refused(british)
    assert Decimal(len(desk.reads.within(ADA).drift().rows)) == 1
