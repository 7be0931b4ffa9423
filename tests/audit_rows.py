"""Test only: an audit as it looks after some months or years of work, chained as commands would have chained it.

Deterministic for a given `rows` and `now`. Every 11th row has no contract and no legal entity.
"""

import random
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final

import psycopg

from sync_core.audit import audit
from sync_core.audit.audit import Entry
from sync_core.authority import Actor, ActorKind, person

_PEOPLE: Final = [
    person(f"{name}@meridian.example", [grant])
    for name, grant in (
        ("ada.lovelace", "operator:tax@GB01"), ("grace.hopper", "operator:finance_operations"),
        ("alan.turing", "approver@GB01+DE01"), ("mary.shelley", "administrator"), ("noor.khan", "operator:legal@DE01"),
    )
]  # fmt: skip
_ACTORS: Final = [*_PEOPLE, Actor("erp-bridge", ActorKind.PROGRAM, scopes={})]
_REASONS: Final = (
    "the customer confirmed it by mail on Monday", "rate card of the renewal was missing",
    "tax profile completed in the ERP", "agreed with the engagement partner", "",
)  # fmt: skip
_ACTIONS: Final[Mapping[str, Mapping[str, object]]] = {
    "exception.assign": {"before": {"assignee": None}, "after": {"assignee": "ada.lovelace@meridian.example"}},
    "exception.comment": {"comment": "waiting for the signed purchase order"},
    "exception.decide": {"before": {"state": "open"}, "after": {"state": "decided"}, "cause": "po_missing"},
    "correction.apply": {
        "before": {"po_number": None, "billing": {"payment_terms": "NET30", "invoice_frequency": "monthly"}},
        "after": {"po_number": "PO-7781", "billing": {"payment_terms": "NET45", "invoice_frequency": "monthly"}},
        "revision": 3,
    },
    "approval.decide": {"approved": True, "rule": "over 250k", "amount": "410000.00", "currency": "GBP"},
    "replay.confirm": {"creates": 2, "updates": 5, "money": "1250000.00", "currency": "USD"},
}
_NAMES: Final = tuple(_ACTIONS)
_ENTITIES: Final = ("US01", "GB01", "DE01")


def fill(owner_url: str, rows: int, *, now: datetime, contracts: int = 1_000, every: timedelta | None = None) -> None:
    """Into an audit without rows; `owner_url` is libpq's. The last row is of `now`, `every` after the one before it."""
    step = every or timedelta(minutes=1)
    with psycopg.connect(owner_url) as conn, conn.cursor() as cursor:
        head = (0, audit.GENESIS)
        with cursor.copy(f"COPY core.audit ({audit.COLUMNS}) FROM STDIN") as copy:
            for row in _rows(rows, now, contracts, step):
                copy.write_row(row)
                head = (row.id, row.hash)
        cursor.execute("UPDATE core.audit_head SET id = %s, hash = %s", head)
        conn.commit()
        conn.autocommit = True
        cursor.execute("VACUUM ANALYZE core.audit")


def _rows(rows: int, now: datetime, contracts: int, every: timedelta) -> Iterator[audit.Row]:
    chance, previous = random.Random(7), audit.GENESIS
    for number in range(1, rows + 1):
        actor, at = chance.choice(_ACTORS), now - every * (rows - number)
        made = audit.following(number - 1, previous, actor, [_entry(number, chance, contracts)], now=at)
        previous = made[0].hash
        yield made[0]


def _entry(number: int, chance: random.Random, contracts: int) -> Entry:
    if number % 11 == 0:
        return Entry("session.begin", "sign-in", correlation_id=f"s-{number}", detail={"issuer": "https://idp.example"})
    action = chance.choice(_NAMES)
    contract = 1 + number % contracts
    subject = f"replay {number % 97}" if action.startswith("replay") else f"exception {4000 + contract}"
    items = [["crm", f"C-{contract}"]] if action.startswith("replay") else ()
    return Entry(
        action,
        subject,
        chance.choice(_REASONS),
        contract,
        _ENTITIES[contract % 3],
        f"k-{number}",
        _ACTIONS[action],
        items,
    )
