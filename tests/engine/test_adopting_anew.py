"""Adoptions that are overtaken before a worker carries them out: by another decision, or by what happens in the ERP."""

from collections import Counter
from dataclasses import replace
from datetime import date, timedelta

import pytest
import sqlalchemy as sa

from sync_core.commands.adoptions import Adopting
from sync_core.commands.desk import NotFound
from sync_core.desired import Kind
from sync_core.estate.estate import ErpMode
from sync_core.moving.adoption import Result
from sync_core.ports import CallContext
from tests.engine.support import Bench
from tests.engine.test_adopting import bench as bench
from tests.engine.test_adopting import decide, looked, running_firm, under


async def test_a_project_that_is_closed_between_the_decision_and_its_turn_is_not_made_a_second_time(
    bench: Bench, database: sa.Engine
) -> None:
    await running_firm(bench, "C-1")
    await (await under(bench, mode=ErpMode.OBSERVE)).drain()
    decide(database, bench, await looked(bench))
    held = list(bench.erp.objects.values())
    for found in held:
        if not found.kind.shared:
            bench.erp.hold(replace(found, active=False))
    worker = await under(bench, mode=ErpMode.WRITE)
    for _ in range(3):
        bench.virtual.advance(timedelta(days=2))
        await worker.drain()
    assert bench.erp.creates == Counter()
    assert await bench.states() == {"C-1": "blocked"}
    ((cause, message),) = await bench.rows("SELECT cause, message FROM core.case WHERE state = 'open'")
    assert cause == "adoption_ambiguous"
    assert str(message).endswith("is not open any more; open it there again, or adopt another one")
    for found in bench.erp.objects.values():
        bench.erp.hold(replace(found, active=True))
    bench.virtual.advance(timedelta(days=2))
    await worker.drain()
    assert await bench.states() == {"C-1": "active"}
    assert bench.erp.creates == Counter()
    assert await bench.rows("SELECT state FROM core.case") == [("resolved",)]
    assert await bench.rows("SELECT count(*) FROM core.adoption WHERE taken_at IS NULL") == [(0,)]


async def test_a_wrong_decision_is_taken_back_by_another_one_before_it_is_carried_out(
    bench: Bench, database: sa.Engine
) -> None:
    await running_firm(bench, "C-1", "C-2")
    await (await under(bench, mode=ErpMode.OBSERVE)).drain()
    right = await looked(bench)
    refs = {one.name: str(one.objects[0].ref) for one in right}
    slipped = await looked(bench, {"C-1": refs["C-2"], "C-2": refs["C-1"]})  # the list has them exchanged
    assert decide(database, bench, slipped) == Adopting(2, 0, 0)
    known = (
        "SELECT c.external_id, x.ref FROM core.crosswalk AS x JOIN core.contract AS c USING (contract_id)"
        " WHERE x.kind = 'project' AND x.state = 'confirmed' ORDER BY 1"
    )
    assert await bench.rows(known) == [("C-1", refs["C-2"]), ("C-2", refs["C-1"])]
    again = await looked(bench, refs)
    assert [(one.name, one.objects[0].ref) for one in again] == sorted(refs.items())
    assert decide(database, bench, again) == Adopting(2, 0, 0)
    assert await bench.rows(known) == sorted(refs.items())
    bench.virtual.advance(timedelta(days=2))
    await (await under(bench, mode=ErpMode.WRITE)).drain()
    assert await bench.states() == {"C-1": "active", "C-2": "active"}
    assert bench.erp.creates == Counter()
    assert {str(f.key): str(f.ref) for f in bench.erp.of(Kind.PROJECT)} == {f"clm/{n}": ref for n, ref in refs.items()}
    with pytest.raises(NotFound, match="all of them have their projects"):
        decide(database, bench, slipped)


async def test_what_was_decided_anew_while_a_worker_was_at_it_is_still_to_be_carried_out(
    bench: Bench, database: sa.Engine
) -> None:
    await running_firm(bench, "C-1")
    worker = await under(bench, cut_over=date(2026, 6, 1))
    found = await looked(bench)
    decide(database, bench, found)
    anew: list[Adopting] = []

    def meanwhile(operation: str, _ctx: CallContext) -> None:
        if operation == "relabel milestone" and not anew:
            bench.virtual.advance(timedelta(seconds=1))
            anew.append(decide(database, bench, [replace(one, result=Result.UNMATCHED, objects=()) for one in found]))

    bench.erp.before = meanwhile
    await worker.drain()
    assert anew == [Adopting(0, 1, 0)]
    assert await bench.rows("SELECT result, taken_at IS NULL FROM core.adoption") == [("unmatched", True)]


async def test_a_contract_with_another_project_is_at_rest_once_the_adopted_one_is_closed(
    bench: Bench, database: sa.Engine
) -> None:
    await running_firm(bench, "C-1")
    found = await looked(bench)
    await (await under(bench)).drain()
    async with bench.engine.begin() as conn:
        await conn.execute(sa.text("UPDATE core.crosswalk SET state = 'creating' WHERE business_key = 'clm/C-1'"))
    decide(database, bench, found)
    worker = await under(bench)
    await worker.drain()
    assert await bench.rows("SELECT cause, state FROM core.case") == [("adoption_ambiguous", "open")]
    old = found[0].objects[0].ref
    for held in list(bench.erp.objects.values()):
        if old in (held.ref, held.parent):
            bench.erp.hold(replace(held, active=False))
    bench.virtual.advance(timedelta(days=2))
    await worker.drain()
    assert await bench.rows("SELECT cause, state FROM core.case") == [("adoption_ambiguous", "resolved")]
    assert await bench.rows("SELECT count(*) FROM core.adoption WHERE taken_at IS NULL") == [(0,)]
