"""Who may register, withdraw and acknowledge; versions of rows; what the audit keeps."""

from datetime import timedelta

import orjson
import pytest
import sqlalchemy as sa

from sync_core.authority import Forbidden, person
from sync_core.commands.desk import Changed, CommandRefused, InvalidInput, NotFound
from sync_core.commands.schemas import Proposed
from sync_core.events import PREFIX
from sync_core.reads.schemas import unknown_versions
from tests.commands import people
from tests.reads.handmade import insert
from tests.rows import NOW, SOURCE
from tests.sows import cloud_event, signed
from tests.versions import V3, as_v3, v3_schema

LIMITED = person("uk-admin@example.com", ["administrator@GB01"])
PROPOSED = Proposed(
    V3, v3_schema(), f"{PREFIX}signed.v2",
    (("terms.total", "terms.value"), ("terms.lines[].sum", "terms.lines[].amount")),
)  # fmt: skip


def hold(database: sa.Engine, name: str, data: object, *, source: str = SOURCE) -> int:
    event = cloud_event(name, "signed.v3", {"contract_id": name}) | {"source": source, "data": data}
    return insert(
        database, "quarantine", "quarantine_id", source=source, event_id=name, type=V3, external_id=name,
        reason="not registered", signature=True, body=orjson.dumps(event), received_by="webhook",
        correlation_id=f"c-{name}", occurred_at=NOW - timedelta(days=1), recorded_at=NOW - timedelta(hours=3),
    )  # fmt: skip


def test_a_schema_is_of_the_whole_firm(database: sa.Engine) -> None:
    commands = people.commands(database)
    for refused in (
        lambda: commands.schemas.preview(LIMITED, PROPOSED),
        lambda: commands.schemas.register(LIMITED, PROPOSED, "an upgrade"),
        lambda: commands.schemas.withdraw(LIMITED, 1, "an upgrade"),
        lambda: commands.schemas.acknowledge(LIMITED, [1], "known to us"),
    ):
        with pytest.raises(Forbidden):
            refused()
    assert people.audited(database) == []


def test_what_is_understood_is_released_and_the_rest_stays_with_its_reason(database: sa.Engine) -> None:
    good = hold(database, "C-1", as_v3(signed("C-1")))
    odd = hold(database, "C-2", {"contract_id": "C-2", "revision": 1})
    hold(database, "C-3", as_v3(signed("C-3")), source="urn:nobody")
    commands = people.commands(database)
    with database.connect() as conn:
        assert [one.type for one in unknown_versions(conn, commands.desk.estate)] == [V3]
    done = commands.schemas.register(people.ADMINISTRATOR, PROPOSED, "the CLM was upgraded")
    with database.connect() as conn:  # what still waits does so for what it holds
        assert unknown_versions(conn, commands.desk.estate) == ()
    assert done.released == (good,)
    [held] = done.held
    assert (held.quarantine_id, "signed_at" in held.words) == (odd, True)
    with database.connect() as conn:
        [row] = conn.execute(sa.text("SELECT correlation_id, occurred_at, recorded_at FROM core.event")).all()
    assert (row.correlation_id, row.recorded_at) == ("c-C-1", NOW)
    [entry] = people.audited(database)
    detail = orjson.loads(entry["detail"])
    assert (entry["action"], entry["reason"], detail["released"], detail["reads_as"]) == (
        "schema.register", "the CLM was upgraded", 1, f"{PREFIX}signed.v2",
    )  # fmt: skip


def test_a_registration_is_withdrawn_once_and_by_whoever_read_its_last_version(database: sa.Engine) -> None:
    commands = people.commands(database)
    made = commands.schemas.register(people.ADMINISTRATOR, PROPOSED, "ahead of the upgrade").registration_id
    with pytest.raises(Changed):
        commands.schemas.withdraw(people.ADMINISTRATOR, made, "a mistake", version=7)
    with pytest.raises(InvalidInput, match="say why"):
        commands.schemas.withdraw(people.ADMINISTRATOR, made, " ")
    assert commands.schemas.withdraw(people.ADMINISTRATOR, made, "a mistake", version=1).version == 2
    with pytest.raises(CommandRefused, match="withdrew registration"):
        commands.schemas.withdraw(people.ADMINISTRATOR, made, "a mistake")
    with pytest.raises(NotFound):
        commands.schemas.withdraw(people.ADMINISTRATOR, made + 1, "a mistake")
    assert [row["action"] for row in people.audited(database)] == ["schema.register", "schema.withdraw"]
