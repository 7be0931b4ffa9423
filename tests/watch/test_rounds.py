"""What a round of the watch costs, and who has left its turn."""

from datetime import timedelta

import sqlalchemy as sa

from sync_core.watch.drift import Compared
from sync_core.watch.drift_rows import Check, due, enrol, keep
from tests.databases import DatabaseUrls
from tests.engine.governed import Desk
from tests.sows import amended, cloud_event
from tests.watch.drifting import look

_ENDED = sa.text("""
    INSERT INTO core.contract OVERRIDING SYSTEM VALUE
    SELECT (jsonb_populate_record(c, jsonb_build_object(
        'contract_id', 1000000 + n, 'external_id', 'E-' || n, 'state', 'ended', 'project_ref', 'P-' || n))).*
    FROM core.contract AS c, generate_series(1, 3000) AS n WHERE c.external_id = 'A-1'
""")


async def _blocks(desk: Desk) -> int:
    """Read or found in memory by the statements that say whose turn it is."""
    sent: list[tuple[str, object]] = []

    def note(_conn: object, _cursor: object, statement: str, values: object, _context: object, _many: object) -> None:
        sent.append((f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", values))

    async with desk.engine.connect() as conn:
        sa.event.listen(desk.engine.sync_engine, "before_cursor_execute", note)
        await due(conn, "cloud", most=10, asked=10, now=desk.clock.now())
        sa.event.remove(desk.engine.sync_engine, "before_cursor_execute", note)
        plans = [(await conn.exec_driver_sql(text, values)).scalar_one()[0]["Plan"] for text, values in sent]  # type: ignore[arg-type]
    assert len(plans) == 3
    return sum(int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]) for plan in plans)


async def test_a_round_costs_the_same_however_many_have_ended(desk: Desk, database_urls: DatabaseUrls) -> None:
    await look(desk)
    few = await _blocks(desk)
    async with desk.engine.begin() as conn:
        await conn.execute(_ENDED)
        await enrol(conn, "cloud", whole=True)
        now = desk.clock.now()
        same = [Check(one, (Compared("cloud", ()),)) for one in await due(conn, "cloud", most=5_000, asked=0, now=now)]
        assert len(same) == 3_002
        await keep(conn, same, clms=(), now=now)
    owner = sa.create_engine(database_urls.owner, isolation_level="AUTOCOMMIT")
    with owner.connect() as analysed:
        analysed.exec_driver_sql("VACUUM ANALYZE core.contract, core.drift_check")
    owner.dispose()
    desk.virtual.advance(timedelta(minutes=1))
    assert await _blocks(desk) <= few + 20  # an index is a level deeper
    assert (await look(desk)).startswith("2 compared")


async def test_an_ended_contract_that_something_happened_to_is_in_its_turn_again(desk: Desk) -> None:
    ended = {"contract_id": "A-1", "revision": 2, "ended_on": desk.clock.now().date().isoformat()}
    await desk.arrive(cloud_event("x", "terminated.v1", ended))
    await desk.run()
    for turn in ("2 compared", "1 compared"):
        desk.virtual.advance(timedelta(minutes=1))
        assert (await look(desk)).startswith(turn)
    await desk.arrive(cloud_event("y", "amended.v1", amended("A-1", revision=3, title="Longer")))
    await desk.run()
    desk.virtual.advance(timedelta(minutes=1))
    assert (await look(desk)).startswith("2 compared")
