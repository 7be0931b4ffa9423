"""The ERP's process dies; intake goes on, contracts wait, and all are provisioned once, by urgency, when it is back."""

import json

from tests.acceptance.cloud_firm import customer, deliver, doubles, open_house, sow
from tests.acceptance.processes import House
from tests.sows import milestone_terms

CONTRACTS, BATCH, SHARED = 500, 100, 40
IN_FLIGHT = 2 * 16  # contracts in hand at most, over all workers: twice the slots of the lane

_ORDER = """
    SELECT c.external_id FROM core.contract AS c
    JOIN core.run AS r USING (contract_id) WHERE r.outcome = 'converged'
    GROUP BY c.contract_id ORDER BY min(r.started_at), c.contract_id
"""
_URGENCY = "SELECT external_id, priority FROM core.contract"


def worth(number: int) -> dict[str, object]:
    """Contracts of different value that bill on different days."""
    amount = f"{10 + number * 37 % 400}000.00"
    due = f"2027-{1 + number % 12:02d}-15"
    return milestone_terms(
        value=amount,
        customer=customer(number % SHARED),
        starts_on="2026-12-01",
        ends_on="2027-12-31",
        lines=[{"key": "1", "description": "Rollout", "amount": amount}],
        milestones=[{"key": "all", "name": "All", "amount": amount, "due_on": due, "line": "1"}],
    )


def test_500_events_wait_out_an_outage_and_are_provisioned_once_by_urgency(house: House) -> None:
    cloud = open_house(house)
    api = house.api()
    house.workers(2)
    assert deliver(api, sow("FIRST", worth(1))).status_code == 202
    house.until("the ERP is in use", lambda: house.all_are("active", 1))

    cloud.kill()
    sows = [sow(f"C-{number:04d}", worth(number)) for number in range(CONTRACTS)]
    answers = [deliver(api, *sows[at : at + BATCH], batched=True) for at in range(0, CONTRACTS, BATCH)]
    assert [answer.status_code for answer in answers] == [202] * (CONTRACTS // BATCH)
    house.until("the breaker is open", lambda: house.rows("SELECT breaker FROM core.lane") == [("open",)])
    house.until("nobody tries", lambda: house.number("SELECT count(lease_owner) FROM core.contract") == 0)
    told = house.status()
    assert (told["waiting"], told["active"], told["blocked"], told["set_aside"]) == (CONTRACTS, 1, 0, 0)
    (lane,) = json.loads(json.dumps(told["lanes"]))
    assert (lane["lane"], lane["breaker"]) == ("cloud", "open")
    assert told["workers"] == 2
    assert house.number("SELECT count(*) FROM core.case") == 0

    cloud.start_again()
    house.until("all are active", lambda: house.all_are("active", CONTRACTS + 1), within_s=90)
    held = cloud.held()
    assert doubles(held) == {}
    once = {"project": CONTRACTS + 1, "contract_line": CONTRACTS + 1, "milestone": CONTRACTS + 1, "customer": SHARED}
    assert {kind: sum(k == kind for k, _ in held) for kind, _ in held} == once
    assert cloud.not_billable() == []
    assert house.number("SELECT count(*) FROM core.case") == 0
    assert house.number("SELECT max(attempt) FROM core.contract") == 0, "an outage spends no attempt"
    assert house.status()["active"] == CONTRACTS + 1
    _came_by_urgency(house)


def _came_by_urgency(house: House) -> None:
    """Nobody was overtaken by more than can be in flight with it; contracts of equal urgency have no order."""
    urgency = {str(name): float(str(priority)) for name, priority in house.rows(_URGENCY)}
    came = [urgency[str(name)] for (name,) in house.rows(_ORDER) if name != "FIRST"]
    assert len(came) == CONTRACTS
    overtaken = [sum(later > mine for later in came[place:]) for place, mine in enumerate(came)]
    assert max(overtaken) <= IN_FLIGHT
