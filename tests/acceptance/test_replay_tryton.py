"""A real Tryton lost some of what it held, Tieline forgot some, and the rest was never finished. A replay mends it.

Tryton knows neither unique keys nor idempotency keys. Workers are killed while they provision, while they preview and
while they replay, and one stands still beyond its lease. What Tryton holds in the end is what its administrator sees.
"""

import json
import random
import uuid
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.sandbox.tryton_rpc import Row
from sync_core.desired import Kind
from tests.acceptance.cloud_firm import WEBHOOK_SECRET, deliver, sow
from tests.acceptance.consistency import journal_is_sound
from tests.acceptance.harm import ReplayCrew
from tests.acceptance.processes import House
from tests.acceptance.replay_looks import Looks
from tests.acceptance.tryton_house import estate
from tests.acceptance.tryton_loss import CUSTOMERS, LATE, LOST, MAIMED, SIGNED, forget, held, lose, terms, works
from tests.databases import DatabaseUrls
from tests.tryton_bookkeeper import Bookkeeper
from tests.tryton_server import RunningTryton

pytestmark = [pytest.mark.long, pytest.mark.timeout(600), pytest.mark.xdist_group("tryton")]

LEASE_S, SETTLE_S = 20.0, 6.0  # none of Tryton's requests takes as long, even on a busy machine
_WRITES = "SELECT count(*) FROM core.operation WHERE status IN ('done', 'failed')"
_PREVIEWING = """
    SELECT count(*) FROM core.replay_item AS i JOIN core.worker AS w ON w.worker_id = i.preview_worker
    WHERE i.preview = 'pending' AND w.name LIKE %s
"""
_ENDED = "SELECT count(*) FROM core.replay_item WHERE state <> 'pending'"
_STATE = "SELECT count(*) FROM core.replay WHERE replay_id = %s AND state = %s"
_ITEMS = """
    SELECT right(c.external_id, 2), i.state, i.skip, i.words, i.creates + i.updates + i.activates + i.closes
    FROM core.replay_item AS i JOIN core.contract AS c USING (contract_id) WHERE i.replay_id = %s
"""


def test_a_replay_brings_tryton_back_once_however_workers_end(
    tmp_path: Path, database_urls: DatabaseUrls, tryton: RunningTryton
) -> None:
    run, began = f"P-{uuid.uuid4().hex[:6]}", datetime.now(UTC)
    with tryton.server.books() as books:
        books.fill(datetime.now(UTC).date())
    secrets = {"FIRM_WEBHOOK": WEBHOOK_SECRET, "FIRM_ERP": tryton.endpoint.password}
    with House(tmp_path, database_urls, secrets, lease_s=LEASE_S) as house, Bookkeeper(tryton.endpoint) as finance:
        house.estate.write_text(
            estate(tryton.endpoint, new_entity=f"LE-{run}", create_customers=True, settle_s=SETTLE_S)
        )
        _provision(house, finance, run)
        stood = held(finance, run)
        lose(finance, run)
        forget(house, run)

        with Looks(house) as looks:
            first = _preview(house, began)
            crew = ReplayCrew(house, house.workers(2), random.Random(1), lambda: house.number(_ENDED))
            house.until("it previews", lambda: house.number(_PREVIEWING, f"%:{crew.workers[0].pid}") > 0)
            crew.workers[0].kill()
            crew.workers[0] = house.worker()
            _confirm(house, first)
            for at, kill in ((2, True), (7, True), (11, False)):
                crew.suffer(at=at, kill=kill)
            assert crew.harmed > 1
            house.until("it is over", lambda: house.number(_STATE, first, "finished") == 1, within_s=180)
            house.until("all are active", lambda: house.all_are("active", LATE.stop), within_s=90)
            _ended_well(house, first)
            mended, writes = held(finance, run), house.number(_WRITES)
            _each_is_there_once(house, finance, run, mended, stood)

            second = _preview(house, began)
            _confirm(house, second)
            crew.suffer(at=LATE.stop + 3, kill=True)
            house.until("that is over too", lambda: house.number(_STATE, second, "finished") == 1, within_s=120)
            house.ask("replay", "watch", str(second))  # fails unless all are verified
        assert {item[1:] for item in house.rows(_ITEMS, second)} == {("verified", "", "", 0)}
        assert (held(finance, run), house.number(_WRITES)) == (mended, writes)
        assert (looks.wrong, looks.seen) == ([], {first, second})
        journal_is_sound(house)


