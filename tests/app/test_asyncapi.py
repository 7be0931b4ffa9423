"""docs/asyncapi.yaml and GET /v1/asyncapi.json say what is: its own references hold, and real messages fit it."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import orjson
import pytest
import sqlalchemy as sa
from jsonschema import Draft202012Validator, FormatChecker
from sqlalchemy.ext.asyncio import AsyncEngine

from app.published.asyncapi import DOCUMENT, document, written
from sync_core.delivery.envelope import Outgoing, body
from sync_core.delivery.messages import OUTGOING
from sync_core.events import PREFIX, REGISTRY
from tests.api.door import Door
from tests.delivery.support import BASE, SOURCE, announcer
from tests.delivery.test_documentation import EXAMPLES as OUTGOING_EXAMPLES
from tests.engine.support import Bench
from tests.event_examples import EXAMPLES
from tests.reads.handmade import add_quarantined
from tests.sows import cloud_event, milestone_terms, signed

WHOLE = document()


def test_the_document_is_made_from_the_code() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == written(), "run `make docs`"
    head, _, rest = written().partition("\n")
    assert (head[:1], orjson.loads(rest)) == ("#", WHOLE)


async def test_it_is_served_with_where_versions_stand_today(database: sa.Engine) -> None:
    door = Door(database)
    async with door.bearing(None) as anyone:
        served = (await anyone.get("/asyncapi.json")).json()
    first = served["components"]["messages"][f"{PREFIX}signed.v1"]
    assert first["tags"] == [{"name": "deprecated"}]
    assert first["x-successor"] == f"{PREFIX}signed.v2"
    assert served == document(door.estate.versions, on=door.clock.now().date())
    assert "tags" not in document(on=date(2020, 1, 1))["components"]["messages"][f"{PREFIX}signed.v1"]


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for inner in part.values():
            yield from references(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from references(inner)


def test_every_reference_leads_somewhere() -> None:
    found = set(references(WHOLE))
    assert len(found) > 50
    for reference in found:
        at: Any = WHOLE
        for step in reference.removeprefix("#/").split("/"):
            at = at[step]
        assert at


def test_every_message_is_of_a_channel_and_every_operation_of_one() -> None:
    channels, operations = WHOLE["channels"], WHOLE["operations"]
    assert set(channels["intake"]["messages"]) == set(REGISTRY)
    assert set(channels["subscriber"]["messages"]) == set(OUTGOING)
    assert set(WHOLE["components"]["messages"]) == {*REGISTRY, *OUTGOING}
    assert {one["action"]: one["channel"]["$ref"] for one in operations.values()} == {
        "receive": "#/channels/intake", "send": "#/channels/subscriber",
    }  # fmt: skip


def check(name: str, event: object) -> None:
    """Raises ValidationError for what the document does not foresee of this message."""
    payload = WHOLE["components"]["messages"][name]["payload"]
    schema = {**payload, "components": WHOLE["components"]}
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema, format_checker=FormatChecker()).validate(event)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_an_example_of_what_comes_in_fits(name: str) -> None:
    kind = name.removeprefix(PREFIX)
    check(name, cloud_event("e-1", kind, EXAMPLES[name]))


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_what_lost_a_required_field_does_not_fit(name: str) -> None:
    broken = {key: value for key, value in EXAMPLES[name].items() if key != "contract_id"}
    with pytest.raises(Exception, match="contract_id"):
        check(name, cloud_event("e-1", name.removeprefix(PREFIX), EXAMPLES[name]) | {"data": broken})


@pytest.mark.parametrize(("name", "example"), OUTGOING_EXAMPLES, ids=[name for name, _ in OUTGOING_EXAMPLES])
def test_an_example_of_what_goes_out_fits(name: str, example: str) -> None:
    at = cloud_event("e", "x", {"contract_id": "C"})["time"]
    event = {
        "specversion": "1.0", "id": "e", "source": SOURCE, "type": name, "subject": "contract/1", "time": at,
        "datacontenttype": "application/json", "dataschema": f"{BASE}/v1/schemas/{name}", "sequence": f"{1:020}",
        "recordedtime": at, "data": orjson.loads(example),
    }  # fmt: skip
    check(name, event)


async def test_what_really_leaves_fits(async_database: AsyncEngine, database: sa.Engine) -> None:
    """A contract that becomes billable, one that is blocked, an event in quarantine, as they are sent."""
    telling = announcer(async_database)
    await telling.announce()
    bench = Bench(async_database)
    await bench.arrive(cloud_event("e-1", "signed.v1", signed("C-1")))
    await bench.arrive(cloud_event("e-2", "signed.v1", signed("C-2", milestone_terms(tax={}))))
    add_quarantined(database, "Q-1", hours=1)
    await (await bench.worker()).drain()
    assert await telling.announce() > 3
    with database.connect() as conn:
        rows = conn.execute(sa.text("SELECT *, CAST(data AS text) AS text FROM core.outgoing ORDER BY seq")).all()
    seen = set()
    for row in rows:
        one = Outgoing(row.seq, row.id, row.type, row.subject, row.occurred_at, row.recorded_at, row.text)
        check(row.type, orjson.loads(body(one, source=SOURCE, base_url=BASE)))
        seen.add(row.type.removeprefix("com.tieline."))
    assert seen >= {"project.activated.v1", "contract.blocked.v1", "exception.opened.v1", "event.quarantined.v1"}
    assert rows[0].recorded_at - rows[-1].recorded_at < timedelta(hours=1)
