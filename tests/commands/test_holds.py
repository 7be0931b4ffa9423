"""Legal holds and retention: what ended long ago goes, whatever is held stays, and so does the audit."""

import threading
from datetime import timedelta

import pytest
import sqlalchemy as sa

from metrics.asking import Ask, Window
from metrics.source import Source
from sync_core.audit import retention
from sync_core.audit.audit import items_root
from sync_core.audit.reading import verify_database
from sync_core.authority import Forbidden, person
from sync_core.clock import VirtualClock
from sync_core.commands.desk import Desk, InvalidInput, NotFound
from sync_core.commands.holds import Holds
from sync_core.reads import HoldFilter, Reads
from sync_core.reads.snapshot import snapshot
from tests import rows
from tests.databases import DatabaseUrls
from tests.metrics.support import caught_up

ADMIN = person("mary@example.com", ["administrator"])
LIMITED = person("mary@example.com", ["administrator@DE01"])
BEFORE = rows.NOW - timedelta(days=30)
CLOCK = VirtualClock(rows.NOW)


@pytest.fixture
def firm(database_urls: DatabaseUrls, database: sa.Engine) -> sa.Engine:
    """The application's engine; 500 contracts, of which 30 ended, 27 or so of them long ago."""
    rows.seed(database_urls.owner, 500)
    return database


@pytest.fixture
def owner(database_urls: DatabaseUrls) -> sa.Engine:
    return sa.create_engine(database_urls.owner, poolclass=sa.NullPool)


def holds(engine: sa.Engine) -> Holds:
    return Holds(Desk(engine, CLOCK, rows.estate()))


def ended(engine: sa.Engine) -> list[int]:
    with engine.connect() as conn:
        which = "SELECT contract_id FROM core.contract WHERE state = 'ended' AND state_since < :before ORDER BY 1"
        return list(conn.scalars(sa.text(which), {"before": BEFORE}))


def apply(owner: sa.Engine, *, batch: int = 10) -> retention.Deleted:
    return retention.apply(owner, ADMIN, before=BEFORE, reason="seven years are over", clock=CLOCK, batch=batch)


def test_a_hold_is_placed_once_listed_and_released(firm: sa.Engine) -> None:
    first, second, *_ = ended(firm)
    placed = holds(firm).place(ADMIN, [first, second], "litigation in Leeds")
    again = holds(firm).place(ADMIN, [first, first + 1], "litigation in Leeds")
    assert (len(placed.hold_ids), len(again.hold_ids), again.held_before) == (2, 1, (first,))
    with pytest.raises(InvalidInput, match="already"):
        holds(firm).place(ADMIN, [first], "once more")
    holds(firm).release(ADMIN, [placed.hold_ids[0]], "settled out of court")
    with pytest.raises(InvalidInput, match="released before"):
        holds(firm).release(ADMIN, [placed.hold_ids[0]], "settled out of court")
    reads = Reads(firm, clock=CLOCK, estate=rows.estate())
    assert {row.contract_id for row in reads.holds().rows} == {second, first + 1}
    released = reads.holds(HoldFilter(contract_id=first, released=True)).rows
    assert [(row.released_by, row.reason) for row in released] == [("mary@example.com", "litigation in Leeds")]
    with firm.connect() as conn:
        actions = list(conn.scalars(sa.text("SELECT action || ' ' || items FROM core.audit ORDER BY id")))
    assert actions == ["hold.place 2", "hold.place 1", "hold.release 1"]


def test_holds_are_for_those_who_may_and_within_reach(firm: sa.Engine) -> None:
    with firm.connect() as conn:
        british = conn.scalar(sa.text("SELECT min(contract_id) FROM core.contract WHERE legal_entity = 'GB01'"))
    with pytest.raises(Forbidden):
        holds(firm).place(person("ada@example.com", ["operator"]), [british], "because")
    with pytest.raises(NotFound):
        holds(firm).place(LIMITED, [british], "because")
    placed = holds(firm).place(ADMIN, [british], "because")
    with pytest.raises(NotFound):
        holds(firm).release(LIMITED, placed.hold_ids, "because")
    with pytest.raises(NotFound, match="no contract 99999999"):
        holds(firm).place(ADMIN, [british, 99_999_999], "because")


def test_every_table_that_names_a_contract_is_either_retained_or_kept(firm: sa.Engine) -> None:
    with firm.connect() as conn:
        naming = set(conn.scalars(sa.text("""
            SELECT DISTINCT table_name FROM information_schema.columns
            WHERE table_schema = 'core' AND column_name IN ('contract_id', 'case_id', 'external_id', 'run_id')
        """)))  # fmt: skip
    assert naming == {*retention.RECORDS, *retention.KEPT}


def test_a_preview_counts_what_then_goes_and_deletes_nothing(firm: sa.Engine, owner: sa.Engine) -> None:
    going = ended(firm)
    holds(firm).place(ADMIN, going[:2], "litigation in Leeds")
    with firm.connect() as conn:
        shown = retention.preview(conn, before=BEFORE)
    assert (shown.contracts, shown.held, len(shown.held_ids)) == (len(going) - 2, 2, 2)
    assert ended(firm) == going
    done = apply(owner)
    assert (done.contracts, done.held, dict(done.rows)) == (shown.contracts, 2, dict(shown.rows))
    assert done.rows["event"] > done.rows["contract"] > 20
    assert ended(firm) == going[:2]


