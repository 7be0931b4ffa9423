"""The watch over the CLM: what it says otherwise than its events, what has not come, and what was not told to it."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.authority import person
from sync_core.commands.desk import CommandRefused
from sync_core.engine.claim import load
from sync_core.errors import ClmError
from sync_core.intake.fetching import ClmContract, fields_of
from sync_core.keys import ContractId, ExternalId
from sync_core.ports import PolledPage, WriteBack
from tests.engine.governed import Desk
from tests.folds import fold
from tests.sows import SOURCE, cloud_event, milestone_terms, signed
from tests.watch.drifting import ADA, found, look


class MemoryClm:
    """A CLM that can be asked for one contract."""

    name, source = "clm", SOURCE

    def __init__(self) -> None:
        self.held: dict[str, ClmContract] = {}
        self.down = False

    async def poll(self, watermark: str | None) -> PolledPage:
        return PolledPage((), watermark or "", more=False)

    async def write_back(self, items: Sequence[WriteBack]) -> None:
        return

    async def aclose(self) -> None:
        return

    async def fetch(self, external_id: str) -> ClmContract | None:
        if self.down:
            raise ClmError(self.source, "no answer")
        return self.held.get(external_id)


async def of_clm(desk: Desk, name: str, **changes: object) -> MemoryClm:
    """A CLM that holds what its events said, and of one contract something else."""
    clm = MemoryClm()
    worker = desk._worker
    assert worker is not None
    async with desk.engine.begin() as conn:
        rows = await conn.execute(sa.text("SELECT contract_id, external_id, state, project_ref FROM core.contract"))
        for row in rows.all():
            known = (await load(conn, [ContractId(row.contract_id)]))[ContractId(row.contract_id)]
            contract = fold(known.events)
            clm.held[row.external_id] = ClmContract(
                ExternalId(row.external_id), contract.revision, fields_of(contract), row.state, row.project_ref
            )
        await conn.execute(sa.text("UPDATE core.contract SET writeback_at = NULL"))
    held = clm.held[name]
    fields = {**held.fields, **{key: str(value) for key, value in changes.items() if key not in ("revision", "status")}}
    clm.held[name] = replace(
        held, fields=fields, revision=int(str(changes.get("revision", held.revision))),
        status=str(changes.get("status", held.status)),
    )  # fmt: skip
    return clm


async def test_a_clm_that_says_otherwise_than_its_events_is_for_legal_until_it_does_not(desk: Desk) -> None:
    clm = await of_clm(desk, "A-1", value="26000")
    await look(desk, clm=clm)
    assert found(desk) == [("A-1", "contract", "value", "25000", "26000", "owner")]
    await desk.run()
    assert await desk.cases() == [("clm_differs", "legal", "open")]
    assert (await desk.states())["A-1"] == "active", "it holds up nothing"
    await look(desk, clm=await of_clm(desk, "A-1"))
    assert found(desk) == []
    await desk.run()
    assert await desk.cases() == [("clm_differs", "legal", "resolved")]


async def test_a_revision_that_has_not_come_and_a_status_that_was_not_told(desk: Desk) -> None:
    await look(desk, clm=await of_clm(desk, "A-1", revision=4))
    assert found(desk) == [("A-1", "contract", "revision", "1", "4", "ours")]
    await look(desk, clm=await of_clm(desk, "A-1", status="waiting"))
    assert found(desk) == [("A-1", "contract", "status", "active", "waiting", "ours")]
    [[due]] = await desk.rows("SELECT writeback_at FROM core.contract WHERE external_id = 'A-1'")
    assert due == desk.clock.now(), "it is told again"
    with pytest.raises(CommandRefused):
        desk.people.drift.repair(ADA)


async def test_a_contract_that_its_clm_does_not_know_and_a_clm_that_is_down(desk: Desk) -> None:
    clm = await of_clm(desk, "A-1")
    del clm.held["A-1"]
    await look(desk, clm=clm)
    assert found(desk) == [("A-1", "contract", "", "there", None, "owner")]
    await desk.run()
    clm.down = True
    await look(desk, clm=clm)
    assert found(desk) != [], "what could not be read closes nothing"
    assert desk.reads.drift_watch().unread == 2


async def test_a_correction_made_here_is_allowed_until_the_clm_publishes_again(
    async_database: AsyncEngine, database: sa.Engine
) -> None:
    desk = Desk(async_database, sync=database)
    await desk.arrive(cloud_event("a", "signed.v1", signed("A-1", milestone_terms(tax={}))))
    await desk.run()
    case = await desk.case_id("tax_code_missing")
    desk.people.corrections.submit(
        person("tax@example.com", ["operator:tax"]), case, {"tax": {"tax_code": "US-CA-STD"}}, reason="the usual code"
    )
    await desk.run()
    assert await desk.states() == {"A-1": "active"}
    clm = await of_clm(desk, "A-1")
    bare = {name: value for name, value in clm.held["A-1"].fields.items() if name != "tax code"}
    assert len(bare) == len(clm.held["A-1"].fields) - 1
    clm.held["A-1"] = replace(clm.held["A-1"], fields=bare, revision=1)
    await look(desk, clm=clm)
    assert found(desk) == [("A-1", "contract", "tax code", "US-CA-STD", None, "allowed")]
