"""Whoever can write to the database cannot make the audit say something else unnoticed: each way is found and named."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from sync_core.audit import audit
from sync_core.audit import checkpoint as audit_checkpoint
from sync_core.audit.checkpoint import Checkpoint, InvalidCheckpoint, Signer
from sync_core.audit.reading import verify_database
from sync_core.audit.verify import Finding, Flaw
from sync_core.authority import person
from tests.databases import DatabaseUrls

NOW = datetime(2026, 11, 25, 9, tzinfo=UTC)
ADA = person("ada@example.com", ["operator:tax@GB01"])
ROWS = 10
SIGNER = Signer.parse("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")

CHANGES = {
    "occurred_at": "occurred_at + interval '1 microsecond'",
    "actor": "overlay(actor placing 'A' from 1)",
    "actor_kind": "overlay(actor_kind placing 'P' from 1)",
    "roles": "overlay(roles placing 'O' from 1)",
    "action": "overlay(action placing 'E' from 1)",
    "subject": "overlay(subject placing 'E' from 1)",
    "reason": "overlay(reason placing 'B' from 1)",
    "contract_id": "contract_id + 1",
    "legal_entity": "overlay(legal_entity placing 'g' from 1)",
    "correlation_id": "overlay(correlation_id placing 'K' from 1)",
    "detail": "overlay(detail placing ' ' from 2)",
    "items": "items + 1",
    "items_root": "set_byte(items_root, 0, get_byte(items_root, 0) # 1)",
    "previous": "set_byte(previous, 31, get_byte(previous, 31) # 1)",
    "hash": "set_byte(hash, 31, get_byte(hash, 31) # 1)",
}


@pytest.fixture
def owner(database_urls: DatabaseUrls, database: sa.Engine) -> sa.Engine:
    """The owner's engine on a database with ROWS audit rows, with more than one in one command."""
    for number in range(1, ROWS + 1, 2):
        with database.begin() as conn:
            audit.append(conn, ADA, [_entry(number), _entry(number + 1)], now=NOW + timedelta(seconds=number))
    return sa.create_engine(database_urls.owner, poolclass=sa.NullPool)


def _entry(number: int) -> audit.Entry:
    detail = {"before": None, "after": number}
    return audit.Entry("exception.assign", f"exception {number}", "because", number, "GB01", f"k-{number}", detail, [1])


def run(owner: sa.Engine, *statements: str, **values: object) -> None:
    with owner.begin() as conn:
        for statement in statements:
            text = sa.text(statement)
            conn.execute(text, {name: values[name] for name in text.compile().params})


def checkpoint(owner: sa.Engine, row_id: int) -> Checkpoint:
    with owner.connect() as conn:
        hashed = conn.scalar(sa.text("SELECT hash FROM core.audit WHERE id = :id"), {"id": row_id})
    return audit_checkpoint.make(SIGNER, last_id=row_id, last_hash=bytes(hashed), rows=row_id, now=NOW)


def found(owner: sa.Engine, *checkpoints: Checkpoint) -> Finding:
    finding = verify_database(owner, list(checkpoints)).finding
    assert finding is not None
    return finding


def test_what_commands_wrote_is_whole(owner: sa.Engine) -> None:
    verdict = verify_database(owner, [checkpoint(owner, 4), checkpoint(owner, ROWS)])
    assert (verdict.whole, verdict.rows, verdict.last, verdict.checkpoints) == (True, ROWS, ROWS, 2)


def test_every_column_but_the_id_has_its_change() -> None:
    assert {"id", *CHANGES} == set(audit.Row._fields)


@pytest.mark.parametrize("row_id", [1, 5, ROWS])
@pytest.mark.parametrize("column", CHANGES)
def test_one_byte_changed_in_any_column_is_named(owner: sa.Engine, column: str, row_id: int) -> None:
    run(owner, f"UPDATE core.audit SET {column} = {CHANGES[column]} WHERE id = :id", id=row_id)
    assert (found(owner).flaw, found(owner).row_id) == (Flaw.CHANGED, row_id)
    assert f"row {row_id} was changed" in found(owner).message


def test_a_changed_id_is_named(owner: sa.Engine) -> None:
    run(owner, "UPDATE core.audit SET id = id # 256 WHERE id = 10")
    assert (found(owner).flaw, found(owner).row_id) == (Flaw.MOVED, 266)
    assert found(owner).message == "row 266 was moved: it is row 10"


def test_a_time_that_python_cannot_hold_is_named(owner: sa.Engine) -> None:
    run(owner, "UPDATE core.audit SET occurred_at = 'infinity' WHERE id = 3")
    assert (found(owner).flaw, found(owner).row_id) == (Flaw.CHANGED, 3)


def test_a_head_set_beyond_all_rows_does_not_keep_the_verification_from_its_end(owner: sa.Engine) -> None:
    flip = "previous = set_byte(previous, 0, get_byte(previous, 0) # 1)"
    run(owner, f"UPDATE core.audit SET subject = 'another', {flip} WHERE id = 4")
    run(owner, "UPDATE core.audit_head SET id = 9223372036854775807")
    assert (found(owner).flaw, found(owner).row_id) == (Flaw.CHANGED, 4)


@pytest.mark.parametrize(
    ("row_id", "flaw", "named"), [(1, Flaw.MISSING, 1), (5, Flaw.MISSING, 5), (10, Flaw.CUT_OFF, 9)]
)
def test_a_deleted_row_is_named(owner: sa.Engine, row_id: int, flaw: Flaw, named: int) -> None:
    run(owner, "DELETE FROM core.audit WHERE id = :id", id=row_id)
    assert (found(owner).flaw, found(owner).row_id) == (flaw, named)


