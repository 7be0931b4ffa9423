"""Test only: the part of the walk about policies."""

import sqlalchemy as sa

from sync_core.authority import Permission
from sync_core.policy.activations import note
from tests.api.walk import Walk
from tests.commands.people import ADMINISTRATOR

_ESTATE = sa.text("INSERT INTO core.estate_version (digest, body, activated_at) VALUES ('walk', :body, :now)")
RULE = '[[approval]]\nname = "Everything"\nfrom_amount = 0\n'


async def policies(walk: Walk, estate_text: str) -> None:
    """A program proposes and withdraws, and refuses what a person proposed; to approve is a person's."""
    now, estate = walk.desk.clock.now(), walk.door.estate
    async with walk.desk.engine.begin() as conn:
        await conn.execute(_ESTATE, {"body": estate_text, "now": now})
        await note(conn, estate.rules_version, "", estate="walk", now=now)
    made = await walk.send("/policies", {"policy": RULE, "reason": "the auditors ask for it"}, status=201)
    assert made["before"] == estate.rules_version
    assert made["money"]["currency"] == "USD"
    address = f"/policies/{made['proposal_id']}"
    one = await walk.get(address)
    assert (one["reason"], one["body"], one["version"]) == ("the auditors ask for it", RULE, made["version"])
    assert made["state"] == "proposed"
    done = await walk.send(f"{address}/withdraw", {"reason": "not yet"}, tag=await walk.tag(address))
    assert done["state"] == "refused"
    other = walk.door.commands.policies.propose(ADMINISTRATOR, RULE, "once more")
    address = f"/policies/{other.proposal_id}"
    tag = await walk.tag(address)
    await walk.send(f"{address}/approve", {"reason": "yes"}, tag=tag, status=403)
    async with walk.door.calls(Permission.CONTRACTS_READ, entities=frozenset({"GB01"})) as british:
        told = (await british.get("/policies")).json()
        assert (told["proposals"], told["pending"]["proposal_id"]) == ([], other.proposal_id)
        assert (await british.get(address)).status_code == 404
    assert (await walk.send(f"{address}/refuse", {"reason": "not now"}, tag=tag))["state"] == "refused"
    listed = await walk.get("/policies")
    assert [row["proposal_id"] for row in listed["proposals"]] == [other.proposal_id, made["proposal_id"]]
    assert len(listed["history"]) == 1