def _provision(house: House, finance: Bookkeeper, run: str) -> None:
    """Sixteen in full; of eight more, what Tryton held when both workers were killed."""
    api, workers = house.api(), house.workers(2)
    sows = [sow(f"{run}-{n:02d}", terms(run, n)) for n in range(LATE.stop)]
    assert deliver(api, *sows[: SIGNED.stop], batched=True).status_code == 202
    house.until("all are active", lambda: house.all_are("active", SIGNED.stop), within_s=120)
    before = len(works(finance, run))
    assert deliver(api, *sows[SIGNED.stop :], batched=True).status_code == 202
    house.until("Tryton holds some of it", lambda: len(works(finance, run)) > before + 3)
    for worker in workers:
        worker.kill()
    assert list(house.states().values()).count("waiting") > 1


def _preview(house: House, since: datetime) -> int:
    asked = house.ask("replay", "preview", "--missed", "tryton", "--since", since.isoformat(), "--json")
    made = json.loads(asked)
    assert (made["items"], made["to_preview"]) == (LATE.stop, LATE.stop)
    return int(made["replay_id"])


def _confirm(house: House, replay: int) -> None:
    house.until("all is previewed", lambda: house.number(_STATE, replay, "previewed") == 1, within_s=90)
    why = ("--reason", "restored from a backup", "--ticket", "INC-1")
    house.ask("replay", "confirm", str(replay), *why, "--per-minute", "120")
    assert house.number(_STATE, replay, "running") == 1, "below the thresholds one person is enough"


def _ended_well(house: House, replay: int) -> None:
    """What nobody but the replay could mend is verified; the rest, unless it was finished before its turn."""
    for number, state, skip, words, writes in house.rows(_ITEMS, replay):
        if int(str(number)) in LATE and state == "skipped":
            assert skip == "changed", words
            assert str(words).startswith("changed: "), words
        else:
            assert (state, skip) == ("verified", ""), (number, state, skip, words)
        if int(str(number)) in SIGNED:
            assert bool(writes) == (int(str(number)) in LOST + MAIMED), number


def _each_is_there_once(
    house: House, finance: Bookkeeper, run: str, now: dict[str, list[Row]], stood: dict[str, list[Row]]
) -> None:
    assert {mark: len(rows) for mark, rows in now.items() if len(rows) > 1} == {}
    for n in range(CUSTOMERS):
        assert finance.count(Kind.CUSTOMER, f"CUST-{run}-{n}") == 1
    for code in ("SR-CONSULTANT", "CONSULTANT"):
        assert finance.count(Kind.LABOUR_CATEGORY, code) == 1
    refs = {str(name): ref for name, ref in house.rows("SELECT external_id, project_ref FROM core.contract")}
    for n in range(LATE.stop):
        name = f"{run}-{n:02d}"
        (project,) = finance.works(f"clm/{name}", "project_invoice_method")
        parts = [len(finance.tasks(f"clm/{name}", letter)) for letter in "LMR"]
        assert parts == ([1, 2, 0] if n % 2 else [1, 0, 2]), name
        assert project["project_invoice_method"] != "manual", name
        assert str(project["id"]) == refs[name], name
        rows = [row for mark, found in now.items() if mark.startswith(name) for row in found]
        assert {row["parent"] for row in rows} <= {None, *(row["id"] for row in rows)}, name
        if n in SIGNED and n not in LOST + MAIMED:
            assert {m: r for m, r in now.items() if m.startswith(name)} == {
                m: r for m, r in stood.items() if m.startswith(name)
            }, "what stood was not written"
