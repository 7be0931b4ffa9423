"""Test only: the part of the walk about two systems that do not agree: a field, and a customer of master data."""

from dataclasses import replace

from sync_core.desired import Kind
from tests.api.walk import Walk
from tests.reads.handmade import insert
from tests.sows import cloud_event, milestone_terms, signed

OWNERSHIP = """
[ownership]
"project.po_number" = { conflict = "person" }
"""


async def sides(walk: Walk) -> None:
    desk = walk.desk
    await desk.arrive(cloud_event("e-C-20", "signed.v1", signed("C-20", milestone_terms())))
    await desk.run()
    project = next(found for found in desk.erp.of(Kind.PROJECT) if found.key == "clm/C-20")
    desk.erp.hold(replace(project, fields={**project.fields, "po_number": "PO-THEIRS"}))
    news = {"contract_id": "C-20", "revision": 2, "approval": "approved"}
    await desk.arrive(cloud_event("e-C-20b", "approved.v1", news))
    await desk.run()
    address = f"/exceptions/{await desk.case_id('ownership_conflict')}"
    [one] = (await walk.get(f"{address}/sides"))["conflicts"]
    assert (one["name"], one["wanted"], one["found"]) == ("project.po_number", "PO-77", "PO-THEIRS")
    body = {"decisions": {"project.po_number": "theirs"}, "reason": "the client gave a new number"}
    done = await walk.send(f"{address}/resolve", body, tag=await walk.tag(address))
    assert done["taken"] == ["project.po_number"]
    await desk.run()
    assert (await walk.get(address))["exception"]["state"] == "resolved"
    await identified(walk)


async def identified(walk: Walk) -> None:
    desk, now = walk.desk, walk.desk.clock.now()
    insert(walk.door.engine, "master_customer", system="mdm", mdm_id="M-1", code="CUST-1", name="Harbour Mutual",
           folded="harbour mutual", status="active", changed_at=now, recorded_at=now)  # fmt: skip
    named = {"code": "HM", "name": "Harbor Mutual", "country": "US"}
    await desk.arrive(cloud_event("e-C-21", "signed.v1", signed("C-21", milestone_terms(customer=named))))
    await desk.run()
    address = f"/exceptions/{await desk.case_id('customer_near_duplicate')}"
    [record] = (await walk.get(f"{address}/sides"))["customers"]
    assert (record["id"], record["code"]) == ("mdm/M-1", "CUST-1")
    body = {"record": "mdm/M-1", "reason": "the same firm"}
    done = await walk.send(f"{address}/identify", body, tag=await walk.tag(address))
    assert (done["is_code"], done["contracts"]) == ("CUST-1", 1)
    await desk.run()
    assert (await walk.get(address))["exception"]["state"] == "resolved"
    decided = (await walk.get(f"{address}/sides"))["decision"]
    assert (decided["is_code"], decided["reason"]) == ("CUST-1", "the same firm")
    back = {"code": "HM", "reason": "a namesake"}
    undone = await walk.send(f"{address}/identify/take-back", back, tag=await walk.tag(address))
    assert (undone["was_code"], undone["contracts"]) == ("CUST-1", 1)
    await desk.run()
    assert (await walk.get(address))["exception"]["state"] == "open"
