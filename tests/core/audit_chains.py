"""Test only: chains of audit rows made in memory, and the ways in which somebody might tamper with them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sync_core.audit.audit import GENESIS, Row, content_of, link
from sync_core.audit.verify import Head

START = datetime(2026, 11, 25, 9, tzinfo=UTC)


def row(number: int, previous: bytes, *, actor: str = "ada@example.com") -> Row:
    bare = Row(
        id=number,
        occurred_at=START + timedelta(seconds=number),
        actor=actor,
        actor_kind="person",
        roles="operator:tax",
        action="exception.assign",
        subject=f"exception {number}",
        reason="she knows the customer",
        contract_id=number,
        legal_entity="GB01",
        correlation_id=f"k-{number}",
        detail='{"after":"bob","before":null}',
        items=1,
        items_root=bytes([number % 251]) * 32,
        previous=previous,
        hash=b"",
    )
    return sealed(bare)


def sealed(one: Row) -> Row:
    """With the hash of its content behind the `previous` that it names."""
    return one._replace(hash=link(one.previous, content_of(one)))


def chain(length: int) -> list[Row]:
    rows: list[Row] = []
    for number in range(1, length + 1):
        rows.append(row(number, rows[-1].hash if rows else GENESIS))
    return rows


def relinked(rows: Sequence[Row], start: int) -> list[Row]:
    """All hashes from place `start` on made anew, as somebody would who can write to the database and knows how."""
    made = list(rows[:start])
    for one in rows[start:]:
        made.append(sealed(one._replace(previous=made[-1].hash if made else GENESIS)))
    return made


def head(rows: Sequence[Row]) -> Head:
    return Head(rows[-1].id, rows[-1].hash) if rows else Head(0, GENESIS)
