"""Workers are killed and stopped in the middle of their work, webhooks get lost and doubled; nothing is made twice.

Harm comes after a number of writes drawn from a seed, so that a run can be repeated as far as processes allow it.
The ERP knows no unique key, is slow, and sometimes obeys without answering.
"""

import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.sandbox.clm.app import SOURCE
from tests.acceptance import sandbox_clm
from tests.acceptance.cloud_firm import Cloud, deliver, doubles, expected, open_house, terms_of
from tests.acceptance.consistency import journal_agrees_with
from tests.acceptance.harm import Crew
from tests.acceptance.processes import House
from tests.acceptance.sandbox_clm import Clm

CONTRACTS, CUSTOMERS = 60, 20
LATEST = 30  # write of a wave at which harm comes at the latest
WRITES = 3  # that each contract of a wave makes for certain: project, parts, activation
SEEDS = [(1, 3), *(pytest.param(seed, 8, marks=pytest.mark.long) for seed in range(2, 10))]


@pytest.mark.parametrize(("seed", "waves"), SEEDS)
def test_nothing_is_lost_or_doubled_however_workers_end(house: House, tmp_path: Path, seed: int, waves: int) -> None:
    dice = random.Random(seed)
    terms = [terms_of(number, customers=CUSTOMERS) for number in range(CONTRACTS)]
    with sandbox_clm.running(tmp_path) as clm:
        cloud = open_house(house, source=SOURCE, clm_url=clm.url)
        cloud.fault("reset", "write", probability=0.03, after_commit=True)
        cloud.fault("latency", "write", probability=0.2, seconds=1.4)  # lands long after its sender was killed
        api = house.api()
        clm.sign(name_of(0), terms[0])
        _eight_deliveries_race(house, api, clm.events()[0])
        clm.push_to(api)
        clm.faults(drop=0.2, duplicate=0.3, delay=0.1, reorder=0.1, longest_delay_s=5)
        crew = Crew(house, house.workers(2), dice, lambda: len(cloud.writes()))
        latest = min(LATEST, WRITES * (CONTRACTS // waves))
        for wave in range(waves):
            begun = len(cloud.writes())
            for number in range(1 + wave, CONTRACTS, waves):
                clm.sign(name_of(number), terms[number])
            crew.suffer(at=begun + dice.randrange(1, latest), kill=wave % 2 == 0)
        assert crew.harmed > waves // 2
        house.until("all are active", lambda: house.all_are("active", CONTRACTS), within_s=120)
        house.until("the CLM knows", lambda: house.number("SELECT count(writeback_at) FROM core.contract") == 0)
        _stands_once(house, cloud, clm, terms)


def name_of(number: int) -> str:
    return f"C-{number:03d}"


def _eight_deliveries_race(house: House, api: str, event: dict[str, object]) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: deliver(api, event), range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [202]
    said = sorted(answer.json()["receipts"][0]["status"] for answer in answers)
    assert said == ["accepted", *["duplicate"] * 7]
    assert house.rows("SELECT wanted_rev FROM core.contract") == [(1,)]


def _stands_once(house: House, cloud: Cloud, clm: Clm, terms: list[dict[str, object]]) -> None:
    held = cloud.held()
    assert doubles(held) == {}
    assert {kind: sum(k == kind for k, _ in held) for kind, _ in held} == expected(terms)
    assert cloud.not_billable() == []
    journal_agrees_with(house, held)
    projects = {name_of(n): held["project", f"clm/{name_of(n)}"][0] for n in range(len(terms))}
    assert clm.told() == {name: ("active", ref) for name, ref in projects.items()}
