"""The running server of a data directory: is it alive and really ours, start it, stop it, keep its log short.

A pid file proves nothing: after a crash or a restarted container its pid may be anyone's. A postmaster is ours
when the process of that pid is a postgres that works in our directory. Linux tells by /proc, others by ps.
"""

import os
import signal
import subprocess
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from subprocess import CompletedProcess

from app.postgres.cluster import Cluster
from app.postgres.errors import OldProcessesRemain, StartTimedOut, StopTimedOut, failure_in, telling_line

_PROC = Path("/proc")
_KEPT_LOG_BYTES = 10_000_000

# No system has this pid (Linux ends at 2^22), so postgres sees that the recorded server is gone.
_NOBODY = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Postmaster:
    """A live server of ours. `port` is None until it takes connections, and again once it shuts down."""

    pid: int
    port: int | None


def find_postmaster(data_dir: Path) -> Postmaster | None:
    """The live server of this directory, ready or not, or None."""
    lines = _pid_file_lines(data_dir)
    if not lines or not lines[0].strip().isdecimal():
        return None
    pid = int(lines[0])
    if not _serves(pid, data_dir):
        return None
    ready = len(lines) > 7 and lines[7].strip() == "ready"
    return Postmaster(pid, int(lines[3]) if ready else None)


def launch(cluster: Cluster, *, port: int, timeout_s: float) -> None:
    """Starts the server and returns when it takes connections. The caller has made sure that none is alive.

    Raises the error that the server's own words amount to, or StartTimedOut while it may still be recovering.
    """
    _disarm_pid_file(cluster.data_dir)
    seen = cluster.log.stat().st_size if cluster.log.exists() else 0
    done = _pg_ctl(cluster, "-l", cluster.log, "start", timeout_s=timeout_s)
    if done.returncode == 0:
        return
    said = _read(cluster.log)[seen:].decode(errors="replace") or done.stdout
    if "did not start in time" in done.stdout:
        raise StartTimedOut(timeout_s, telling_line(said))
    raise failure_in(said, data_dir=cluster.data_dir, port=port)


def halt(cluster: Cluster, *, timeout_s: float) -> None:
    """Fast shutdown: sessions are ended, what is committed is kept. The caller knows that the server is ours."""
    done = _pg_ctl(cluster, "-m", "fast", "stop", timeout_s=timeout_s)
    # a server that died while it was told to stop is stopped
    if done.returncode != 0 and find_postmaster(cluster.data_dir) is not None:
        raise StopTimedOut(timeout_s, telling_line(done.stdout))


def await_leftovers(data_dir: Path, *, grace_s: float, timeout_s: float) -> None:
    """Waits until no child of a dead postmaster is left; after `grace_s` kills those in a long statement.

    Killing is safe, because crash recovery comes next anyhow. Without /proc nothing is seen here and the
    server's own check of its shared memory decides (`launch` raises OldProcessesRemain).
    """
    began = time.monotonic()
    while left := _children_without_parent(data_dir):
        waited = time.monotonic() - began
        if waited > timeout_s:
            raise OldProcessesRemain(data_dir)
        if waited > grace_s:
            for pid in left:
                _kill(pid)
        time.sleep(0.02)


def shorten_log(cluster: Cluster) -> None:
    """Keeps the last full log as server.log.1 and empties the file; the server appends, so it needs no signal."""
    if not cluster.log.exists() or cluster.log.stat().st_size <= _KEPT_LOG_BYTES:
        return
    former = cluster.data_dir / "server.log.1"
    former.unlink(missing_ok=True)
    with os.fdopen(os.open(former, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as copy:
        if cluster.account.switch:
            os.fchown(copy.fileno(), cluster.account.uid, cluster.account.gid)
        copy.write(_read(cluster.log))
    with os.fdopen(os.open(cluster.log, os.O_WRONLY | os.O_NOFOLLOW), "wb") as log:
        log.truncate(0)


def last_words(cluster: Cluster) -> str:
    return telling_line(_read(cluster.log)[-4000:].decode(errors="replace")) if cluster.log.exists() else "nothing"


def _pg_ctl(cluster: Cluster, *action: str | Path, timeout_s: float) -> CompletedProcess[str]:
    command: list[str | Path] = [cluster.binaries.program("pg_ctl"), "-D", cluster.data_dir]
    waiting = ("-w", "-t", str(max(1, round(timeout_s))))
    # it ends by itself at its own limit; ours is only for a disk that hangs
    return cluster.account.run([*command, *waiting, *action], timeout_s=timeout_s + 30)


def _serves(pid: int, data_dir: Path) -> bool:
    arguments = _arguments(pid)
    if not arguments or Path(arguments[0]).name != "postgres" or "--single" in arguments:
        return False
    # -D may be spelled differently by who started it by hand, and the working directory is set a little later.
    named = any(flag == "-D" and Path(value) == data_dir for flag, value in pairwise(arguments))
    return named or _works_in(pid, data_dir)


def _works_in(pid: int, data_dir: Path) -> bool:
    try:
        return (_PROC / str(pid) / "cwd").readlink() == data_dir
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False  # it ended, or it is another account's and so not ours


def _arguments(pid: int) -> list[str]:
    """Empty when there is no such process, or it is a zombie."""
    if (_PROC / "self").exists():
        try:
            parts = (_PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            return []
        return [os.fsdecode(part) for part in parts if part]
    listed = subprocess.run(  # noqa: S603 (a number is its only variable part)
        ["/bin/ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    program, _, data_dir = listed.stdout.strip().partition(" -D ")
    return [program, "-D", data_dir] if program else []


def _children_without_parent(data_dir: Path) -> list[int]:
    if not (_PROC / "self").exists():
        return []
    here = [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdecimal()]
    here = [pid for pid in here if _works_in(pid, data_dir)]
    return [pid for pid in here if "".join(_arguments(pid)[:1]).startswith("postgres: ")]


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _disarm_pid_file(data_dir: Path) -> None:
    """Makes a stale pid file harmless when its pid lives on as some other process or as a zombie.

    postgres would take that process for a server. The file stays, because its last lines name the shared memory
    by which postgres recognises children that are left. An empty file, what a full disk leaves, has none.
    The lock beside the socket holds the same pid and nothing else of use.
    """
    for socket_lock in data_dir.glob(".s.PGSQL.*.lock"):
        socket_lock.unlink()
    path = data_dir / "postmaster.pid"
    lines = _pid_file_lines(data_dir)
    if not any(line.strip() for line in lines):
        path.unlink(missing_ok=True)
        return
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW), "w") as file:
        file.write("\n".join([str(_NOBODY), *lines[1:]]) + "\n")


def _pid_file_lines(data_dir: Path) -> list[str]:
    try:
        return _read(data_dir / "postmaster.pid").decode(errors="replace").splitlines()
    except FileNotFoundError:
        return []


def _read(path: Path) -> bytes:
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
        return file.read()
