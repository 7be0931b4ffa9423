"""Test only: the routes of finance, KPIs, snapshots and what runs, each used once (test_every_route.py)."""

import hashlib

from metrics.slo import evaluate
from metrics.snapshot.making import Maker
from metrics.weeks import week_name, week_of
from tests.api.walk import Walk
from tests.metrics.billing import invoice
from tests.metrics.snapshot.firm import SIGNER
from tests.metrics.support import caught_up
from tests.reads.handmade import insert


async def finance(walk: Walk) -> None:
    rates = [{"currency": "GBP", "valid_on": "2026-01-01", "rate": "1.25"}]
    assert (await walk.send("/finance/rates", rates, status=201))["stored"] == 1
    assert (await walk.get("/finance/rates?currency=GBP"))["items"][0]["rate"] == "1.25"
    [[contract]] = await walk.desk.rows("SELECT contract_id FROM core.contract WHERE external_id = 'C-3'")
    invoice(walk.door.engine, contract, "INV-1", "500", "2026-01-05")
    said = {"dispute": "D-1", "invoice": "INV-1", "raised_on": "2026-01-09", "status": "raised", "amount": 20,
            "currency": "USD", "erp": "cloud"}  # fmt: skip
    assert (await walk.send("/finance/disputes", [said], status=201))["stored"] == 1
    for name, number in (("baseline", "dispute_rate"), ("assumptions", "cost_of_dispute")):
        stated = [{"name": number, "value": "0.5", "reason": "by hand"}]
        assert (await walk.send(f"/finance/{name}", stated, status=201))["stored"] == 1
        assert number in [one["name"] for one in (await walk.get(f"/finance/{name}"))["items"]]


async def kpis(walk: Walk) -> None:
    caught_up(walk.door.engine, walk.desk.clock, walk.door.estate)
    known = {one["slug"]: one for one in (await walk.get("/kpis"))["items"]}
    assert "legal_entity" in known["cycle-time"]["splits"]
    address = "/kpis/cycle-time?from=2026-W01&to=2026-W53&by=legal_entity&legal_entity=US01&legal_entity=GB01"
    answer = await walk.program.get(address)
    one = answer.json()
    assert (one["n"], one["value"], [part["group"] for part in one["parts"]]) == (4, None, ["US01"])
    assert one["why_none"].startswith("n = 4")
    assert one["window"] == {
        "from": "2025-12-29", "to": "2027-01-04", "first_week": "2026-W01", "last_week": "2026-W53",
    }  # fmt: skip
    again = await walk.program.get(address, headers={"if-none-match": answer.headers["etag"]})
    assert again.status_code == 304
    rows = await walk.get("/kpis/cycle-time/rows?from=2026-W01&to=2026-W53&limit=2")
    assert (len(rows["items"]), rows["count"]) == (2, 4)
    rest = await walk.get(f"/kpis/cycle-time/rows?from=2026-W01&to=2026-W53&limit=2&cursor={rows['next']}")
    assert len({row["contract_id"] for row in (*rows["items"], *rest["items"])}) == 4


async def snapshots(walk: Walk) -> None:
    made = []
    this_week = week_name(week_of(walk.desk.clock.now(), walk.door.estate.group.timezone))
    for body in ({}, {"week": this_week}):
        asked = await walk.send("/snapshots", body, status=202)
        assert (await walk.get(f"/snapshots/{asked['snapshot_id']}"))["snapshot"]["state"] == "asked"
        maker = Maker(walk.door.engine, walk.desk.clock, walk.door.estate, SIGNER, "1", "http://here")
        assert maker.make_next() is not None
        made.append(asked)
    address = f"/snapshots/{made[0]['snapshot_id']}"
    assert [one["week"] for one in (await walk.get("/snapshots"))["items"]] == [made[1]["week"], made[0]["week"]]
    assert len((await walk.get(f"/snapshots?week={made[0]['week']}"))["items"]) == 1
    one = await walk.get(address)
    assert (one["snapshot"]["state"], [d["target"] for d in one["deliveries"]]) == ("made", ["home"])
    file = await walk.program.get(f"{address}/files/manifest.json")
    assert hashlib.sha256(file.content).hexdigest() == one["snapshot"]["content_id"]
    assert 'filename="manifest.json"' in file.headers["content-disposition"]
    pack = await walk.program.get(f"{address}/files/board-pack.pdf")
    assert (file.headers["content-type"], pack.headers["content-type"]) == ("application/json", "application/pdf")
    assert (await walk.program.get(f"{address}/files/secrets.toml")).status_code == 404
    both = await walk.get(f"/snapshots/diff?week={made[0]['week']}&other={made[1]['week']}")
    assert "cycle-time" in [row["slug"] for row in both["kpis"]]
    assert (await walk.program.get("/snapshots/diff?week=2020-W01&other=2020-W02")).status_code == 404


async def running(walk: Walk) -> None:
    insert(walk.door.engine, "schedule", job="measures", every_s=15, declared_at=walk.door.clock.now())
    [listed] = (await walk.get("/schedules"))["items"]
    assert (listed["job"], listed["every"], listed["late"], listed["running"]) == ("measures", 15.0, True, False)
    address = "/schedules/measures"
    reason = {"reason": "the ERP is moved"}
    assert await walk.get(address) == listed
    assert (await walk.send(f"{address}/run", reason, status=202))["wanted"]
    assert (await walk.send(f"{address}/pause", reason, tag=await walk.tag(address)))["paused"]
    assert not (await walk.send(f"{address}/resume", reason, tag=await walk.tag(address)))["paused"]
    telemetry = await walk.get("/telemetry?minutes=15")
    assert telemetry["attempts"]["failure_rate"] is None
    assert telemetry["backlog"]["contracts"].keys() == {"ready", "scheduled", "in_flight", "blocked", "dead"}
    evaluate(walk.door.engine, clock=walk.door.clock, estate=walk.door.estate)
    insert(walk.door.engine, "release", system="erp:cloud", version="2", first_seen_at=walk.desk.clock.now(),
           last_seen_at=walk.desk.clock.now())  # fmt: skip
    assert [(one["system"], one["version"], one["replaced"]) for one in (await walk.get("/releases"))["items"]] == [
        ("erp:cloud", "2", None)
    ]
    promises = (await walk.get("/objectives"))["objectives"]
    assert {one["name"]: one["broken_at"] for one in promises}["read-back"] is None
