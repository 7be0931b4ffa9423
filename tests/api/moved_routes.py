"""Test only: the part of the walk about moves between ERPs, as its routes tell; workers move in tests/engine."""

import sqlalchemy as sa

from tests.api.walk import Walk
from tests.reads.handmade import insert

_OVER = """
    UPDATE core.replay_item SET state = 'verified', dispatched_at = :now, finished_at = :now WHERE replay_id = :id;
    UPDATE core.replay SET state = 'finished', finished_at = :now, version = version + 1 WHERE replay_id = :id
"""


async def moves(walk: Walk) -> None:
    refused = await walk.send("/moves", {"move_from": "cloud", "move_to": "mars", "contracts": ["C-3"]}, status=422)
    assert "is no ERP of the estate" in refused["detail"]
    made = await walk.send("/moves", {"move_from": "cloud", "move_to": "spare", "contracts": ["C-3"]}, status=201)
    move_id = made["replay_id"]
    [one] = (await walk.get("/moves"))["items"]
    assert (one["replay_id"], one["move_from"], one["move_to"], one["undoes"]) == (move_id, "cloud", "spare", None)
    found = await walk.get(f"/moves/{move_id}/reconciliation")
    assert (found["move_from"], found["whole"], len(found["totals"])) == ("cloud", True, 1)
    assert found["read_at"] is not None
    [row] = (await walk.get(f"/moves/{move_id}/reconciliation/contracts"))["items"]
    assert (row["external_id"], row["stands"], row["why"], found["totals"][0]["parts"]) == ("C-3", "old", None, [])
    assert {name: money["amount"] for name, money in row["sums"].items()} == {
        "signed": "25000.00", "billed_old": "0.00", "to_bill_old": "25000.00", "billed_new": "0.00",
        "to_bill_new": "0.00", "difference": "0.00",
    }  # fmt: skip
    early = await walk.send(f"/moves/{move_id}/undo", status=409)
    assert "wait until it is over" in early["detail"]
    _over(walk, move_id, row["contract_id"])
    back = await walk.send(f"/moves/{move_id}/undo", status=201)
    assert [one["undoes"] for one in (await walk.get("/moves"))["items"]] == [move_id, None]
    tag = await walk.tag(f"/replays/{back['replay_id']}")
    await walk.send(f"/replays/{back['replay_id']}/cancel", {"reason": "it was a try"}, tag=tag)
    with walk.door.engine.begin() as conn:
        conn.execute(sa.text("DELETE FROM core.placement"))


def _over(walk: Walk, move_id: int, contract_id: int) -> None:
    """As if workers had carried it out."""
    bound = {"id": move_id, "now": walk.desk.clock.now()}
    with walk.door.engine.begin() as conn:
        for statement in _OVER.split(";"):
            conn.execute(sa.text(statement), bound)
    insert(walk.door.engine, "placement", contract_id=contract_id, lane="spare", replay_id=move_id,
           placed_at=bound["now"])  # fmt: skip
