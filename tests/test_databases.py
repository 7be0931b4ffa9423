"""The databases that tests get: templates, clones and the server they share."""

import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from app.postgres.embedded import Role
from tests import databases
from tests.app.embedded_homes import ask, child, gone, postmaster_pid, said

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


def test_the_last_user_of_the_test_server_removes_it() -> None:
    run = f"shared-{os.getpid()}"
    place = Path(tempfile.gettempdir()) / f"tieline-tests-{run}"
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
    place = Path(tempfile.gettempdir()) / f"tieline-tests-{run}"
    with child(STAY, run) as other:
        assert said(other) == "started"
        pid = postmaster_pid(place / "home")
        other.kill()
        other.communicate()
    with databases.test_server(f"next-{os.getpid()}"):
        assert gone(pid)
        assert not place.exists()
