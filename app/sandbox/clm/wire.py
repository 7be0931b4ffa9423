"""JSON of the sandbox CLM: dataclasses to JSON values, and the CloudEvents 1.0 envelope.

Amounts go out as JSON numbers. A float carries up to 15 significant digits exactly, more than any contract here.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum

import orjson
from pydantic import JsonValue

from app.sandbox.clm.changes import Change

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"


def jsonable(value: object) -> JsonValue:
    """Dataclasses as objects, dates and moments as ISO 8601 text, decimals as numbers."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str):
        return value.value if isinstance(value, StrEnum) else value
    return _composite(value)


def _composite(value: object) -> JsonValue:
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: jsonable(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(item) for item in value]
    raise TypeError(f"{type(value).__name__} has no JSON form here; pass dataclasses, dates, decimals or text")


def moment(at: datetime) -> str:
    """RFC 3339 in UTC with a Z."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def envelope(change: Change, revision: int, *, source: str, at: datetime, seed: int) -> bytes:
    """The change as a structured CloudEvent. Id and trace are made from content, so a seed gives the same bytes."""
    event_id = f"{change.contract_id}.r{revision}"
    trace = hashlib.blake2b(f"{seed}/{event_id}".encode(), digest_size=24).hexdigest()
    return orjson.dumps(
        {
            "specversion": "1.0",
            "id": event_id,
            "source": source,
            "type": change.event_type,
            "subject": change.contract_id,
            "time": moment(at),
            "datacontenttype": "application/json",
            "dataschema": f"urn:{change.event_type}",
            "traceparent": f"00-{trace[:32]}-{trace[32:]}-01",
            "data": {"contract_id": change.contract_id, "revision": revision, **change.body},
        }
    )
