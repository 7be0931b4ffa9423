"""A replay as a test asks for it: people's commands on the same database as a bench's workers."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import sqlalchemy as sa

from sync_core.authority import Actor, person
from sync_core.commands.desk import Desk
from sync_core.commands.replays import ReplayConfirmed, ReplayMade, Replays
from sync_core.engine.replaying import Replayer
from sync_core.estate.estate import Estate, ReplayPolicy
from sync_core.replay.replay import Origin
from sync_core.replay.selection import Selection
from tests.engine.support import Bench
from tests.sows import cloud_event, estate, signed

FAST = 60_000
LAX = ReplayPolicy(Decimal(10**12), second_person_from_count=10**6, per_minute=FAST, ticket_required=False)
ADA = person("ada@example.com", ["operator:finance_operations"])
BEN = person("ben@example.com", ["approver"])


class Staff:
    """Ada, who replays, and whoever else a test names."""

    def __init__(self, engine: sa.Engine, bench: Bench, *, policy: ReplayPolicy = LAX) -> None:
        self.engine, self.bench = engine, bench
        self.estate: Estate = replace(estate(), replay=policy)
        self.replays = Replays(Desk(engine, bench.clock, self.estate))

    def preview(self, *names: str, origin: Origin = Origin.CURRENT, actor: Actor = ADA) -> ReplayMade:
        return self.replays.preview(actor, Selection(tuple(self.ids(*names))), origin=origin, title="after the outage")

    def confirm(self, replay_id: int, **more: object) -> ReplayConfirmed:
        return self.replays.confirm(ADA, replay_id, reason="the outage is over", **more)  # type: ignore[arg-type]

    def ids(self, *names: str) -> list[int]:
        found = self.rows("SELECT contract_id FROM core.contract WHERE external_id = ANY(:names) ORDER BY 1",
                          names=list(names))  # fmt: skip
        return [int(str(row[0])) for row in found]

    def rows(self, sql: str, **values: object) -> list[tuple[object, ...]]:
        with self.engine.connect() as conn:
            return [tuple(row) for row in conn.execute(sa.text(sql), values)]

    def execute(self, sql: str, **values: object) -> None:
        with self.engine.begin() as conn:
            conn.execute(sa.text(sql), values)

    def state(self, replay_id: int) -> str:
        return str(self.rows("SELECT state FROM core.replay WHERE replay_id = :id", id=replay_id)[0][0])

    def items(self, replay_id: int) -> dict[str, tuple[str, str]]:
        """State and words by the contract's name."""
        found = self.rows(
            "SELECT c.external_id, i.state, i.words FROM core.replay_item AS i JOIN core.contract AS c"
            " USING (contract_id) WHERE i.replay_id = :id ORDER BY 1", id=replay_id,
        )  # fmt: skip
        return {str(name): (str(state), str(words)) for name, state, words in found}

    def ends(self, replay_id: int) -> dict[str, str]:
        return {name: state for name, (state, _) in self.items(replay_id).items()}


async def provisioned(bench: Bench, *names: str, terms: dict[str, object] | None = None) -> Replayer:
    """Contracts of these names, active in the ERP; and one worker's part in replays."""
    await bench.arrive(*(cloud_event(f"e-{name}", "signed.v1", signed(name, terms)) for name in names))
    worker = await bench.worker()
    await worker.drain()
    assert set((await bench.states()).values()) == {"active"}
    return Replayer(worker)


async def settle(bench: Bench, replayer: Replayer, *, rounds: int = 12, step: timedelta = timedelta(seconds=2)) -> None:
    """Drain, and let time pass for what waits."""
    for _ in range(rounds):
        await replayer.drain()
        bench.virtual.advance(step)


def lose(bench: Bench, names: Sequence[str]) -> None:
    """The ERP forgets all that belongs to these contracts, as one restored from a backup does."""
    for name in names:
        for ref in bench.erp.by_owner.pop(f"clm/{name}", set()):
            del bench.erp.objects[ref]
