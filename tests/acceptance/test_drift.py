"""A project that was changed in the ERP behind our back: found, classified, repaired by a previewed replay, closed by
read-back. Real processes all: API, worker, command line, and the sandbox ERP over HTTP.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

import httpx

from app.cli.refusals import Exit
from tests.acceptance.cloud_firm import ADMIN_TOKEN, Cloud, deliver, open_house, sow
from tests.acceptance.processes import House
from tests.sows import milestone_terms, tm_terms

WATCH = "\n[watch]\ndrift_per_minute = 0\n"


def asked(house: House, *arguments: str) -> tuple[int, str]:
    """Exit code and what it printed."""
    try:
        return 0, house.ask(*arguments)
    except subprocess.CalledProcessError as ended:
        return ended.returncode, str(ended.stdout)


def differing(house: House, *arguments: str) -> list[dict[str, Any]]:
    code, told = asked(house, "reconcile", *arguments, "--json")
    assert code == Exit.DIFFERS
    found: list[dict[str, Any]] = json.loads(told)
    return found


def edit(cloud: Cloud, kind: str, key: str, **fields: str) -> None:
    """Somebody changes a record in the ERP by hand."""
    ident = cloud.held()[kind, key][0]
    headers = {"x-sandbox-token": ADMIN_TOKEN}
    body = {"kind": kind, "id": ident, "fields": fields}
    httpx.patch(f"{cloud.url}/_sandbox/objects", json=body, headers=headers, trust_env=False).raise_for_status()


def test_a_project_changed_behind_our_back_is_found_repaired_and_closed(house: House, tmp_path: Path) -> None:
    cloud = open_house(house)
    house.estate.write_text(house.estate.read_text() + WATCH)
    api = house.api()
    house.worker()
    assert deliver(api, sow("C-1", milestone_terms()), sow("C-2", tm_terms()), batched=True).status_code == 202
    house.until("both are active", lambda: house.all_are("active", 2))
    code, told = asked(house, "reconcile")
    assert (code, "0 differences; 2 contracts are watched" in told) == (0, True), told
    writes = len(cloud.writes())

    edit(cloud, "project", "clm/C-1", contract_value="1.00", purchase_order="PO-0", start_date="2026-01-01")
    edit(cloud, "milestone", "clm/C-1#M:golive", bill_date="2027-01-31")
    edit(cloud, "labour_rate", "clm/C-2#R:SR", hourly_rate="1.00")
    edit(cloud, "customer", "CUST-1", name="Harbour Mutual plc")
    found = differing(house)
    assert {(d["external_id"], d["kind"], d["field"], d["ours"], d["theirs"], d["stands"]) for d in found} == {
        ("C-1", "project", "value", "25000", "1", "ours"),
        ("C-1", "project", "po_number", "PO-77", "PO-0", "ours"),
        ("C-1", "project", "starts_on", "2026-04-01", "2026-01-01", "ours"),
        ("C-1", "milestone", "bill_on", "2026-09-30", "2027-01-31", "ours"),
        ("C-2", "labour_rate", "rate", "240", "1", "ours"),
        ("C-1", "customer", "name", "Harbour Mutual", "Harbour Mutual plc", "allowed"),
        ("C-2", "customer", "name", "Harbour Mutual", "Harbour Mutual plc", "allowed"),
    }
    assert len(cloud.writes()) == writes, "the watch wrote nothing"
    assert differing(house, "--contract", "C-2", "--last")[0]["external_id"] == "C-2"

    code, told = asked(house, "reconcile", "--last", "--repair")
    assert (code, "replay 1 previews the repair of 2 contracts" in told) == (Exit.DIFFERS, True), told
    previewed = "SELECT count(*) FROM core.replay WHERE state = 'previewed'"
    house.until("it is previewed", lambda: house.number(previewed) == 1)
    [[updates]] = house.rows("SELECT sum(updates) FROM core.replay_item")
    assert updates == 3, "the project, the milestone, the rate"
    assert len(cloud.writes()) == writes, "nor did the preview"
    house.ask("replay", "confirm", "1", "--reason", "somebody changed them by hand", "--ticket", "CHG-1")
    house.ask("replay", "watch", "1")
    assert house.rows("SELECT state, count(*) FROM core.replay_item GROUP BY 1") == [("verified", 2)]

    code, told = asked(house, "reconcile", "--json")
    assert (code, {each["stands"] for each in json.loads(told)}) == (0, {"allowed"})
    closed = "SELECT count(*) FROM core.drift WHERE closed_at IS NOT NULL AND stands = 'ours'"
    assert house.number(closed) == 5
    assert asked(house, "verify")[0] == 0

    file = tmp_path / "terms.json"
    file.write_text(json.dumps(milestone_terms(title="Another")))
    code, told = asked(house, "validate", str(file))
    assert (code, "would be provisioned: yes" in told) == (0, True), told
    file.write_text(json.dumps({"terms": milestone_terms(tax={"tax_code": "US-NOWHERE"})}))
    assert asked(house, "validate", str(file))[0] == Exit.NOT_KNOWN
    asks = "SELECT count(*) FROM core.reference WHERE answer IS NULL"
    house.ask("schedules", "run", "references:cloud", "--reason", "its minute is long")
    house.until("a worker has asked the ERP", lambda: house.number(asks) == 0, within_s=90)
    code, told = asked(house, "validate", str(file), "--json")
    assert (code, [each["cause"] for each in json.loads(told)["findings"]]) == (Exit.DIFFERS, ["tax_profile_missing"])
