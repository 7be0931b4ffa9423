"""The request of one event: CloudEvents 1.0, structured, signed by Standard Webhooks with every valid secret."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson
import sqlalchemy as sa

from sync_core.intake.signatures import SigningKey, sign

CONTENT_TYPE: Final = "application/cloudevents+json"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A row of core.outgoing; `data` is JSON as stored."""

    seq: int
    id: str
    type: str
    subject: str
    occurred_at: datetime
    recorded_at: datetime
    data: str

    @classmethod
    def of(cls, row: sa.Row[Any]) -> "Outgoing":
        return cls(row.seq, row.id, row.type, row.subject, row.occurred_at, row.recorded_at, row.data)


def body(event: Outgoing, *, source: str, base_url: str) -> bytes:
    """The same in every attempt. `sequence` rises, with gaps; extensions are those that CloudEvents documents."""
    return orjson.dumps(
        {
            "specversion": "1.0",
            "id": event.id,
            "source": source,
            "type": event.type,
            "subject": event.subject,
            "time": event.occurred_at.astimezone(UTC),
            "datacontenttype": "application/json",
            "dataschema": f"{base_url}/v1/schemas/{event.type}",
            "sequence": f"{event.seq:020}",
            "recordedtime": event.recorded_at.astimezone(UTC),
            "data": orjson.Fragment(event.data),
        },
        option=orjson.OPT_UTC_Z,
    )


def headers(event: Outgoing, content: bytes, *, keys: Sequence[SigningKey], at: datetime) -> dict[str, str]:
    """Of one attempt. `keys`: at least one, newest first."""
    signed = [sign(content, webhook_id=event.id, at=at, key=key) for key in keys]
    signatures = " ".join(one["webhook-signature"] for one in signed)
    return {**signed[0], "webhook-signature": signatures, "content-type": CONTENT_TYPE, "user-agent": "Tieline"}
