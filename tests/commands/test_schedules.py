"""Jobs that people run now, pause and let go on: what is refused, and what the audit says."""

import orjson
import pytest
import sqlalchemy as sa

from sync_core.authority import Forbidden, Permission, person, program
from sync_core.clock import VirtualClock
from sync_core.commands.desk import Changed, CommandRefused, InvalidInput, NotFound
from sync_core.locks import Lock
from sync_core.reads.reads import Reads
from sync_core.reads.schedules import Schedule
from sync_core.schedules import lock_key
from tests import rows
from tests.commands.people import ADMINISTRATOR, EVERYTHING, audited, commands
from tests.rows import NOW

_DECLARE = sa.text("INSERT INTO core.schedule (job, every_s, declared_at) VALUES (:job, 60, :now)")


@pytest.fixture
def declared(database: sa.Engine) -> sa.Engine:
    with database.begin() as conn:
        conn.execute(_DECLARE, [{"job": job, "now": NOW} for job in ("measures", "poll:crm")])
    return database


def one(engine: sa.Engine, job: str = "measures") -> Schedule:
    found = Reads(engine, clock=VirtualClock(NOW), estate=rows.estate()).schedules()
    return next(each for each in found if each.job == job)


def test_a_paused_job_has_no_next_run_and_goes_on_when_it_is_told_to(declared: sa.Engine) -> None:
    desk = commands(declared).schedules
    paused = desk.pause(ADMINISTRATOR, "measures", "the ERP is moved tonight", version=1)
    assert (paused.paused, paused.version) == (True, 2)
    shown = one(declared)
    assert (shown.next_at, shown.paused_by, shown.pause_reason) == (
        None, "admin@example.com", "the ERP is moved tonight",
    )  # fmt: skip
    assert one(declared, "poll:crm").next_at == NOW.replace(minute=1)
    with pytest.raises(CommandRefused, match=r"was paused by admin@example\.com"):
        desk.pause(ADMINISTRATOR, "measures", "once more")
    resumed = desk.resume(ADMINISTRATOR, "measures", "it is moved", version=2)
    assert (resumed.paused, resumed.version) == (False, 3)
    assert one(declared).next_at == NOW.replace(minute=1)
    with pytest.raises(CommandRefused, match="is not paused"):
        desk.resume(ADMINISTRATOR, "measures", "once more")
    assert [(row["action"], row["subject"], row["reason"]) for row in audited(declared)] == [
        ("schedule.pause", "job measures", "the ERP is moved tonight"),
        ("schedule.resume", "job measures", "it is moved"),
    ]
    assert orjson.loads(audited(declared)[1]["detail"])["was_paused"] is True


def test_a_run_is_asked_for_once(declared: sa.Engine) -> None:
    desk = commands(declared).schedules
    assert desk.run_now(ADMINISTRATOR, "measures", "figures for the board").wanted
    assert (one(declared).wanted_at, one(declared).wanted_by) == (NOW, "admin@example.com")
    with pytest.raises(CommandRefused, match="was asked for at 06:00:00 UTC"):
        desk.run_now(ADMINISTRATOR, "measures", "figures for the board")
    assert desk.run_now(ADMINISTRATOR, "poll:crm", "another job is no matter").wanted


def test_a_run_is_refused_while_the_job_runs(declared: sa.Engine) -> None:
    """By its lock, not by a row: a host that died leaves a row without an end, and no lock."""
    with declared.begin() as conn:
        conn.execute(
            sa.text("INSERT INTO core.job_run (job, scheduled_for, started_at) VALUES ('measures', :now, :now)"),
            {"now": NOW},
        )
    desk = commands(declared).schedules
    assert not one(declared).running
    key = {"class": Lock.JOB.value, "key": lock_key("measures")}
    with declared.connect() as running:
        running.execute(sa.text("SELECT pg_advisory_lock(:class, :key)"), key)
        assert one(declared).running
        assert not one(declared, "poll:crm").running
        with pytest.raises(CommandRefused, match="runs just now; wait until it has ended"):
            desk.run_now(ADMINISTRATOR, "measures", "hurry")
        running.execute(sa.text("SELECT pg_advisory_unlock(:class, :key)"), key)
    assert desk.run_now(ADMINISTRATOR, "measures", "hurry").wanted


def test_who_may_not_and_what_there_is_not(declared: sa.Engine) -> None:
    desk = commands(declared).schedules
    with pytest.raises(Forbidden):
        desk.pause(EVERYTHING, "measures", "an operator is no administrator")
    with pytest.raises(NotFound):
        desk.pause(person("uk@example.com", ["administrator@GB01"]), "measures", "jobs are of the whole firm")
    for unknown in ("measure", "\0", "x" * 300):
        with pytest.raises(NotFound, match="there is no scheduled job"):
            desk.run_now(ADMINISTRATOR, unknown, "whatever it is")
    with pytest.raises(InvalidInput, match="say why"):
        desk.pause(ADMINISTRATOR, "measures", " ")
    with pytest.raises(Changed):
        desk.pause(ADMINISTRATOR, "measures", "out of date", version=7)
    assert audited(declared) == []
    bare = program("reader", [Permission.CONTRACTS_READ], entities=None)
    with pytest.raises(Forbidden):
        Reads(declared, clock=VirtualClock(NOW), estate=rows.estate()).within(bare).schedules()
