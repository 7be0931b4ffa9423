"""Events that Tieline's own commands store: by the statement of intake, in the command's transaction."""

import uuid
from collections.abc import Mapping
from typing import Final

import orjson

from sync_core.commands.desk import Act, InvalidInput
from sync_core.events import OWN_ID, Event, SchemaUnknown, understand
from sync_core.intake.cloudevents import CloudEvent
from sync_core.intake.rows import as_json, stored_row
from sync_core.intake.sql import STORE
from sync_core.json_exact import holds_nul
from sync_core.json_exact import parse as parse_exact

OWN: Final = OWN_ID


def own_event(act: Act, event_type: str, source: str, data: Mapping[str, object]) -> Event:
    """As it would be stored, for a look at what it makes of the contract. Raises InvalidInput."""
    body = orjson.dumps(data, default=str)
    if holds_nul(parse_exact(body)):
        raise InvalidInput("a text holds the character U+0000; take it out")
    try:
        payload = understand(event_type, body)
    except SchemaUnknown as wrong:
        raise InvalidInput(wrong.message) from wrong
    return Event(source, f"{OWN}{uuid.uuid4()}", event_type, act.now, payload)


def store(
    act: Act, event: Event, data: Mapping[str, object], *, received_by: str, attributes: Mapping[str, str]
) -> str:
    """Store it and make its contract due; its correlation id. The contract is locked by the caller."""
    correlation_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{event.source}\n{event.id}"))
    trace = uuid.UUID(correlation_id).hex
    body = orjson.dumps(data, default=str)
    cloud = CloudEvent(
        id=event.id, source=event.source, type=event.type, time=act.now, subject=event.payload.contract_id,
        attributes={"specversion": "1.0", **attributes}, data=body, storable=True, json_data=True,
        traceparent=f"00-{trace}-{trace[:16]}-01", correlation_id=correlation_id, body=body,
    )  # fmt: skip
    row = stored_row(cloud, event.payload, act.estate, now=act.now, received_at=act.now, received_by=received_by)
    act.conn.execute(STORE, {"rows": as_json([row]), "now": act.now, "releasing": False})
    act.wakes = True
    return correlation_id
