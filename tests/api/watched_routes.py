"""Test only: the part of the walk about contracts beside the engine's work: validated before, watched afterwards."""

from tests.api.walk import Walk
from tests.reads.handmade import insert
from tests.sows import milestone_terms


async def watched(walk: Walk) -> None:
    found = await walk.send("/validations", {"terms": milestone_terms(), "contract_id": "C-9"})
    assert (found["would_provision"], found["lane"], found["unverified"]) == (True, "cloud", [])
    ids = {row["external_id"]: row["contract_id"] for row in (await walk.get("/contracts"))["items"]}
    now = walk.desk.clock.now()
    made = insert(
        walk.door.engine, "drift", "drift_id", contract_id=ids["C-3"], system="cloud", kind="project",
        business_key="clm/C-3", field="value", ours="25000", theirs="1", stands="ours", first_seen_at=now,
        last_seen_at=now,
    )  # fmt: skip
    [one] = (await walk.get("/drift?stands=ours"))["items"]
    assert (one["drift_id"], one["external_id"], one["field"], one["ours"], one["theirs"]) == (
        made, "C-3", "value", "25000", "1",
    )  # fmt: skip
    assert (await walk.get("/drift?state=closed"))["items"] == []
    asked = await walk.send("/drift/compare", {"contracts": ["C-3"]}, status=202)
    assert asked == {"contracts": 1}
    watch = await walk.get("/drift/watch")
    assert (watch["ours"], watch["repairable"], watch["asked"]) == (1, 1, 1)
    replay = await walk.send("/drift/repair", {}, status=201)
    assert replay["items"] == 1
