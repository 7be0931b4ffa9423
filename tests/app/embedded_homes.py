"""Homes with an embedded PostgreSQL for its tests, and the questions and kills those need."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from app.postgres.embedded import EmbeddedPostgres, Endpoint, Role
from app.postgres.home import read_record
from tests import databases

QUICK = databases.TEST_SETTINGS
ROOT = Path(__file__).resolve().parents[2]
AS_ROOT = os.geteuid() == 0

START = """
import sys
from pathlib import Path
from app.postgres.embedded import EmbeddedPostgres
EmbeddedPostgres(Path(sys.argv[1]), settings={"fsync": "off"}).start()
print("started", flush=True)
sys.stdin.read()
"""


@contextmanager
def new_home() -> Iterator[Path]:
    """A home that holds nothing yet; at the end its server is stopped and all of it deleted."""
    # pytest's tmp_path is below a directory of mode 0700, which the server's account cannot reach under root
    base = Path(tempfile.mkdtemp(prefix="tieline-home-", dir=databases.root()))
    base.chmod(0o711)
    yield base / "home"
    server(base / "home").destroy()
    shutil.rmtree(base)


@contextmanager
def made_home() -> Iterator[Path]:
    """A home with a database and no server: to be copied, which is quicker than to make one."""
    with new_home() as home:
        server(home).start()
        server(home).stop(attached_too=True)
        yield home


@contextmanager
def copied(made: Path) -> Iterator[Path]:
    with new_home() as home:
        subprocess.run(["cp", "-Rp", str(made), str(home)], check=True)
        yield home


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
