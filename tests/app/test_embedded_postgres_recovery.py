"""The embedded PostgreSQL after kills and losses: real signals on real processes."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from app.postgres import errors
from app.postgres.account import account_for
from app.postgres.embedded import Role
from app.postgres.home import record_path
from tests.app.embedded_homes import (
    AS_ROOT,
    START,
    ask,
    child,
    copied,
    gone,
    kill,
    made_home,
    new_home,
    postmaster_pid,
    said,
    server,
    wait_until,
)


@pytest.fixture
def fresh() -> Iterator[Path]:
    with new_home() as home:
        yield home


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    with made_home() as home:
        yield home


@pytest.fixture
def home(made: Path) -> Iterator[Path]:
    with copied(made) as home:
        yield home


def test_a_killed_postmaster_is_restarted_with_what_was_committed(home: Path) -> None:
    postgres = server(home)
    endpoint = postgres.start()
    assert postgres.ensure() is False
    ask(endpoint, "CREATE TABLE kept AS SELECT 42 AS answer")
    with closing(psycopg.connect(endpoint.libpq_url(Role.OWNER))) as uncommitted:
        uncommitted.execute("INSERT INTO kept VALUES (43)")
        kill(postmaster_pid(home))
        assert postgres.ensure() is True

    assert postgres.start() == endpoint
    assert ask(endpoint, "SELECT array_agg(answer) FROM kept") == [42]
    assert postgres.ensure() is False


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="the children are found by /proc")
def test_a_child_that_outlives_its_postmaster_is_ended(home: Path) -> None:
    postgres = server(home)
    endpoint = postgres.start()
    with psycopg.connect(endpoint.libpq_url(Role.OWNER)) as session:
        backend = session.info.backend_pid
        os.kill(backend, signal.SIGSTOP)  # a stopped process neither ends nor lets go of the shared memory
        kill(postmaster_pid(home))
        assert postgres.ensure() is True
        wait_until(lambda: gone(backend))
    assert ask(endpoint, "SELECT 1") == 1


def test_a_stale_pid_file_with_the_pid_of_another_program_fools_nobody(home: Path) -> None:
    postgres = server(home)
    endpoint = postgres.start()
    pid_file = home / "postgres" / "postmaster.pid"
    pid = postmaster_pid(home)
    lines = pid_file.read_text().splitlines()
    kill(pid)
    account = account_for(home / "postgres")
    # of the server's own account: only such a pid can postgres take for a server
    sleeper = subprocess.Popen(["sleep", "60"], user=account.uid if AS_ROOT else None, cwd="/")
    with sleeper:
        for stale in (pid_file, home / "postgres" / f".s.PGSQL.{endpoint.port}.lock"):
            stale.write_text("\n".join([str(sleeper.pid), *lines[1:]]) + "\n")
        assert not postgres.running()
        assert postgres.stop(attached_too=True) is False
        assert postgres.ensure() is True
        assert ask(postgres.start(), "SELECT 1") == 1
        assert postmaster_pid(home) != sleeper.pid
        assert sleeper.poll() is None
        sleeper.kill()


def test_an_empty_pid_file_does_not_stop_a_start(home: Path) -> None:
    postgres = server(home)
    postgres.start()
    postgres.stop()
    (home / "postgres" / "postmaster.pid").touch()
    assert ask(postgres.start(), "SELECT 1") == 1


def test_the_server_survives_the_kill_of_its_parent(home: Path) -> None:
    with child(START, home) as parent:
        assert said(parent) == "started"
        pid = postmaster_pid(home)
        parent.kill()
        parent.communicate()
    postgres = server(home)
    assert ask(postgres.start(), "SELECT 1") == 1
    assert postmaster_pid(home) == pid


def test_a_creation_that_was_killed_half_way_is_done_again(fresh: Path) -> None:
    with child(START, fresh) as parent:
        wait_until(lambda: any(fresh.glob("postgres.new-*/base")))
        parent.kill()
        parent.communicate()
    assert not (fresh / "postgres").exists()
    assert ask(server(fresh).start(), "SELECT 1", Role.APP) == 1


def test_lost_passwords_are_set_anew_and_the_data_stays(home: Path) -> None:
    postgres = server(home)
    endpoint = postgres.start()
    ask(endpoint, "CREATE TABLE kept AS SELECT 42 AS answer")
    record_path(home).unlink()
    again = server(home).start()
    assert again.passwords != endpoint.passwords
    assert ask(again, "SELECT answer FROM kept") == 42

    record = record_path(home).read_text()
    record_path(home).write_text(record.replace(again.passwords[Role.OWNER], "wrong"))
    with pytest.raises(errors.CredentialsRefused, match="empty its `passwords`"):
        server(home).start()
    record_path(home).write_text(record)


def test_a_vanished_database_is_not_replaced_by_an_empty_one(home: Path) -> None:
    postgres = server(home)
    postgres.start()
    postgres.stop()
    shutil.rmtree(home / "postgres")
    with pytest.raises(errors.DataMissing, match=r"delete .*postgres\.json to begin with an empty one"):
        postgres.start()
