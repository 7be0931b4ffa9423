"""The embedded PostgreSQL with real servers, real kills and real ports."""

import os
import pickle
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from app import embedded_postgres_errors as errors
from app.embedded_postgres import EmbeddedPostgres, Endpoint, Role
from app.embedded_postgres_account import account_for
from app.embedded_postgres_cluster import SETTINGS
from app.embedded_postgres_home import read_record, record_path
from tests import databases

QUICK = databases.TEST_SETTINGS
ROOT = Path(__file__).resolve().parents[2]
AS_ROOT = os.geteuid() == 0

START = """
import sys
from pathlib import Path
from app.embedded_postgres import EmbeddedPostgres
EmbeddedPostgres(Path(sys.argv[1]), settings={"fsync": "off"}).start()
print("started", flush=True)
sys.stdin.read()
"""

STAY = """
import sys
from tests import databases
with databases.test_server(sys.argv[1]):
    print("started", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def base() -> Iterator[Path]:
    # pytest's tmp_path is below a directory of mode 0700, which the server's account cannot reach under root
    directory = Path(tempfile.mkdtemp(prefix="tieline-home-")).resolve()
    directory.chmod(0o711)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def new_home(base: Path) -> Iterator[Path]:
    home = base / "home"
    yield home
    server(home).destroy()


@pytest.fixture(scope="module")
def stopped() -> Iterator[Path]:
    """A home whose database was made and whose server is stopped: to be copied, which is quicker than to make one."""
    directory = Path(tempfile.mkdtemp(prefix="tieline-home-")).resolve()
    directory.chmod(0o711)
    postgres = server(directory / "home")
    postgres.start()
    postgres.stop()
    yield directory / "home"
    shutil.rmtree(directory)


@pytest.fixture
def home(new_home: Path, stopped: Path) -> Path:
    subprocess.run(["cp", "-Rp", str(stopped), str(new_home)], check=True)
    return new_home


def server(home: Path, *, port: int | None = None) -> EmbeddedPostgres:
    return EmbeddedPostgres(home, port=port, settings=QUICK, fallback=home.parent / "fallback", timeout_s=30)


def ask(endpoint: Endpoint, query: str, role: Role = Role.OWNER) -> object:
    with psycopg.connect(endpoint.libpq_url(role), autocommit=True) as connection:
        cursor = connection.execute(query.encode())
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


def postmaster_pid(home: Path) -> int:
    data_dir = Path(read_record(home).place or home) / "postgres"
    return int((data_dir / "postmaster.pid").read_text().split()[0])


def wait_until(claim: Callable[[], bool], *, timeout_s: float = 20) -> None:
    deadline = time.monotonic() + timeout_s
    while not claim():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.01)


def gone(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    if Path("/proc/self").exists():
        return not stat.exists() or stat.read_text().rpartition(") ")[2].startswith("Z")
    return subprocess.run(["ps", "-p", str(pid)], capture_output=True, check=False).returncode != 0


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: gone(pid))


def child(script: str, argument: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, str(argument)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_a_new_home_gets_a_server_with_two_roles_and_no_superuser_on_tcp(new_home: Path) -> None:
    endpoint = EmbeddedPostgres(new_home).start()

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
    assert record_path(new_home).stat().st_mode & 0o777 == 0o600
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


def test_of_two_starts_at_once_one_makes_the_database_and_the_other_attaches(new_home: Path) -> None:
    with child(START, new_home) as one, child(START, new_home) as two:
        assert [said(one), said(two)] == ["started", "started"]
        one.communicate()
        two.communicate()
    postgres = server(new_home)
    pid = postmaster_pid(new_home)
    postgres.start()
    assert postmaster_pid(new_home) == pid
    assert (new_home / "postgres" / "server.log").read_text().count("starting PostgreSQL") == 1


def test_the_server_survives_the_kill_of_its_parent(home: Path) -> None:
    with child(START, home) as parent:
        assert said(parent) == "started"
        pid = postmaster_pid(home)
        parent.kill()
        parent.communicate()
    postgres = server(home)
    assert ask(postgres.start(), "SELECT 1") == 1
    assert postmaster_pid(home) == pid


def test_a_creation_that_was_killed_half_way_is_done_again(new_home: Path) -> None:
    with child(START, new_home) as parent:
        wait_until(lambda: any(new_home.glob("postgres.new-*/base")))
        parent.kill()
        parent.communicate()
    assert not (new_home / "postgres").exists()
    assert ask(server(new_home).start(), "SELECT 1", Role.APP) == 1


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
def test_a_home_and_programs_that_the_account_cannot_reach_are_placed_elsewhere(new_home: Path) -> None:
    new_home.mkdir(mode=0o700)
    postgres = server(new_home)
    ask(postgres.start(), "CREATE TABLE kept AS SELECT 42 AS answer")
    place = Path(read_record(new_home).place)
    assert place.parent == new_home.parent / "fallback"
    assert (place / "home").read_text().strip() == str(new_home)
    assert not (new_home / "postgres").exists()
    postgres.stop()
    assert ask(server(new_home).start(), "SELECT answer FROM kept") == 42

    server(new_home).destroy()
    assert not place.exists()


@pytest.mark.skipif(not AS_ROOT, reason="only root runs the server as another account")
def test_a_home_and_a_fallback_out_of_reach_are_an_error(base: Path) -> None:
    closed = base / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(errors.PermissionRefused, match="reaches neither this directory nor"):
        EmbeddedPostgres(closed / "home", fallback=closed / "fallback").start()


ERRORS = (
    errors.EmbeddedPostgresError("x"),
    errors.BinariesMissing("x"),
    errors.DiskFull(Path("/x")),
    errors.PortTaken(1),
    errors.VersionMismatch(Path("/x"), "17", "18"),
    errors.PermissionRefused(Path("/x"), "y"),
    errors.StartTimedOut(1.0, "y"),
    errors.StopTimedOut(1.0, "y"),
    errors.StartFailed(Path("/x"), "y"),
    errors.OldProcessesRemain(Path("/x")),
    errors.DataMissing(Path("/x"), Path("/y")),
    errors.CredentialsRefused(Path("/x")),
)


def test_every_error_has_its_own_code_and_survives_pickling() -> None:
    kinds = {errors.EmbeddedPostgresError, *errors.EmbeddedPostgresError.__subclasses__()}
    assert {type(error) for error in ERRORS} == kinds
    assert len({error.code for error in ERRORS}) == len(ERRORS)
    for error in ERRORS:
        copied = pickle.loads(pickle.dumps(error))
        assert (type(copied), str(copied), vars(copied)) == (type(error), str(error), vars(error))


@pytest.mark.parametrize(
    ("output", "kind"),
    [
        ('FATAL:  could not write to file "pg_wal/x": No space left on device', errors.DiskFull),
        ('LOG:  could not bind IPv4 address "127.0.0.1": Address already in use', errors.PortTaken),
        ("FATAL:  pre-existing shared memory block (key 1, ID 2) is still in use", errors.OldProcessesRemain),
        ('FATAL:  could not open file "global/pg_control": Permission denied', errors.PermissionRefused),
        ("FATAL:  something else", errors.StartFailed),
    ],
)
def test_the_words_of_postgres_become_an_error_with_a_name(output: str, kind: type[Exception]) -> None:
    assert type(errors.failure_in(output, data_dir=Path("/x"), port=1)) is kind


def test_a_full_disk_met_by_our_own_writing_is_named() -> None:
    with pytest.raises(errors.DiskFull), errors.os_errors_named(Path("/x")):
        Path("/dev/full").write_text("x")


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
