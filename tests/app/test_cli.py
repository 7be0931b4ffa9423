"""The command line as a person or a script uses it: real processes, exit codes, one sentence on stderr."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg

from app.cli.refusals import MEANINGS, Exit
from app.home import Home
from app.postgres.embedded import Endpoint, Role
from tests.databases import DatabaseUrls

TIELINE = (sys.executable, "-P", "-m", "app.cli.main")
DEADLINE_S = 60
COMMANDS = (
    "up", "web", "api", "dashboard", "worker", "sandbox", "status", "database-url", "link", "migrate", "version",
)  # fmt: skip


def environment(home: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TIELINE_", "DATABASE_"))}
    return {**kept, "TIELINE_HOME": str(home), "TIELINE_PORT": "0", "COLUMNS": "200", **more}


def tieline(home: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*TIELINE, *arguments],
        env=environment(home, **more),
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


def refused(done: subprocess.CompletedProcess[str], code: Exit, *words: str) -> None:
    """One sentence on stderr, no traceback, and its exit code."""
    assert (done.returncode, done.stderr.count("\n")) == (code, 1), done.stderr
    assert done.stderr.startswith("tieline: ")
    for word in words:
        assert word in done.stderr


def test_help_explains_every_command_and_every_exit_code(tmp_path: Path) -> None:
    shown = " ".join(tieline(tmp_path, "--help").stdout.split())
    for command in [
        "up",
        "web",
        "api",
        "dashboard",
        "worker",
        "sandbox",
        "status",
        "database-url",
        "link",
        "migrate",
        "version",
    ]:
        assert re.search(rf"\b{command} [A-Z]", shown), command
    for code, meaning in MEANINGS.items():
        assert f"{code.value}: {meaning}." in shown


def test_a_wrong_database_url_is_named(tmp_path: Path) -> None:
    refused(tieline(tmp_path, "status", DATABASE_URL="mysql://x"), Exit.SETTINGS, "DATABASE_URL", "postgresql://")


def test_a_database_that_is_down_is_named_without_its_password(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    done = tieline(tmp_path / "home", "up", DATABASE_URL=f"postgresql://me:hidden@127.0.0.1:{port}/x")
    refused(done, Exit.DATABASE_DOWN, "cannot be reached", "DATABASE_URL")
    assert "hidden" not in done.stderr


def test_a_wrong_password_is_told_from_a_database_that_is_down(tmp_path: Path, database_urls: DatabaseUrls) -> None:
    wrong = re.sub(r":[^:@]+@", ":wrong@", database_urls.app_libpq)
    refused(tieline(tmp_path, "status", DATABASE_URL=wrong), Exit.DATABASE_REFUSED, "password authentication failed")


def test_a_home_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused(tieline(tmp_path / "file" / "home", "up"), Exit.HOME, str(tmp_path / "file"))


def test_a_taken_port_is_named_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = tieline(tmp_path / "home", "up", "--port", str(port))
    refused(done, Exit.PORT_TAKEN, f"Port {port}", "--port")
    assert not (tmp_path / "home" / "postgres").exists()


def test_a_second_up_says_which_one_runs(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.prepare()
    with home.held():
        home.note_running(pid=4711, url="http://127.0.0.1:8099")
        refused(tieline(home.path, "up"), Exit.ALREADY_RUNNING, "4711", "http://127.0.0.1:8099")


def test_without_a_database_the_next_step_is_told(tmp_path: Path) -> None:
    refused(tieline(tmp_path, "link"), Exit.DATABASE_DOWN, "tieline up")


def test_the_owner_of_an_external_database_is_not_told(tmp_path: Path, database_urls: DatabaseUrls) -> None:
    external = {"DATABASE_URL": database_urls.app_libpq}
    assert tieline(tmp_path, "database-url", **external).stdout.strip() == database_urls.app_libpq
    refused(tieline(tmp_path, "database-url", "--owner", **external), Exit.NOT_OURS)


def test_a_database_without_tables_is_refused_until_it_is_migrated(tmp_path: Path, server: Endpoint) -> None:
    with empty_database(server, "cli_migrate") as urls:
        refused(tieline(tmp_path, "link", **urls), Exit.DATABASE_REFUSED, "tieline migrate")
        for _ in range(2):
            assert tieline(tmp_path, "migrate", **urls).returncode == 0
        told = json.loads(tieline(tmp_path, "status", "--json", **urls).stdout)
    assert told["states"] == dict.fromkeys(told["states"], 0)
    assert (told["active"], told["workers"], told["quarantine"], told["lanes"]) == (0, 0, 0, [])


def test_up_runs_everything_lets_its_owner_in_and_stops_in_seconds(tmp_path: Path, server: Endpoint) -> None:
    with empty_database(server, "cli_up") as urls, running(tmp_path / "home", urls) as (process, lines):
        url = re.search(r"(http://127\.0\.0\.1:\d+)(/enter\?t=\S+)", lines[-1])
        assert url is not None, lines
        with httpx.Client(base_url=url[1], trust_env=False, timeout=20) as browser:
            assert browser.get("/").status_code == 401
            assert browser.get(url[2]).status_code == 303
            assert browser.get("/").status_code == 200
            assert browser.get(url[2]).status_code == 401
            assert browser.get("/v1/schemas").status_code == 200
        for line in process.stdout or ():
            if "provisioned as they come" in line:
                break
        told = json.loads(tieline(tmp_path / "home", "status", "--json", **urls).stdout)
        while told["workers"] == 0:  # it has just been started; pytest's own limit ends a wait in vain
            told = json.loads(tieline(tmp_path / "home", "status", "--json", **urls).stdout)
        assert (told["workers"], [lane["lane"] for lane in told["lanes"]]) == (1, ["cloud", "legacy"])
        another = tieline(tmp_path / "home", "link", **urls).stdout
        assert another.startswith(f"{url[1]}/enter?t=")
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_S) == 0
        assert time.monotonic() - began < 15
        with psycopg.connect(urls["DATABASE_URL"]) as connection:
            left = connection.execute("SELECT count(*) FROM core.worker").fetchone()
            slots = connection.execute("SELECT count(*) FROM core.lane_slot WHERE worker_id IS NOT NULL").fetchone()
    assert (left, slots) == ((0,), (0,))


@contextmanager
def running(home: Path, urls: Mapping[str, str]) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """`tieline up --no-demo`, until it has printed its link."""
    command = [*TIELINE, "up", "--no-demo"]
    with subprocess.Popen(command, env=environment(home, **urls), stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            lines = []
            for line in process.stdout:
                lines.append(line)
                if "/enter?t=" in line:
                    break
            yield process, lines
        finally:
            process.terminate()


@contextmanager
def empty_database(server: Endpoint, name: str) -> Iterator[dict[str, str]]:
    with psycopg.connect(server.libpq_url(Role.OWNER, "postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
        try:
            yield {
                "DATABASE_URL": server.libpq_url(Role.APP, name),
                "TIELINE_DATABASE_OWNER_URL": server.libpq_url(Role.OWNER, name),
            }
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
