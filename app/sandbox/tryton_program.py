"""trytond's two programs, run as processes of ours: `trytond-admin` to completion, `trytond` until stopped.

A process started here dies with the one that started it, even when that one is killed. On Linux the kernel
sees to it (PR_SET_PDEATHSIG, sent when the *thread* that started it ends, so start it from one that lives);
elsewhere, and after a lost race, the next start finds the old one by its configuration file and ends it.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

# Sets the parent-death signal, then becomes the program: the pid we hold is the program's own.
BECOME = """
import ctypes, os, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, 15)
    if os.getppid() != int(sys.argv[1]):
        sys.exit("The process that started this one has ended.")
os.execv(sys.argv[2], sys.argv[2:])
"""
STOP_S = 10

# Tryton's web server writes a line per request on its own accord; the log would grow without end.
LOGGING = """\
[loggers]
keys = root, requests
[handlers]
keys = console
[formatters]
keys = line
[logger_root]
level = ERROR
handlers = console
[logger_requests]
level = WARNING
handlers =
qualname = werkzeug
[handler_console]
class = StreamHandler
formatter = line
args = (sys.stderr,)
[formatter_line]
format = %(asctime)s %(levelname)s %(name)s %(message)s
"""


class TrytonStartError(RuntimeError):
    """Tryton could not be made or started; the message says what to do next."""


def free_port() -> int:
    """A loopback port that nobody listens on now; another process may still take it first."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class TrytonProgram:
    """Runs the programs in `programs`, by default those beside this interpreter, with one configuration file."""

    def __init__(self, home: Path, *, programs: Path = Path(sys.executable).parent) -> None:
        self._programs = programs
        self.config = home / "trytond.conf"
        self._logging = home / "logging.conf"
        self._log = home / "trytond.log"
        self._admin_log = home / "trytond-admin.log"
        self._pid = home / "trytond.pid"
        self._password = home / "admin-password"
        self._server: subprocess.Popen[bytes] | None = None

    def _command(self, name: str, arguments: Sequence[str]) -> list[str]:
        program = self._programs / name
        if not program.exists():
            raise TrytonStartError(f"{name} is not installed. Install with: pip install tieline[tryton]")
        become = [sys.executable, "-c", BECOME, str(os.getpid())]
        return [*become, str(program), "-c", str(self.config), *arguments]

    def _environment(self) -> dict[str, str]:
        """Nothing of ours: TRYTOND_* would override the configuration, PYTHONPATH shadow its modules."""
        kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT") if name in os.environ}
        return {**kept, "TZ": "UTC", "LANG": "C.UTF-8", "TRYTONPASSFILE": str(self._password)}

    def administer(self, arguments: Sequence[str], *, password: str, timeout_s: float) -> None:
        """Run trytond-admin; `password` becomes the one of the user admin."""
        command = self._command("trytond-admin", arguments)
        self._password.touch(mode=0o600)
        self._password.write_text(password + "\n")
        try:
            with self._admin_log.open("wb") as log:
                subprocess.run(  # noqa: S603 - a program of ours with arguments of ours
                    command,
                    check=True,
                    env=self._environment(),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    timeout=timeout_s,
                )
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as failed:
            raise TrytonStartError(f"trytond-admin failed. {_last_words(self._admin_log)}") from failed
        finally:
            self._password.unlink()

    def serve(self, database: str) -> None:
        """Start trytond; returns at once, before it listens."""
        self._logging.write_text(LOGGING)
        command = self._command("trytond", ["-d", database, "--logconf", str(self._logging)])
        with self._log.open("wb") as log:
            self._server = subprocess.Popen(  # noqa: S603 - as above
                command, env=self._environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self._pid.write_text(str(self._server.pid))

    @property
    def pid(self) -> int | None:
        return self._server.pid if self._server else None

    def ended_within(self, seconds: float) -> bool:
        """Wait that long at most; True as soon as the server has ended by itself."""
        if self._server is None:
            return True
        try:
            self._server.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def stop(self) -> None:
        """End the server and wait until it is gone. Harmless when none runs."""
        if self._server is None:
            return
        self._server.terminate()
        if not self.ended_within(STOP_S):
            self._server.kill()
            self._server.wait()
        self._server = None
        self._pid.unlink(missing_ok=True)

    def end_stale(self) -> None:
        """End a server that an earlier run of this home left behind; never a process that is not ours."""
        try:
            pid = int(self._pid.read_text())
        except (FileNotFoundError, ValueError):
            return
        deadline = time.monotonic() + STOP_S
        while str(self.config) in _command_line(pid):
            late = time.monotonic() > deadline
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL if late else signal.SIGTERM)
            time.sleep(0.05)
        self._pid.unlink(missing_ok=True)

    def last_words(self) -> str:
        """The end of the server's log, for an error message."""
        return _last_words(self._log)


def _last_words(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return f"Its log {log} ends: {' | '.join(lines[-3:])}" if lines else f"Its log is {log}."


def _command_line(pid: int) -> str:
    """Empty for a process that is gone; a zombie has none either."""
    command = ["ps", "-ww", "-o", "command=", "-p", str(pid)]
    asked = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - a number of ours
    return asked.stdout.strip()
