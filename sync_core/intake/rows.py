"""What intake decides before it writes: is an event understood, and which row does it become. Pure.

`Row` is a JSON object whose names are the columns of the record sets in sync_core/intake/sql.py.
"""

import base64
import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

import orjson

from sync_core.contract import Terms
from sync_core.estate.estate import Estate
from sync_core.events import (
    OWN,
    REGISTRY,
    Drafted,
    Payload,
    SchemaUnknown,
    Signed,
    admit,
    in_core_form,
)
from sync_core.intake.cloudevents import CloudEvent, in_every_zone
from sync_core.life.summary import DRAFT_PRIORITY, summarise
from sync_core.money import storable
from sync_core.schemas.registered import Registered
from sync_core.schemas.versions import State

Row = dict[str, object]

_LARGEST_REVISION = 2**62


def read(
    event: CloudEvent, estate: Estate, registered: Mapping[str, Registered], *, now: datetime
) -> tuple[CloudEvent, Payload]:
    """The event in the form that the core reads: for most it is itself. Raises SchemaUnknown as `understood` does."""
    version = estate.versions.get(event.type)
    if version is not None and version.state(now.date()) is State.REMOVED:
        follows = f"; send {version.successor}" if version.successor else ""
        raise SchemaUnknown(f"{event.type} is taken no more since {version.removed_on}{follows}")
    known = REGISTRY.get(event.type)
    if (known is not None and not known.reads_as) or not (event.json_data and event.storable):
        return event, understood(event, estate)
    runtime = registered.get(event.type)
    kind, data = in_core_form(event.type, event.data) if runtime is None else runtime.in_core_form(event.data)
    core = event if kind == event.type else replace(event, type=kind, data=data)
    return core, understood(core, estate)


def understood(event: CloudEvent, estate: Estate) -> Payload:
    """Raises SchemaUnknown with the reason for quarantine."""
    if event.source not in estate.clms:
        raise SchemaUnknown(f"source {event.source!r} is not in the estate; add its CLM, then release the event")
    if event.type in OWN:
        raise SchemaUnknown(f"{event.type} is stored by Tieline's own commands alone; decide it in Tieline")
    if not event.json_data:
        kind = event.attributes.get("datacontenttype")
        raise SchemaUnknown(f"the data is {kind!r}, not JSON; send JSON")
    if not event.storable:
        raise SchemaUnknown("a text in the data holds the character U+0000; send the event again without it")
    payload = admit(event.type, event.data)
    terms = _terms(payload)
    if payload.revision > _LARGEST_REVISION:
        raise SchemaUnknown(f"{event.type}: revision: it is too large; send the count of changes in the CLM")
    if isinstance(payload, Signed) and not in_every_zone(payload.signed_at):
        raise SchemaUnknown(f"{event.type}: signed_at: {payload.signed_at} is no moment of a signature; correct it")
    if terms is not None and not storable(terms.value):
        raise SchemaUnknown(f"{event.type}: terms.value: {terms.value:.3e} is no amount of money; correct it")
    return payload


def _terms(payload: Payload) -> Terms | None:
    return payload.terms if isinstance(payload, Drafted | Signed) else None


def stored_row(
    event: CloudEvent,
    payload: Payload,
    estate: Estate,
    *,
    now: datetime,
    received_at: datetime,
    received_by: str,
    sent: CloudEvent | None = None,
) -> Row:
    """`sent`: as it was delivered, where the core reads another version of it."""
    row: Row = {
        "source": event.source,
        "id": event.id,
        "type": event.type,
        "external_id": payload.contract_id,
        "occurred_at": event.time or received_at,
        "received_at": received_at,
        "received_by": received_by,
        "correlation_id": event.correlation_id,
        "traceparent": event.traceparent,
        "data": orjson.Fragment(event.data),
        "attributes": event.attributes,
        "executed": isinstance(payload, Signed),
    }
    if sent is not None and sent.type != event.type:
        row |= {"sent_type": sent.type, "sent": orjson.Fragment(sent.data)}
    if (terms := _terms(payload)) is not None:
        row |= dataclasses.asdict(summarise(terms, estate, on=now.date()))
        row |= {"revision": payload.revision, "signed_at": payload.signed_at if isinstance(payload, Signed) else None}
        row |= {} if isinstance(payload, Signed) else {"priority": DRAFT_PRIORITY}
    return row


def held_row(event: CloudEvent, reason: str, *, now: datetime) -> Row:
    """An event that is not understood, whole."""
    return {
        "source": event.source,
        "id": event.id,
        "type": event.type,
        "external_id": _contract_id(event),
        "reason": reason,
        "signature": _may_be_signature(event.type),
        "body": base64.b64encode(event.body).decode(),
        "correlation_id": event.correlation_id,
        "occurred_at": event.time or now,
    }


def unreadable_row(body: bytes, reason: str, *, source: str, now: datetime) -> Row:
    """Bytes that are no event. Their digest is their id; nobody can tell that they are no signature."""
    digest = hashlib.sha256(body).hexdigest()
    return {
        "source": source,
        "id": f"unreadable:{digest}",
        "type": "",
        "external_id": None,
        "reason": reason,
        "signature": True,
        "body": base64.b64encode(body).decode(),
        "correlation_id": digest[:32],
        "occurred_at": now,
    }


def _may_be_signature(event_type: str) -> bool:
    """Also for a version that is not registered yet: signed.v9 carries executed terms as signed.v1 does."""
    stem = event_type.rpartition(".")[0]
    return any(known.signature and stem == known.name.rpartition(".")[0] for known in REGISTRY.values())


def _contract_id(event: CloudEvent) -> str | None:
    data = orjson.loads(event.data)
    named = data.get("contract_id") if isinstance(data, dict) else None
    return named[:120] if isinstance(named, str) and named and "\0" not in named else event.subject


def as_json(rows: Sequence[Mapping[str, object]]) -> str:
    """Decimals as texts, which PostgreSQL reads exactly."""
    return orjson.dumps(rows, default=str).decode()
