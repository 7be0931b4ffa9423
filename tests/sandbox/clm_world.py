"""Contracts and a receiver in memory to test the sandbox CLM with."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime

import orjson

from app.sandbox.clm.changes import Change, ChangeKind
from app.sandbox.clm.webhooks import Delivery, DeliveryFailed, Target
from tests.sandbox.clm_process import SECRET

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
TARGET = Target("https://tieline.example/v1/events", SECRET)
TERMS: dict[str, object] = {
    "title": "Pricing review",
    "customer": {"code": "CUST-0001", "name": "Corvane Energy Inc."},
    "legal_entity": "MA-US",
    "service_line": "Strategy",
    "geography": "North America",
    "currency": "USD",
    "value": 12000.5,
    "starts_on": "2026-03-09",
    "ends_on": "2026-06-30",
    "billing": {"kind": "milestones", "payment_terms": "NET30"},
    "milestones": [{"key": "M1", "name": "Report", "amount": 12000.5, "due_on": "2026-06-30"}],
}


def draft(contract_id: str) -> Change:
    return Change(contract_id, ChangeKind.DRAFTED, orjson.loads(orjson.dumps({"terms": TERMS})))


class Inbox:
    """A receiver in memory: answers what it is told to, in order, then 202."""

    def __init__(self, *answers: int) -> None:
        self._answers = list(answers)
        self.got: list[Delivery] = []
        self.attempts: list[Delivery] = []

    async def send(self, delivery: Delivery) -> int:
        self.attempts.append(delivery)
        answer = self._answers.pop(0) if self._answers else 202
        if answer == 0:
            raise DeliveryFailed("nobody there; it is retried")
        if answer < 300:
            self.got.append(delivery)
        return answer

    def ids(self) -> list[str]:
        return [orjson.loads(delivery.body)["id"] for delivery in self.got]


def signed_right(delivery: Delivery) -> bool:
    headers = delivery.headers
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + delivery.body
    mac = hmac.new(base64.b64decode(SECRET.removeprefix("whsec_")), content, hashlib.sha256).digest()
    return headers["webhook-signature"] == f"v1,{base64.b64encode(mac).decode()}"
