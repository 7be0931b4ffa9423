"""The first day on a running firm, with real processes: observed, adopted, written to; nothing is made twice."""

import httpx
import orjson

from sync_core.connectors.erp.sandbox_cloud.mapping import PATHS, body_of
from sync_core.contract import Contract
from sync_core.derive import derive
from sync_core.desired import ErpObject, Kind
from sync_core.estate.estate import load
from sync_core.events import Event, understand
from tests.acceptance.cloud_firm import ERP_SECRET, Cloud, deliver, open_house, sow
from tests.acceptance.processes import House
from tests.folds import fold
from tests.sows import SIGNED_AT, SOURCE, milestone_terms, on, signed


def test_a_project_that_somebody_entered_by_hand_is_found_and_taken_over(house: House) -> None:
    erp = open_house(house)
    entered_by_hand(erp, house)
    writing = house.estate.read_text()
    observing = writing.replace('name = "cloud"', 'name = "cloud"\nmode = "observe"\ncut_over = 2027-01-01', 1)
    house.estate.write_text(observing)
    api, worker = house.api(), house.worker()
    house.until("the intake answers", lambda: answers(api))
    for event in (sow("T-1", milestone_terms()), sow_other()):
        assert deliver(api, event).status_code == 202
    house.until("both are observed", lambda: house.number("SELECT count(*) FROM core.observed") == 2)
    before = len(erp.writes())
    shown = orjson.loads(house.ask("adopt", "--erp", "cloud", "--json"))
    assert (shown["erp"], shown["counts"], shown["decided"]) == ("cloud", {"matched": 1, "unmatched": 1}, None)
    assert [(one["contract"], one["result"]) for one in shown["contracts"]] == [
        ("T-1", "matched"),
        ("T-2", "unmatched"),
    ]
    assert house.number("SELECT count(*) FROM core.adoption") == 0
    told = house.ask("adopt", "--erp", "cloud", "--apply", "--reason", "the first day")
    assert "1 matched" in told
    assert "adopted 1; 1 without a project and 0 uncertain" in told
    house.until("the other is an exception", lambda: house.states()["T-2"] == "blocked")
    assert house.rows("SELECT cause FROM core.case WHERE state = 'open'") == [("adoption_unmatched",)]
    assert len(erp.writes()) == before
    worker.ask_to_stop()
    worker.ends()
    house.estate.write_text(writing.replace('name = "cloud"', 'name = "cloud"\ncut_over = 2027-01-01', 1))
    house.worker()
    house.until("it is billable", lambda: house.states() == {"T-1": "active", "T-2": "blocked"})
    assert [(p["external_id"], p["status"]) for p in erp.objects("project")] == [("clm/T-1", "active")]
    assert sorted(str(m["external_id"]) for m in erp.objects("milestone")) == ["clm/T-1#M:design", "clm/T-1#M:golive"]


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz", timeout=5, trust_env=False).status_code < 500
    except httpx.TransportError:
        return False


def sow_other() -> dict[str, object]:
    return sow("T-2", milestone_terms(title="Nobody entered this one"))


def contract() -> Contract:
    data = orjson.dumps(signed("T-1", milestone_terms()))
    name = "com.tieline.contract.signed.v1"
    return fold([Event(SOURCE, "e1", name, SIGNED_AT, understand(name, data))])


def entered_by_hand(erp: Cloud, house: House) -> None:
    """All that the contract asks for, under numbers of the ERP's people."""
    wanted = derive(contract(), load(house.estate.read_text()), on=on("2026-11-01"))
    asked = {"grant_type": "client_credentials", "client_id": "tieline", "client_secret": ERP_SECRET}
    with httpx.Client(base_url=erp.url, trust_env=False) as people:
        token = people.post("/oauth/token", data=asked).raise_for_status().json()["access_token"]
        people.headers["authorization"] = f"Bearer {token}"
        customer = next(o for o in wanted.objects if o.kind is Kind.CUSTOMER)
        items = {"items": [{"external_id": customer.key, **body_of(customer)}]}
        people.post("/v1/customers", json=items).raise_for_status()
        assert wanted.project is not None
        project = {"external_id": "4711", **body_of(wanted.project)}
        ref = people.post("/v1/projects", json=project).raise_for_status().json()["id"]
        for kind in (Kind.CONTRACT_LINE, Kind.MILESTONE):
            made = [numbered(o, n) for n, o in enumerate(wanted.objects) if o.kind is kind]
            people.post(f"/v1/projects/{ref}/{PATHS[kind]}", json={"items": made}).raise_for_status()
        people.post(f"/v1/projects/{ref}/activate").raise_for_status()


def numbered(obj: ErpObject, number: int) -> dict[str, object]:
    return {"external_id": f"47-{number}", **body_of(obj)}
