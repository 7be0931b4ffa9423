"""Test only: the part of the walk about amendments: before and after, and a silent change that is accepted."""

from datetime import timedelta

from tests.api.walk import Walk
from tests.sows import amended, arrive, cloud_event, signed


async def amendments(walk: Walk) -> None:
    desk = walk.desk
    await desk.arrive(cloud_event("m1", "signed.v1", signed("C-8")))
    await desk.run(after=timedelta(minutes=1))
    await desk.arrive(cloud_event("m2", "amended.v1", amended("C-8", po_number="PO-78")))
    again = signed("C-8", revision=3)  # as it was signed, so that it takes the amendment back
    async with desk.engine.begin() as conn:  # long ago: the program's token would not outlive the grace time
        await arrive(conn, cloud_event("m3", "signed.v1", again), now=desk.clock.now() - timedelta(hours=26))
    await desk.run(after=timedelta(minutes=1))
    [row] = (await walk.get("/contracts?text=C-8"))["items"]
    told = await walk.get(f"/contracts/{row['contract_id']}/amendments")
    [one] = told["amendments"]
    assert one["terms"] == [{"field": "po number", "before": "PO-77", "after": "PO-78"}]
    assert (one["waits"], one["schedule"]["before"], one["schedule"]["after"]) == (False, "25000.00", "25000.00")
    assert one["synced_at"] is not None
    assert (one["later"], one["later_from"]) == ([], None)
    [silent] = told["silent"]["differences"]
    assert (silent["kind"], silent["what"], silent["held"], silent["wanted"]) == (
        "changed",
        "po number",
        "PO-78",
        "PO-77",
    )
    assert (told["books"]["to_invoice"], told["books"]["difference"]) == ("25000.00", "0.00")
    [case] = (await walk.get("/exceptions?cause=silent_change"))["items"]
    at = f"/exceptions/{case['exception_id']}"
    assert (await walk.get(at))["differences"] == told["silent"]["differences"]
    accepted = await walk.send(f"{at}/accept", {"reason": "the amendment was withdrawn"}, tag=await walk.tag(at))
    assert [(change["before"], change["after"]) for change in accepted["changes"]] == [("PO-78", "PO-77")]
    await desk.run(after=timedelta(minutes=1))
    assert (await walk.get(at))["exception"]["state"] == "resolved"
