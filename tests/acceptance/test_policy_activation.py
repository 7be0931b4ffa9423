"""A policy that people activate while everything runs: processes end for it, begin again under it, and obey it."""

import httpx
import sqlalchemy as sa

from app.cli.refusals import Exit
from sync_core.clock import SystemClock
from sync_core.estate.estate import load
from tests.acceptance.cloud_firm import deliver, open_house, sow
from tests.acceptance.processes import House
from tests.commands.people import ADMINISTRATOR, APPROVER, commands
from tests.sows import milestone_terms

RULE = '[[mandatory]]\nname = "Orders"\nfields = ["po_number"]\n'


def _terms() -> dict[str, object]:
    return milestone_terms(po_number=None)


def test_running_processes_begin_again_under_a_policy_that_was_activated(house: House) -> None:
    open_house(house)
    api = house.api()
    worker = house.worker()
    assert deliver(api, *(sow(f"C-{n}", _terms()) for n in range(12)), batched=True).status_code == 202
    house.until("all are active", lambda: house.all_are("active", 12))
    engine = sa.create_engine(house.urls.app)
    desk = commands(engine, clock=SystemClock(), estate=load(house.estate.read_text())).policies
    made = desk.propose(ADMINISTRATOR, RULE, "the auditors ask for it")
    assert (made.state, made.tested) == ("proposed", 12), "they stand, however long ago they were signed"
    desk.approve(APPROVER, made.proposal_id, "so be it")
    engine.dispose()
    assert worker.ends() == Exit.BEGIN_AGAIN
    assert house.processes[1].ends() == Exit.BEGIN_AGAIN
    house.worker()
    api = house.api()
    assert deliver(api, sow("C-99", _terms())).status_code == 202
    house.until("it lacks its order", lambda: house.states().get("C-99") == "blocked")
    assert house.rows("SELECT DISTINCT policy FROM core.run AS r JOIN core.contract USING (contract_id) "
                      "WHERE external_id = 'C-99'") == [(made.version,)]  # fmt: skip
    told = house.ask("policy", "history")
    assert "the auditors ask for it" in told
    assert httpx.get(f"{api}/healthz", trust_env=False).status_code == 200
