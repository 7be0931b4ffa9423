"""Replays that adopt: our keys are shown, confirmed and written, and what then stops the contract is said."""

from collections import Counter
from dataclasses import replace
from datetime import date, timedelta

import pytest
import sqlalchemy as sa

from sync_core.desired import Kind
from sync_core.engine.replaying import Replayer
from sync_core.errors import ErpAmbiguous
from sync_core.ports import CallContext
from tests.engine.replays import Staff, settle
from tests.engine.support import Bench
from tests.engine.test_adopting import bench as bench
from tests.engine.test_adopting import decide, looked, running_firm, under


async def test_a_replay_writes_no_key_that_was_not_confirmed(bench: Bench, database: sa.Engine) -> None:
    await running_firm(bench, "C-1")
    found = await looked(bench)
    staff = Staff(database, bench)
    replayer = Replayer(await under(bench, cut_over=date(2027, 6, 1)))
    await replayer.drain()
    replayer = Replayer(await under(bench, cut_over=None))
    made = staff.preview("C-1")
    await replayer.previewer.drain()
    await replayer.dispatcher.tick()
    decide(database, bench, found)
    staff.confirm(made.replay_id)
    await replayer.dispatcher.tick()
    bench.erp.calls.clear()
    await replayer.drain()
    ((state, words),) = staff.items(made.replay_id).values()
    assert (state, "now: adopt project clm/C-1" in words) == ("skipped", True)
    await settle(bench, replayer)
    assert await bench.states() == {"C-1": "active"}
    assert [str(held.key) for held in bench.erp.of(Kind.PROJECT)] == ["clm/C-1"]


async def previewed(bench: Bench, staff: Staff, replayer: Replayer) -> tuple[int, list[dict[str, str]], list[str]]:
    """A replay of C-1: its number, what it shows and what stops it."""
    made = staff.preview("C-1")
    await replayer.previewer.drain()
    await replayer.dispatcher.tick()
    ((plan, findings),) = staff.rows("SELECT plan, findings FROM core.replay_item WHERE replay_id = :id",
                                     id=made.replay_id)  # fmt: skip
    return made.replay_id, plan, [one["cause"] for one in findings]  # type: ignore[attr-defined,return-value]


@pytest.mark.parametrize("differs", [False, True], ids=["as agreed", "otherwise than agreed"])
async def test_a_replay_shows_an_adoption_and_carries_it_out(bench: Bench, database: sa.Engine, differs: bool) -> None:
    await running_firm(bench, "C-1")
    (project,) = bench.erp.of(Kind.PROJECT)
    if differs:
        bench.erp.hold(replace(project, fields={**project.fields, "payment_terms": "NET60"}))
    staff, found = Staff(database, bench), await looked(bench)
    replayer = Replayer(await under(bench, cut_over=date(2026, 6, 1)))
    decide(database, bench, found)
    bench.erp.calls.clear()
    replay_id, plan, stops = await previewed(bench, staff, replayer)
    assert {(one["action"], one["kind"]) for one in plan} == {
        ("adopt", "project"), ("adopt", "contract_line"), ("adopt", "milestone"),
    }  # fmt: skip
    assert stops == []
    staff.confirm(replay_id)
    await replayer.dispatcher.tick()
    await replayer.drain()
    ((state, words),) = staff.items(replay_id).values()
    assert (state, "by its next run" in words) == ("verified", differs)
    await settle(bench, replayer)
    assert (await bench.states(), bench.erp.creates) == ({"C-1": "active"}, Counter())
    assert "list projects" not in bench.erp.calls
    assert await bench.rows("SELECT count(*) FROM core.adoption WHERE taken_at IS NULL") == [(0,)]
    assert [held.fields["payment_terms"] for held in bench.erp.of(Kind.PROJECT)] == ["NET30"]


async def test_a_preview_says_that_what_was_adopted_is_closed_by_now(bench: Bench, database: sa.Engine) -> None:
    await running_firm(bench, "C-1")
    staff, found = Staff(database, bench), await looked(bench)
    replayer = Replayer(await under(bench, cut_over=date(2026, 6, 1)))
    decide(database, bench, found)
    (project,) = bench.erp.of(Kind.PROJECT)
    bench.erp.hold(replace(project, active=False))
    _, _, stops = await previewed(bench, staff, replayer)
    assert stops == ["adoption_ambiguous"]


@pytest.mark.parametrize("key", ["relabel project", "relabel milestone"])
async def test_a_replay_goes_on_where_the_answer_to_a_key_was_lost(bench: Bench, database: sa.Engine, key: str) -> None:
    await running_firm(bench, "C-1")
    staff, found = Staff(database, bench), await looked(bench)
    replayer = Replayer(await under(bench, cut_over=date(2026, 6, 1)))
    decide(database, bench, found)
    replay_id, _, _ = await previewed(bench, staff, replayer)
    staff.confirm(replay_id)
    lost: list[str] = []

    def unanswered(operation: str, _ctx: CallContext) -> ErpAmbiguous | None:
        if operation != key or lost:
            return None
        lost.append(operation)
        return ErpAmbiguous("cloud", "no answer")

    bench.erp.after = unanswered
    await replayer.dispatcher.tick()
    for _ in range(3):
        await settle(bench, replayer, rounds=3)
        bench.virtual.advance(timedelta(minutes=3))
    assert lost == [key]
    assert staff.ends(replay_id) == {"C-1": "verified"}
    assert (await bench.states(), bench.erp.creates) == ({"C-1": "active"}, Counter())
    unknown = "SELECT 'relabel ' || kind, status, error_class FROM core.operation WHERE action = 'adopt'"
    assert await bench.rows(f"{unknown} AND status <> 'done'") == [(key, "failed", "ambiguous")]


async def test_a_replay_says_what_stops_a_contract_that_got_its_keys(bench: Bench, database: sa.Engine) -> None:
    await running_firm(bench, "C-1")
    (project,) = bench.erp.of(Kind.PROJECT)
    bench.erp.hold(replace(project, fields={**project.fields, "payment_terms": "NET60"}))
    staff, found = Staff(database, bench), await looked(bench)
    replayer = Replayer(await under(bench, cut_over=date(2026, 6, 1)))
    decide(database, bench, found)
    replay_id, _, _ = await previewed(bench, staff, replayer)
    staff.confirm(replay_id)
    bench.erp.tax_codes.clear()
    await replayer.dispatcher.tick()
    await replayer.drain()
    ((state, words),) = staff.items(replay_id).values()
    assert (state, "tax" in words) == ("failed", True), words
    assert await bench.states() == {"C-1": "blocked"}
    assert [(str(held.key), held.fields["payment_terms"]) for held in bench.erp.of(Kind.PROJECT)] == [
        ("clm/C-1", "NET60")
    ]
