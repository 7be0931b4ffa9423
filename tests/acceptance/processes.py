"""Tieline's parts and sandbox systems as processes of their own, started by the commands that a user types.

Every part holds the end of a pipe of ours, as under `tieline up`: it ends with the test run, even one that is killed.
What a process said goes to a file; it is printed when the test around it fails.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import TracebackType

import psycopg

from tests import command_line
from tests.databases import DatabaseUrls

TIELINE = (sys.executable, "-P", "-m", "app.cli.main")
_WITH_LIFELINE = """
import runpy, sys
from app.processes import end_with_supervisor
module, lifeline = sys.argv.pop(1), sys.argv.pop(1)
end_with_supervisor(int(lifeline))
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""
_STOP_S = 20.0
_LOOK_EVERY_S = 0.05
_SHOWN_LINES = 40


class Process:
    """One process. `kill` is kill -9; `pause` and `go_on` are SIGSTOP and SIGCONT."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        *,
        environment: Mapping[str, str] | None = None,
        fds: Sequence[int] = (),
        speaks: bool = False,
    ) -> None:
        """`speaks`: it says on its first line of stdout where it is, see `first_line`."""
        self.name, self._log, self.ended = name, log, False
        with log.open("ab") as said:
            self._popen = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if speaks else said,
                stderr=said,
                env=environment,
                pass_fds=fds,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._popen.pid

    def first_line(self) -> bytes:
        """Waits for it; empty when the process ended without a word."""
        assert self._popen.stdout is not None
        return self._popen.stdout.readline()

    def died(self) -> bool:
        """Ended, and not by us."""
        return not self.ended and self._popen.poll() is not None

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        self._popen.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._popen.send_signal(signal.SIGCONT)

    def ask_to_stop(self) -> None:
        if not self.ended:
            self._popen.send_signal(signal.SIGTERM)
            self.go_on()

    def stop(self) -> None:
        """Politely; raises TimeoutExpired for one that does not end, after killing it."""
        if self.ended:
            return
        self.go_on()
        try:
            self._end(signal.SIGTERM)
        except subprocess.TimeoutExpired:
            self._end(signal.SIGKILL)
            raise

    def ends(self, *, within_s: float = 30.0) -> int:
        """By itself; the exit code. Raises TimeoutExpired for one that does not."""
        code = self._popen.wait(within_s)
        self.ended = True
        return code

    def _end(self, number: signal.Signals) -> None:
        self._popen.send_signal(number)
        self._popen.wait(_STOP_S)
        self.ended = True
        if self._popen.stdout is not None:
            self._popen.stdout.close()

    def last_words(self) -> str:
        lines = self._log.read_text(errors="replace").splitlines()[-_SHOWN_LINES:]
        return "\n".join([f"---- {self.name} ({self.pid})", *lines])


class House(AbstractContextManager["House"]):
    """One installation: a database, an estate file, a home, and every process that a test started in it."""

    def __init__(self, place: Path, urls: DatabaseUrls, secrets: Mapping[str, str], *, lease_s: float = 60.0) -> None:
        self.place, self.urls, self.processes = place, urls, list[Process]()
        self.estate = place / "estate.toml"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("TIELINE_", "DATABASE_"))}
        self._environment = {
            **kept,
            **secrets,
            "TIELINE_HOME": str(place / "home"),
            "TIELINE_ESTATE": str(self.estate),
            "TIELINE_WORKER_LEASE_S": f"{lease_s:g}",
            "DATABASE_URL": urls.app_libpq,
        }
        self._database = psycopg.connect(urls.app_libpq, autocommit=True)
        self._lifeline, self._held = os.pipe()
        self._doors: list[socket.socket] = []

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            print("\n".join(process.last_words() for process in self.processes))
        with ExitStack() as stack:
            stack.callback(self._database.close)
            for handle in (self._lifeline, self._held):
                stack.callback(os.close, handle)
            for door in self._doors:
                stack.callback(door.close)
            for process in self.processes:
                stack.callback(process.stop)
            for process in self.processes:
                process.ask_to_stop()

    # ---- processes -------------------------------------------------------------------------------------------

    def start(self, name: str, module: str, *options: str) -> Process:
        """A system around Tieline, `python -m module`; it gets nothing of Tieline's settings but the lifeline."""
        command = [sys.executable, "-P", "-c", _WITH_LIFELINE, module, str(self._lifeline), *options]
        process = Process(name, command, self._log(name), fds=(self._lifeline,), speaks=True)
        self.processes.append(process)
        return process

    def api(self) -> str:
        """`tieline api`; its URL. It listens here already, so a caller waits until it runs."""
        return self._listening("api")

    def web(self) -> str:
        """`tieline web`; its URL, which it knows as its public one. A caller waits until it runs."""
        return self._listening("web")

    def _listening(self, command: str) -> str:
        door = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self._doors.append(door)
        url = f"http://127.0.0.1:{door.getsockname()[1]}"
        fds = json.dumps({"web": door.fileno()})
        self._tieline(command, fds=(door.fileno(),), TIELINE_LISTEN_FDS=fds, TIELINE_PUBLIC_URL=url)
        return url

    def worker(self) -> Process:
        return self._tieline("worker")

    def workers(self, count: int) -> list[Process]:
        return [self.worker() for _ in range(count)]

    def _tieline(self, command: str, *, fds: tuple[int, ...] = (), **more: str) -> Process:
        environment = {**self._environment, "TIELINE_LIFELINE_FD": str(self._lifeline), **more}
        process = Process(
            command,
            [*TIELINE, command],
            self._log(command),
            environment=environment,
            fds=(self._lifeline, *fds),
        )
        self.processes.append(process)
        return process

    def _log(self, name: str) -> Path:
        return self.place / f"{name}-{len(self.processes)}.log"

    def ask(self, *arguments: str) -> str:
        """What a command prints; raises CalledProcessError when it fails."""
        done = command_line.run(arguments, self._environment)
        sys.stderr.write(done.stderr)
        done.check_returncode()
        return done.stdout.strip()

    def status(self) -> dict[str, object]:
        told: dict[str, object] = json.loads(self.ask("status", "--json"))
        return told

    # ---- what the database says ------------------------------------------------------------------------------

    def rows(self, sql: str, *values: object) -> list[tuple[object, ...]]:
        return self._database.execute(sql.encode(), values).fetchall()

    def number(self, sql: str, *values: object) -> int:
        return int(str(self.rows(sql, *values)[0][0]))

    def states(self) -> dict[str, str]:
        return {str(name): str(state) for name, state in self.rows("SELECT external_id, state FROM core.contract")}

    def all_are(self, state: str, count: int) -> bool:
        """`count` contracts, all in this state, none in a worker's hands, and their CLM was told."""
        found = self.rows(
            "SELECT count(*), count(*) FILTER (WHERE state = %s AND lease_owner IS NULL AND unclean_at IS NULL)"
            " FROM core.contract",
            state,
        )
        return found == [(count, count)]

    def until(self, what: str, condition: Callable[[], bool], *, within_s: float = 60.0) -> None:
        """Wait for a condition; fail when it does not come true in time, or when a process dies by itself."""
        deadline = time.monotonic() + within_s
        while not condition():
            dead = [process.name for process in self.processes if process.died()]
            assert not dead, f"{', '.join(dead)} ended while waiting until {what}"
            assert time.monotonic() < deadline, f"not within {within_s:g} s: {what}; {self._how_it_stands()}"
            time.sleep(_LOOK_EVERY_S)

    def _how_it_stands(self) -> str:
        contracts = self.rows("SELECT state, count(*), max(last_error) FROM core.contract GROUP BY 1")
        lanes = self.rows("SELECT lane, breaker, reason, probe_at FROM core.lane")
        return f"contracts {contracts}, lanes {lanes}"
