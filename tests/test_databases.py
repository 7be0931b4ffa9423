"""The databases that tests get: templates, clones and the server they share."""

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg
import pytest

from app.postgres.embedded import Role
from tests import databases
from tests.app.embedded_homes import ask, child, gone, postmaster_pid, said
from tests.databases import DatabaseUrls
from tests.washed import Washed

STAY = """
import sys
from tests import databases
with databases.test_server(sys.argv[1]):
    print("started", flush=True)
    sys.stdin.read()
"""


def test_templates_are_built_once_and_clones_are_equal_and_separate() -> None:
    built: list[str] = []

    def build(url: str) -> None:
        built.append(url)
        with psycopg.connect(url.replace("+psycopg", "")) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
            connection.execute(f"GRANT SELECT ON kept TO {Role.APP}".encode())

    with databases.test_server("clones") as endpoint, ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: databases.template(endpoint, "estate", build), range(4))) == {"estate"}
        assert len(built) == 1
        clones = list(pool.map(lambda _: databases.clone(endpoint, "estate"), range(8)))
        with psycopg.connect(clones[0].owner_libpq) as owner:
            owner.execute("UPDATE kept SET answer = 43")
            owner.execute("CREATE TABLE other ()")
        with closing(psycopg.connect(clones[1].app_libpq)) as left_open:
            assert left_open.execute("SELECT answer FROM kept").fetchone() == (42,)
            list(pool.map(lambda database: databases.drop(endpoint, database), clones))


def test_a_template_whose_build_fails_is_built_again() -> None:
    def fail(url: str) -> None:
        raise RuntimeError(url)

    with databases.test_server("failing") as endpoint:
        with pytest.raises(RuntimeError, match="estate_unfinished"):
            databases.template(endpoint, "estate", fail)
        databases.template(endpoint, "estate", lambda url: None)
        databases.drop(endpoint, databases.clone(endpoint, "estate"))


def test_what_was_filled_is_lent_again_as_new_and_what_was_changed_otherwise_is_dropped() -> None:
    def build(url: str) -> None:
        with psycopg.connect(url.replace("+psycopg", "")) as connection:
            connection.execute("CREATE TABLE firm (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text)")
            connection.execute("CREATE TABLE place (firm int REFERENCES firm)")
            connection.execute("CREATE TABLE head AS SELECT 7 AS hash")
            connection.execute("CREATE FUNCTION open_month() RETURNS void LANGUAGE plpgsql SECURITY DEFINER"
                               " AS 'BEGIN CREATE TABLE month (); END'")  # fmt: skip
            connection.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {Role.APP}".encode())

    with (
        databases.test_server("washed") as endpoint,
        closing(Washed(endpoint, databases.template(endpoint, "firm", build))) as washed,
    ):
        filled = washed.lend()
        itself = in_it(filled, "SELECT oid FROM pg_database WHERE datname = current_database()")
        in_it(filled, "INSERT INTO firm (name) VALUES ('Acme')", "INSERT INTO place VALUES (1)")
        in_it(filled, "UPDATE head SET hash = 8")
        with closing(psycopg.connect(filled.app_libpq)) as left_open:
            left_open.execute("INSERT INTO firm (name) VALUES ('never committed')")
            washed.take_back(filled)
        again = washed.lend()
        assert again.name != filled.name
        assert in_it(again, "SELECT oid FROM pg_database WHERE datname = current_database()") == itself
        assert in_it(again, "SELECT (SELECT count(*) FROM place), hash FROM head") == [(0, 7)]
        assert in_it(again, "INSERT INTO firm (name) VALUES ('Next') RETURNING id") == [(1,)]
        in_it(again, "SELECT open_month()")
        washed.take_back(again)
        other = washed.lend()
        assert in_it(other, "SELECT oid FROM pg_database WHERE datname = current_database()") != itself
        assert in_it(other, "SELECT to_regclass('month')") == [(None,)]
        assert other.owner
        washed.take_back(other)
        assert ask(endpoint, f"SELECT count(*) FROM pg_database WHERE datname = '{other.name}'") == 0


def in_it(database: DatabaseUrls, *statements: str) -> list[tuple[object, ...]]:
    """With the application's rights; the rows of the last statement, if it has any."""
    with psycopg.connect(database.app_libpq) as app:
        for statement in statements:
            cursor = app.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def test_the_last_user_of_the_test_server_removes_it() -> None:
    run = f"shared-{os.getpid()}"
    place = databases.home_of(run)
    with child(STAY, run) as other:
        assert said(other) == "started"
        with databases.test_server(run) as endpoint:
            pid = postmaster_pid(place / "home")
            other.communicate()
            assert ask(endpoint, "SELECT 1") == 1
    assert gone(pid)
    assert not place.exists()


def test_what_a_killed_run_left_is_removed_by_the_next() -> None:
    run = f"killed-{os.getpid()}"
    place = databases.home_of(run)
    with child(STAY, run) as other:
        assert said(other) == "started"
        pid = postmaster_pid(place / "home")
        other.kill()
        other.communicate()
    with databases.test_server(f"next-{os.getpid()}"):
        assert gone(pid)
        assert not place.exists()
