"""What the ERP holds already is adopted, not made again: Tieline's own memory of it may be lost as a whole."""

import psycopg

from tests.acceptance.cloud_firm import deliver, doubles, expected, open_house, sow, terms_of
from tests.acceptance.processes import House

CONTRACTS, CUSTOMERS = 50, 10

_REFS = "SELECT kind, business_key, ref FROM core.crosswalk WHERE state = 'confirmed' ORDER BY 1, 2"
_ADOPTED = "SELECT count(DISTINCT business_key) FROM core.operation WHERE status = 'adopted' AND kind = %s"


def _forget_the_erp(house: House) -> None:
    """What only the owner of the database may do; then every contract is looked at once more."""
    with psycopg.connect(house.urls.owner_libpq) as connection:
        connection.execute("TRUNCATE core.crosswalk")
        connection.execute("UPDATE core.contract SET project_ref = NULL, due_at = now(), wanted_rev = wanted_rev + 1")


def test_fifty_contracts_whose_references_were_lost_are_adopted_as_they_are(house: House) -> None:
    cloud = open_house(house)
    api = house.api()
    house.worker()
    terms = [terms_of(number, customers=CUSTOMERS) for number in range(CONTRACTS)]
    sows = [sow(f"C-{number:03d}", each) for number, each in enumerate(terms)]
    assert deliver(api, *sows, batched=True).status_code == 202
    house.until("all are active", lambda: house.all_are("active", CONTRACTS))
    _the_command_line_tells_it(house)
    held, writes, refs = cloud.held(), len(cloud.writes()), house.rows(_REFS)
    assert doubles(held) == {}
    assert {kind: sum(k == kind for k, _ in held) for kind, _ in held} == expected(terms)
    assert {(kind, key): [ref] for kind, key, ref in refs} == held
    assert house.number(_ADOPTED, "project") == 0
    projects = house.rows("SELECT external_id, project_ref FROM core.contract ORDER BY 1")

    _forget_the_erp(house)
    house.until("all were looked at", lambda: house.number("SELECT count(due_at) FROM core.contract") == 0)
    assert house.all_are("active", CONTRACTS)
    assert cloud.writes()[writes:] == []
    assert cloud.held() == held
    assert house.rows(_REFS) == refs
    assert house.rows("SELECT external_id, project_ref FROM core.contract ORDER BY 1") == projects
    for kind in ("project", "contract_line", "milestone", "labour_rate"):
        assert house.number(_ADOPTED, kind) == expected(terms)[kind], kind
    assert house.number("SELECT count(*) FROM core.case") == 0


def _the_command_line_tells_it(house: House) -> None:
    """Where the data is and how it stands, as a script asks while everything runs."""
    with psycopg.connect(house.ask("database-url")) as connection:
        assert connection.execute("SELECT DISTINCT state FROM core.contract").fetchall() == [("active",)]
    told = house.status()
    assert (told["active"], told["waiting"], told["workers"], told["quarantine"]) == (CONTRACTS, 0, 1, 0)
    assert told["states"] == {"draft": 0, "waiting": 0, "blocked": 0, "active": CONTRACTS, "suspended": 0, "ended": 0,
                              "set_aside": 0}  # fmt: skip
    shown = str(told["database"])
    assert house.urls.name in shown
    assert house.urls.app_libpq != shown, "no password"
