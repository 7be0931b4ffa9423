"""The same harm with a real Tryton, which knows neither unique keys nor idempotency keys."""

import random
import uuid
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sync_core.desired import Kind
from tests.acceptance.cloud_firm import WEBHOOK_SECRET, deliver, sow
from tests.acceptance.consistency import journal_is_sound
from tests.acceptance.harm import Crew
from tests.acceptance.processes import House
from tests.acceptance.tryton_house import by_the_hour, estate, fixed_fee
from tests.databases import DatabaseUrls
from tests.tryton_bookkeeper import Bookkeeper
from tests.tryton_server import RunningTryton

pytestmark = [pytest.mark.long, pytest.mark.timeout(600), pytest.mark.xdist_group("tryton")]

CONTRACTS, CUSTOMERS, WAVES = 24, 8, 4
LEASE_S, SETTLE_S = 20.0, 6.0  # none of its requests takes as long, even on a busy machine
_WORK = "SELECT count(*) FROM core.operation WHERE status = 'done'"


@pytest.mark.parametrize("seed", [1, 2])
def test_tryton_holds_every_object_once_however_workers_end(
    tmp_path: Path, database_urls: DatabaseUrls, tryton: RunningTryton, seed: int
) -> None:
    run, dice = f"K-{uuid.uuid4().hex[:6]}", random.Random(seed)
    with tryton.server.books() as books:
        books.fill(datetime.now(UTC).date())
    secrets = {"FIRM_WEBHOOK": WEBHOOK_SECRET, "FIRM_ERP": tryton.endpoint.password}
    with House(tmp_path, database_urls, secrets, lease_s=LEASE_S) as house, Bookkeeper(tryton.endpoint) as finance:
        house.estate.write_text(
            estate(tryton.endpoint, new_entity=f"LE-{run}", create_customers=True, settle_s=SETTLE_S)
        )
        customers = [_customer(f"{run}-{n}") for n in range(CUSTOMERS)]
        sows = [sow(f"{run}-{n:02d}", _terms(n, customers[n // 2 % CUSTOMERS])) for n in range(CONTRACTS)]
        api = house.api()
        crew = Crew(house, house.workers(2), dice, lambda: house.number(_WORK))
        for wave in range(WAVES):
            begun = house.number(_WORK)
            assert deliver(api, *sows[wave::WAVES], batched=True).status_code == 202
            crew.suffer(at=begun + dice.randrange(8), kill=wave % 2 == 0)
        assert crew.harmed > WAVES // 2
        house.until("all are active", lambda: house.all_are("active", CONTRACTS), within_s=240)
        journal_is_sound(house)
        for customer in customers:
            assert finance.count(Kind.CUSTOMER, str(customer["code"])) == 1
        for number in range(CONTRACTS):
            key = f"clm/{run}-{number:02d}"
            assert len(finance.works(key)) == 1, key
            parts = [len(finance.tasks(key, letter)) for letter in "LMR"]
            assert parts == ([1, 2, 0] if number % 2 else [1, 0, 2]), key


def _customer(name: str) -> dict[str, object]:
    return {"code": f"CUST-{name}", "name": f"Customer {name}", "tax_id": f"T-{name}", "country": "US"}


def _terms(number: int, customer: dict[str, object]) -> dict[str, object]:
    return (fixed_fee if number % 2 else by_the_hour)(customer=customer)
