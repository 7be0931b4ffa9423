"""Test only: the routes of event versions, each used once (test_every_route.py)."""

import orjson

from sync_core.events import PREFIX
from tests.api.walk import Walk
from tests.reads.handmade import insert
from tests.sows import SOURCE, cloud_event, milestone_terms, signed
from tests.versions import V3, as_v3, v3_schema


async def schemas(walk: Walk) -> None:
    now, event = (
        walk.desk.clock.now(),
        cloud_event("s-3", "signed.v3", as_v3(signed("S-3", milestone_terms(test=True)))),
    )
    held = insert(
        walk.door.engine, "quarantine", "quarantine_id", source=SOURCE, event_id="s-3", type=V3, external_id="S-3",
        reason="not registered", signature=True, body=orjson.dumps(event), received_by="webhook", correlation_id="q",
        occurred_at=now, recorded_at=now,
    )  # fmt: skip
    waiting = {one["type"]: one["events"] for one in (await walk.get("/schema-versions/unknown"))["items"]}
    assert waiting[V3] == 1
    renames = [
        {"theirs": "terms.total", "ours": "terms.value"},
        {"theirs": "terms.lines[].sum", "ours": "terms.lines[].amount"},
    ]
    body = {"type": V3, "json_schema": v3_schema(), "reads_as": f"{PREFIX}signed.v2", "renames": renames}
    seen = await walk.send("/schema-registrations/preview", body)
    assert (seen["waiting"], seen["understood"]) == (1, 1)
    made = await walk.send("/schema-registrations", {**body, "reason": "the CLM was upgraded"}, status=201)
    assert made["released"] == [held]
    await walk.send("/schema-registrations", {**body, "reason": "once more"}, status=409)
    await walk.send("/schema-registrations", {**body, "json_schema": "{", "reason": "a mistake"}, status=422)
    address = f"/schema-registrations/{made['registration_id']}"
    assert (await walk.get(address))["renames"] == renames
    assert [one["type"] for one in (await walk.get("/schema-registrations"))["items"]] == [V3]
    known = {one["name"]: one for one in (await walk.get("/schema-versions"))["items"]}
    assert (known[V3]["registered"], known[f"{PREFIX}signed.v1"]["successor"]) == (True, f"{PREFIX}signed.v2")
    await walk.send(f"{address}/withdraw", {"reason": "their release went back"}, tag=await walk.tag(address))
    stray = insert(
        walk.door.engine, "schema_drift", "drift_id", source=SOURCE, type=V3, path="tomorrow", shape="object",
        events=1, first_seen_at=now, last_seen_at=now,
    )  # fmt: skip
    await _paged(walk, stray)
    done = await walk.send("/schema-drift/acknowledge", {"drift_ids": [stray], "reason": "known to us"})
    assert done["drift_ids"] == [stray]
    assert [one["acknowledged_as"] for one in (await walk.get("/schema-drift"))["items"]] == [None, "known to us"]
    insert(walk.door.engine, "connector_check", lane="cloud", api="v1", needs='{"project": ["id"]}', checked_at=now)
    assert (await walk.get("/connector-checks"))["items"][0]["needs"] == {"project": ["id"]}
    await walk.desk.run()


async def _paged(walk: Walk, stray: int) -> None:
    """A list is walked to its end, what is open before what is over."""
    now = walk.desk.clock.now()
    later = insert(
        walk.door.engine, "schema_drift", "drift_id", source=SOURCE, type=V3, path="later", shape="object", events=1,
        first_seen_at=now, last_seen_at=now,
    )  # fmt: skip
    first = await walk.get("/schema-drift?limit=1")
    second = await walk.get(f"/schema-drift?limit=1&cursor={first['next']}")
    assert ([one["drift_id"] for one in (*first["items"], *second["items"])], first["total"]) == ([later, stray], 2)
    assert second["next"] is None
    [withdrawn] = (await walk.get("/schema-registrations"))["items"]
    old = insert(
        walk.door.engine, "schema_registration", "registration_id", type=V3, body="{}", reads_as=f"{PREFIX}signed.v2",
        renames="[]", reason="r", registered_at=now, registered_by="eve",
    )  # fmt: skip
    first = await walk.get("/schema-registrations?limit=1")
    assert [one["registration_id"] for one in first["items"]] == [old]
    second = await walk.get(f"/schema-registrations?limit=1&cursor={first['next']}")
    assert [one["registration_id"] for one in second["items"]] == [withdrawn["registration_id"]]
    assert (await walk.get(f"/schema-registrations/{old}"))["type"] == V3
