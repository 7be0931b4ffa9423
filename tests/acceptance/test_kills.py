"""Workers are killed and stopped in the middle of their work, webhooks get lost and doubled; nothing is made twice.

Harm comes after a number of writes drawn from a seed, so that a run can be repeated as far as processes allow it.
The ERP knows no unique key, answers late, and sometimes obeys without answering.
"""

import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from app.sandbox.clm.app import SOURCE
from tests.acceptance.cloud_firm import (
    WEBHOOK_SECRET,
    Cloud,
    deliver,
    doubles,
    expected,
    open_house,
    terms_of,
)
from tests.acceptance.consistency import journal_agrees_with
from tests.acceptance.processes import House, Process
from tests.sandbox.clm_process import TOKEN, running_clm
from tests.sows import SIGNED_AT

CONTRACTS, CUSTOMERS, HARMS = 60, 6, 6
FIRST_WRITES, LAST_WRITES = 5, 170  # of about 260


class Clm:
    """The sandbox CLM over its REST interface."""

    def __init__(self, url: str) -> None:
        self.client = httpx.Client(base_url=url, headers={"authorization": f"Bearer {TOKEN}"}, trust_env=False)

    def sign(self, contract: str, terms: dict[str, object]) -> None:
        change = {
            "contract_id": contract,
            "kind": "signed",
            "body": {"signed_at": SIGNED_AT.isoformat(), "terms": terms},
        }
        self.client.post("/sandbox/changes", json=change).raise_for_status()

    def faults(self, **rates: object) -> None:
        self.client.put("/sandbox/faults", json=rates).raise_for_status()

    def push_to(self, api: str) -> None:
        hook = {"url": f"{api}/v1/events", "secret": WEBHOOK_SECRET}
        self.client.put("/sandbox/webhook", json=hook).raise_for_status()

    def events(self) -> list[dict[str, object]]:
        found: list[dict[str, object]] = self.client.get("/api/events").json()["events"]
        return found

    def told(self) -> dict[str, dict[str, object] | None]:
        listed = self.client.get("/api/contracts", params={"limit": 500}).json()["contracts"]
        return {item["contract_id"]: item["integration"] for item in listed}


@pytest.mark.parametrize("seed", [1, *(pytest.param(n, marks=pytest.mark.long) for n in range(2, 12))])
def test_nothing_is_lost_or_doubled_however_workers_end(house: House, tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    with running_clm(tmp_path / "clm.jsonl") as process:
        cloud = open_house(house, source=SOURCE, clm_url=process.url)
        clm, api = Clm(process.url), house.api()
        with clm.client:
            cloud.fault("reset", "write", probability=0.03, after_commit=True)
            cloud.fault("latency", probability=0.3, seconds=0.7)
            terms = [terms_of(number, customers=CUSTOMERS) for number in range(CONTRACTS)]
            clm.sign("C-000", terms[0])
            _eight_deliveries_race(house, api, clm.events()[0])

            clm.push_to(api)
            clm.faults(drop=0.2, duplicate=0.3, delay=0.1, reorder=0.1, longest_delay_s=5)
            for number, each in list(enumerate(terms))[1:]:
                clm.sign(f"C-{number:03d}", each)
            _harm(house, cloud, house.workers(2), dice)
            import time; t0=time.monotonic()
            seen=[0.0]
            def look():
                if time.monotonic()-seen[0]>4:
                    seen[0]=time.monotonic()
                    print("LOOK", round(time.monotonic()-t0,1), house.rows("SELECT external_id,state,attempt,(due_at-now())::text,lease_owner,(lease_until-now())::text,(unclean_at-now())::text,left(last_error,90) FROM core.contract WHERE state<>'active' or unclean_at is not null or lease_owner is not null limit 6"), house.rows("select * from core.lane_slot"), house.rows("select lane,breaker,reason,(probe_at-now())::text from core.lane"), house.rows("select * from core.worker"))
                return house.all_are("active", CONTRACTS)
            house.until("all are active", look, within_s=120)
            house.until("the CLM knows", lambda: house.number("SELECT count(writeback_at) FROM core.contract") == 0)

            print("DIAG", time.monotonic()-t0, house.rows("SELECT external_id, count(*), max(attempt), array_agg(outcome||':'||coalesce(error_class,'')||':'||coalesce(left(r.error,50),'')||r.started_at::time::text ORDER BY r.started_at) FROM core.run r JOIN core.contract USING (contract_id) GROUP BY 1 ORDER BY max(r.recorded_at) DESC LIMIT 3"), house.rows("SELECT outcome, error_class, count(*) FROM core.run GROUP BY 1,2"), house.rows("SELECT action,status,count(*) FROM core.operation GROUP BY 1,2 ORDER BY 1,2"), len(cloud.writes()), house.rows("SELECT max(lease_token), sum(lease_token), (select count(*) from core.run) FROM core.contract"), house.rows("select now()-min(recorded_at) from core.event"))
            held = cloud.held()
            assert doubles(held) == {}
            assert {kind: sum(k == kind for k, _ in held) for kind, _ in held} == expected(terms)
            assert cloud.not_billable() == []
            journal_agrees_with(house, held)
            projects = {f"C-{n:03d}": held["project", f"clm/C-{n:03d}"][0] for n in range(CONTRACTS)}
            told = {name: (status or {}) for name, status in clm.told().items()}
            assert {name: (status["status"], status["project_ref"]) for name, status in told.items()} == {
                name: ("active", ref) for name, ref in projects.items()
            }


def _eight_deliveries_race(house: House, api: str, event: dict[str, object]) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: deliver(api, event), range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [202]
    said = sorted(answer.json()["receipts"][0]["status"] for answer in answers)
    assert said == ["accepted", *["duplicate"] * 7]
    assert house.rows("SELECT wanted_rev FROM core.contract") == [(1,)]


def _harm(house: House, cloud: Cloud, workers: list[Process], dice: random.Random) -> None:
    """By turns kill -9 with a new worker in its place, and a pause beyond the lease."""
    moments = sorted(dice.sample(range(FIRST_WRITES, LAST_WRITES), HARMS))
    for turn, writes in enumerate(moments):
        _after(house, cloud, writes)
        place = dice.randrange(len(workers))
        house.until("it works", lambda: _in_hand(house, workers[place]) > 0 or _all_active(house), within_s=30)
        if turn % 2 == 0:
            workers[place].kill()
            workers[place] = house.worker()
        else:
            workers[place].pause()
            house.until("its contracts are taken from it", lambda: _in_hand(house, workers[place]) == 0, within_s=30)
            _after(house, cloud, writes + 5)
            workers[place].go_on()


def _after(house: House, cloud: Cloud, writes: int) -> None:
    house.until(f"{writes} writes", lambda: len(cloud.writes()) >= writes or _all_active(house))


def _all_active(house: House) -> bool:
    return house.all_are("active", CONTRACTS)


def _in_hand(house: House, worker: Process) -> int:
    return house.number(
        "SELECT count(*) FROM core.contract WHERE lease_owner IN"
        " (SELECT worker_id FROM core.worker WHERE name LIKE %s)",
        f"%:{worker.pid}",
    )