def test_all_rows_deleted_are_named(owner: sa.Engine) -> None:
    run(owner, "DELETE FROM core.audit")
    assert found(owner).message == f"the tail was cut off after row 0: core.audit_head saw row {ROWS}"


def test_two_swapped_rows_are_named(owner: sa.Engine) -> None:
    swap = "UPDATE core.audit SET id = CASE id WHEN -4 THEN 7 WHEN -7 THEN 4 END WHERE id IN (-4, -7)"
    run(owner, "UPDATE core.audit SET id = -id WHERE id IN (4, 7)", swap)
    assert (found(owner).flaw, found(owner).row_id) == (Flaw.MOVED, 4)
    assert "it is row 7" in found(owner).message


@pytest.mark.parametrize("place", [4, ROWS + 1])
def test_an_added_row_is_named_though_its_hash_fits(owner: sa.Engine, place: int) -> None:
    with owner.begin() as conn:
        columns = sa.text(f"SELECT {audit.COLUMNS} FROM core.audit WHERE id = :id")
        before = conn.execute(columns, {"id": place - 1}).mappings().one()
        fields = {**before, "id": place, "reason": "made up", "previous": before["hash"]}
        conn.execute(sa.text("UPDATE core.audit SET id = -id - 1 WHERE id >= :place"), {"place": place})
        conn.execute(sa.text("UPDATE core.audit SET id = -id WHERE id < 0"))
        made_up = audit.Row(**{**fields, "hash": audit.digest(fields)})
        conn.execute(sa.text(f"INSERT INTO core.audit VALUES ({', '.join(f':{c}' for c in audit.Row._fields)})"),
                     made_up._asdict())  # fmt: skip
    assert (found(owner).flaw, found(owner).row_id) == (Flaw.ADDED, place)


def test_a_change_whose_hash_was_recomputed_is_named(owner: sa.Engine) -> None:
    recompute(owner, start=6, until=6)
    assert (found(owner).flaw, found(owner).row_id) == (Flaw.CHANGED, 6)
    assert "its hash recomputed: row 7 remembers another" in found(owner).message


def test_a_tail_cut_off_with_the_head_rewritten_is_found_by_a_checkpoint(owner: sa.Engine) -> None:
    outside = checkpoint(owner, ROWS)
    run(
        owner,
        "DELETE FROM core.audit WHERE id > 6",
        "UPDATE core.audit_head SET (id, hash) = (SELECT id, hash FROM core.audit WHERE id = 6)",
    )
    assert verify_database(owner, []).whole
    assert found(owner, outside).message == f"the tail was cut off after row 6: a signed checkpoint saw row {ROWS}"


def test_a_chain_rewritten_to_its_head_is_found_by_a_checkpoint(owner: sa.Engine) -> None:
    early, late = checkpoint(owner, 4), checkpoint(owner, 8)
    recompute(owner, start=6, until=ROWS)
    run(owner, "UPDATE core.audit_head SET (id, hash) = (SELECT id, hash FROM core.audit WHERE id = :id)", id=ROWS)
    assert verify_database(owner, []).whole
    assert (found(owner, early, late).flaw, found(owner, early, late).row_id) == (Flaw.REWRITTEN, 8)
    assert "a row from 5 to 8" in found(owner, early, late).message


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE core.audit_head SET hash = set_byte(hash, 0, get_byte(hash, 0) # 1)", "do not agree"),
        ("UPDATE core.audit_head SET id = id - 1", "the head was set back"),
        ("UPDATE core.audit_head SET id = id + 1", "cut off after row 10: core.audit_head saw row 11"),
        ("DELETE FROM core.audit_head", "core.audit_head has no row"),
    ],
)
def test_a_changed_head_is_found(owner: sa.Engine, statement: str, words: str) -> None:
    run(owner, statement)
    assert words in found(owner).message


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace('"id": 10', '"id": 9'),
        lambda text: text.replace('"rows": 10', '"rows": 11'),
        lambda text: text.replace("2026-11-25", "2026-11-24"),
        lambda text: text.replace('"hash": "', '"hash": "00')[:-1],
        lambda text: text.replace(SIGNER.public.id, "0123456789abcdef"),
        lambda text: text[:40],
        lambda text: "[]",
    ],
)
def test_a_changed_checkpoint_is_refused(owner: sa.Engine, change: Callable[[str], str]) -> None:
    keys = {SIGNER.public.id: SIGNER.public}
    made = checkpoint(owner, ROWS)
    assert audit_checkpoint.read(made.text, keys, name="x") == made
    with pytest.raises(InvalidCheckpoint, match=r"^checkpoint x "):
        audit_checkpoint.read(change(made.text), keys, name="x")


def recompute(owner: sa.Engine, *, start: int, until: int) -> None:
    """Change row `start`, then make all hashes up to `until` fit again, as an insider with the code could."""
    with owner.begin() as conn:
        conn.execute(sa.text("UPDATE core.audit SET reason = 'nothing' WHERE id = :id"), {"id": start})
        for row_id in range(start, until + 1):
            columns = sa.text(f"SELECT {audit.COLUMNS} FROM core.audit WHERE id = :id")
            row = dict(conn.execute(columns, {"id": row_id}).mappings().one())
            if row_id > start:
                previous = sa.text("SELECT hash FROM core.audit WHERE id = :id")
                row["previous"] = conn.scalar(previous, {"id": row_id - 1})
            conn.execute(
                sa.text("UPDATE core.audit SET previous = :previous, hash = :hash WHERE id = :id"),
                {"id": row_id, "previous": row["previous"], "hash": audit.digest(row)},
            )