def test_held_contracts_keep_everything_and_the_audit_stays_whole(firm: sa.Engine, owner: sa.Engine) -> None:
    held, *others = ended(firm)
    holds(firm).place(ADMIN, [held], "litigation in Leeds")
    before = _records(firm, held)
    assert before["event"] > 0
    assert before["progress"] > 0
    apply(owner)
    assert _records(firm, held) == before
    assert not any(_records(firm, others[0]).values())
    assert verify_database(owner, []).whole
    with firm.connect() as conn:
        entries = conn.execute(
            sa.text("""
            SELECT items, items_root FROM core.audit WHERE action = 'retention.apply' ORDER BY id""")
        ).all()
    assert sum(row.items for row in entries) == len(others)
    assert all(len(row.items_root) == 32 for row in entries)


def test_the_root_of_a_batch_is_over_its_contracts_keys(firm: sa.Engine, owner: sa.Engine) -> None:
    with firm.connect() as conn:
        keys = conn.execute(sa.text("""
            SELECT source, external_id FROM core.contract WHERE contract_id = ANY(:ids) ORDER BY contract_id
        """), {"ids": ended(firm)}).all()  # fmt: skip
    apply(owner, batch=1_000)
    with firm.connect() as conn:
        root = conn.scalar(sa.text("SELECT items_root FROM core.audit WHERE action = 'retention.apply'"))
    assert bytes(root) == items_root([list(key) for key in keys])


def test_contracts_with_an_open_exception_in_work_or_locked_stay(firm: sa.Engine, owner: sa.Engine) -> None:
    open_case, in_work, locked, *others = ended(firm)
    with owner.begin() as conn:
        conn.execute(sa.text("""
            INSERT INTO core.case (contract_id, cause, error_class, function, severity, message, state, opened_at,
                                   seen_at)
            VALUES (:id, 'drift', 'drift', 'tax', 'high', 'look', 'open', :now, :now)
        """), {"id": open_case, "now": rows.NOW})  # fmt: skip
        conn.execute(sa.text("UPDATE core.contract SET lease_owner = 1 WHERE contract_id = :id"), {"id": in_work})
    with firm.begin() as conn:
        conn.execute(sa.text("SELECT 1 FROM core.contract WHERE contract_id = :id FOR SHARE"), {"id": locked})
        assert apply(owner).contracts == len(others)
    assert ended(firm) == [open_case, in_work, locked]


def test_a_hold_placed_while_retention_runs_is_honoured(firm: sa.Engine, owner: sa.Engine) -> None:
    """Both at once, over and over: a contract that has a hold in the end has its records too."""
    wanted = ended(firm)
    placing = threading.Thread(target=_place_each, args=(firm, wanted))
    placing.start()
    apply(owner, batch=2)
    placing.join()
    with firm.connect() as conn:
        held = list(conn.scalars(sa.text("SELECT contract_id FROM core.legal_hold ORDER BY 1")))
    assert set(held) <= set(ended(firm))
    assert all(_records(firm, one)["event"] for one in held)


def _place_each(engine: sa.Engine, wanted: list[int]) -> None:
    for one in reversed(wanted):
        try:
            holds(engine).place(ADMIN, [one], "litigation in Leeds")
        except NotFound:
            continue  # it went before the hold came


def test_the_application_may_not_delete_records_itself(firm: sa.Engine) -> None:
    with pytest.raises(sa.exc.ProgrammingError, match="permission denied"):
        apply(firm)
    with pytest.raises(Forbidden):
        retention.apply(firm, person("ada@example.com", ["operator"]), before=BEFORE, reason="x", clock=CLOCK)


def _records(engine: sa.Engine, contract_id: int) -> dict[str, int]:
    with engine.connect() as conn:
        return {
            table: conn.scalar(sa.text(f"SELECT count(*) FROM core.{table} WHERE {which}"), {"ids": [contract_id]}) or 0
            for table, which in retention.RECORDS.items()
        }


def test_what_retention_deletes_counts_no_more_with_the_next_refresh(firm: sa.Engine, owner: sa.Engine) -> None:
    clock, estate = VirtualClock(rows.NOW), rows.estate()
    caught_up(firm, clock, estate)
    going = ended(firm)
    open_facts = sa.text("SELECT count(*) FROM metrics.contract_fact WHERE known_to IS NULL AND contract_id = ANY(:i)")
    counted = sa.text("SELECT sum(n) FROM metrics.cell WHERE level = 0 AND measure = 'contract.provisioned'")
    with firm.connect() as conn:
        assert conn.scalar(open_facts, {"i": going}) > 0
        before = conn.scalar(counted)
    assert apply(owner).contracts > 0
    left = ended(firm)  # with an open exception
    gone = sorted(set(going) - set(left))
    clock.advance(timedelta(minutes=1))
    caught_up(firm, clock, estate)
    with firm.connect() as conn:
        assert conn.scalar(open_facts, {"i": gone}) == 0
        assert conn.scalar(counted) < before
        measures = sorted(conn.scalars(sa.text("SELECT DISTINCT measure FROM metrics.cell")))
    with snapshot(firm) as conn:
        window = Window.weeks(rows.NOW, "Europe/London", 60)
        latest = Source(conn, Ask(window), estate=estate)
        past = Source(conn, Ask(window, as_of=latest.known_at), estate=estate)
        assert sorted(map(repr, latest.cells(measures))) == sorted(map(repr, past.cells(measures)))
