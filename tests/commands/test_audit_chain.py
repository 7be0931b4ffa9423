"""The audit's chain: rows follow each other without a gap, whoever writes at the same time."""

import threading
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from sync_core.audit import audit
from sync_core.authority import Permission, person
from sync_core.clock import VirtualClock
from sync_core.commands.desk import Act, Desk, KeyReused, Once
from tests.rows import estate

NOW = datetime(2026, 11, 25, 9, tzinfo=UTC)
ADA = person("ada@example.com", ["operator:tax"])
ENTRY = audit.Entry("exception.comment", "exception 7", "because", detail={"b": 1, "a": "<b>\x00"})


def desk(database: sa.Engine) -> Desk:
    return Desk(database, VirtualClock(NOW), estate())


def note(act: Act) -> dict[str, int]:
    act.note(ENTRY)
    return {"done": 1}


def test_rows_of_many_writers_form_one_chain(database: sa.Engine) -> None:
    one = desk(database)
    writers = [
        threading.Thread(target=lambda: [one.run(ADA, Permission.EXCEPTIONS_WRITE, note) for _ in range(10)])
        for _ in range(4)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    with database.connect() as conn:
        rows = conn.execute(sa.text(f"SELECT {audit.COLUMNS} FROM core.audit ORDER BY id")).mappings().all()
    assert [row["id"] for row in rows] == list(range(1, 41))
    previous = audit.GENESIS
    for row in rows:
        assert bytes(row["previous"]) == previous
        assert audit.digest(row) == bytes(row["hash"])
        previous = bytes(row["hash"])


def test_a_repeated_key_gets_the_first_answer_and_does_nothing(database: sa.Engine) -> None:
    one, once = desk(database), Once("k-1", b"first")
    first = one.run_once(ADA, Permission.EXCEPTIONS_WRITE, once, note)
    again = one.run_once(ADA, Permission.EXCEPTIONS_WRITE, once, note)
    assert (first.body, first.repeated, again.body, again.repeated) == (b'{"done":1}', False, b'{"done":1}', True)
    with pytest.raises(KeyReused):
        one.run_once(ADA, Permission.EXCEPTIONS_WRITE, Once("k-1", b"other"), note)
    with database.connect() as conn:
        assert conn.scalar(sa.text("SELECT count(*) FROM core.audit")) == 1


def test_the_application_can_neither_change_nor_delete_audit_rows(database: sa.Engine) -> None:
    desk(database).run(ADA, Permission.EXCEPTIONS_WRITE, note)
    for statement in ("UPDATE core.audit SET actor = 'x'", "DELETE FROM core.audit", "TRUNCATE core.audit"):
        with pytest.raises(sa.exc.ProgrammingError, match="permission denied"), database.begin() as conn:
            conn.execute(sa.text(statement))
