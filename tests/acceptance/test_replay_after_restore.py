"""An ERP is restored from a backup and has lost what came since. A replay brings it back, however workers end.

Two real workers are killed and stopped while they preview and while they replay. The ERP knows no unique key, gives
the numbers of what it lost to other records, is slow, and sometimes obeys without answering.
"""

import random
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from sync_core.authority import person
from sync_core.clock import SystemClock
from sync_core.commands.commands import Commands
from sync_core.commands.replays import Missed, Selection
from sync_core.estate.estate import load
from tests.acceptance.cloud_firm import Cloud, deliver, doubles, expected, open_house, sow, terms_of
from tests.acceptance.consistency import journal_agrees_with
from tests.acceptance.harm import ReplayCrew
from tests.acceptance.processes import House

KEPT, LOST, CUSTOMERS = 12, 36, 12
ADA = person("ada@example.com", ["operator"])
BEN = person("ben@example.com", ["approver"])
_PREVIEWED = "SELECT count(*) FROM core.replay_item WHERE preview <> 'pending'"
_ENDED = "SELECT count(*) FROM core.replay_item WHERE state <> 'pending'"
_BY_STATE = "SELECT state, count(*) FROM core.replay_item WHERE replay_id = %s GROUP BY 1"
SEEDS = range(1, 8)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", SEEDS)
def test_what_a_restored_erp_lost_is_back_once_however_workers_end(house: House, tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    terms = [terms_of(number, customers=CUSTOMERS) for number in range(KEPT + LOST)]
    cloud = open_house(house)
    api = house.api()
    workers = house.workers(2)
    _sign(house, api, terms, range(KEPT))
    backup, since = tmp_path / "backup.jsonl", datetime.now(UTC)
    shutil.copy(tmp_path / "erp.jsonl", backup)
    _sign(house, api, terms, range(KEPT, KEPT + LOST))
    house.until("crosswalk rows are old enough to be doubted", lambda: _a_minute_old(house), within_s=90)
    cloud.kill()
    shutil.copy(backup, tmp_path / "erp.jsonl")
    cloud.start_again()
    assert len([key for kind, key in cloud.held() if kind == "project"]) == KEPT
    cloud.fault("reset", "write", probability=0.05, after_commit=True)
    cloud.fault("latency", "write", probability=0.2, seconds=1.4)

    commands = _commands(house)
    made = commands.replays.preview(ADA, Selection(missed=Missed("cloud", since)), title="restored")
    assert made.items >= LOST
    workers[0].kill()
    workers[0] = house.worker()
    house.until("all is previewed", lambda: house.number(_PREVIEWED) == made.items, within_s=90)
    house.until("people can see it", lambda: _state(house, made.replay_id) == "previewed")
    confirmed = commands.replays.confirm(
        ADA, made.replay_id, reason="restored from last night", ticket="INC-1", per_minute=240
    )
    assert confirmed.state == "awaiting_approval", "the money of all that was lost asks for a second person"
    commands.replays.approve(BEN, made.replay_id, reason="I saw the restore")
    crew = ReplayCrew(house, workers, dice, lambda: house.number(_ENDED))
    for blow in range(4):
        crew.suffer(at=dice.randrange(1, 6) + 7 * blow, kill=blow % 2 == 0)
    assert crew.harmed > 1
    house.until("it is over", lambda: _state(house, made.replay_id) == "finished", within_s=180)
    _all_is_back(house, cloud, made.replay_id, made.items, terms)


def _sign(house: House, api: str, terms: list[dict[str, object]], numbers: range) -> None:
    sows = [sow(f"C-{number:03d}", terms[number]) for number in numbers]
    assert deliver(api, *sows, batched=True).status_code == 202
    house.until("all are active", lambda: house.all_are("active", numbers.stop), within_s=120)


def _a_minute_old(house: House) -> bool:
    fresh = "SELECT count(*) FROM core.crosswalk WHERE confirmed_at > now() - interval '61 s'"
    return house.number(fresh) == 0


def _commands(house: House) -> Commands:
    engine = sa.create_engine(house.urls.app, poolclass=sa.NullPool)
    return Commands(engine, clock=SystemClock(), estate=load(house.estate.read_text()))


def _state(house: House, replay_id: int) -> str:
    return str(house.rows("SELECT state FROM core.replay WHERE replay_id = %s", replay_id)[0][0])


def _all_is_back(house: House, cloud: Cloud, replay_id: int, items: int, terms: list[dict[str, object]]) -> None:
    assert house.rows(_BY_STATE, replay_id) == [("verified", items)], house.rows(
        "SELECT state, skip, words FROM core.replay_item WHERE state <> 'verified'"
    )
    house.until("nothing is unsettled", lambda: house.all_are("active", len(terms)), within_s=60)
    held = cloud.held()
    assert doubles(held) == {}
    assert {kind: sum(k == kind for k, _ in held) for kind, _ in held} == expected(terms)
    assert cloud.not_billable() == []
    journal_agrees_with(house, held)
